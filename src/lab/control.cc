#include "lab/control.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "base/threads.h"
#include "base/try.h"
#include "lab/control_server.h"
#include "lab/inside.h"

namespace anybind::lab {
namespace {

constexpr std::string_view kEnding = ".sock";
constexpr std::size_t kMaxAnswer = 1U << 26;  // bytes
constexpr const char* kAskName = "name";      // what each lab answers itself
constexpr int kPatience = 10;                 // seconds for a lab to say anything

/// Where the sockets of this user are. In the first that there is: XDG_RUNTIME_DIR, /run, /tmp.
std::string socket_dir() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && runtime[0] == '/' && ::access(runtime, W_OK) == 0) {
    return std::string(runtime) + "/anybind-labs";
  }
  if (::geteuid() == 0) return "/run/anybind-labs";
  return fmt::format("/tmp/anybind-labs-{}", ::geteuid());
}

Result<> check_private(const std::string& dir) {
  struct stat status{};
  if (::lstat(dir.c_str(), &status) != 0) {
    return fail(from_errno(Errno{errno}, "look at", printable(dir)));
  }
  if (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & 077) != 0) {
    return fail({.kind = ErrorKind::kRefused,
                 .operation = "use",
                 .object = printable(dir),
                 .why = "it is not a directory that only you can enter",
                 .advice = "remove it, or set XDG_RUNTIME_DIR"});
  }
  return {};
}

/// Ours, and nobody else can put anything there.
Result<> make_private(const std::string& dir) {
  if (::mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail(from_errno(Errno{errno}, "make", dir));
  }
  return check_private(dir);
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name[0] != '.' &&
         std::ranges::all_of(name, [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
         });
}

Error bad_name(const std::string& name) {
  return {.kind = ErrorKind::kUsage,
          .object = printable(name),
          .why = "a lab's name is up to 64 letters, digits, '-', '_' and '.'",
          .advice = "anybind lab list"};
}

std::optional<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un out{};
  out.sun_family = AF_UNIX;
  if (path.size() >= sizeof out.sun_path) return std::nullopt;
  std::ranges::copy(path, out.sun_path);
  return out;
}

Descriptor make_socket() {
  return Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

/// For each read, write and connect.
void be_impatient(const Descriptor& socket) {
  const timeval time{.tv_sec = kPatience, .tv_usec = 0};
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

bool is_ours(const Descriptor& socket) {
  ucred who{};
  socklen_t size = sizeof who;
  return ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 &&
         (who.uid == 0 || who.uid == ::geteuid());
}

/// None, with errno, when nobody listens there; EPERM when it is somebody else.
Descriptor connect_to(const std::string& path) {
  Descriptor out = make_socket();
  be_impatient(out);
  const auto address = address_of(path);
  if (!address) {
    errno = ENAMETOOLONG;
    return Descriptor();
  }
  const auto* any = reinterpret_cast<const sockaddr*>(&*address);
  if (out.get() < 0 || ::connect(out.get(), any, sizeof *address) != 0) return Descriptor();
  if (!is_ours(out)) {
    errno = EPERM;
    return Descriptor();
  }
  return out;
}

/// Until the other end is done; nullopt, with errno, when it fails, is silent for too long, or says
/// more than `most` bytes.
std::optional<std::string> read_all(const Descriptor& socket, std::size_t most) {
  std::string out;
  std::array<char, 4096> bytes{};
  for (;;) {
    const ssize_t got = ::read(socket.get(), bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) return out;
    out.append(bytes.data(), static_cast<std::size_t>(got));
    if (out.size() > most) {
      errno = EMSGSIZE;
      return std::nullopt;
    }
  }
}

bool send_all(const Descriptor& socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

Words split_words(std::string_view bytes) {
  Words out;
  while (!bytes.empty()) {
    const auto end = std::min(bytes.find('\0'), bytes.size());
    out.emplace_back(bytes.substr(0, end));
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  return out;
}

/// How an error's kind goes over the socket; 0 is success. Both ends may be of different versions.
constexpr auto kKinds = std::to_array<ErrorKind>({ErrorKind::kFailed, ErrorKind::kUsage,
                                                  ErrorKind::kRefused, ErrorKind::kIncomplete,
                                                  ErrorKind::kNotPermitted, ErrorKind::kNotFound});

std::size_t number_of(ErrorKind kind) {
  const auto* at = std::ranges::find(kKinds, kind);
  return static_cast<std::size_t>(at - kKinds.begin()) + 1;
}

/// The number, then the text; of an error its message, NUL, and what to do next.
std::string answer_text(const Result<std::string>& result) {
  if (result) return "0\n" + *result;
  const Error& error = result.error();
  return fmt::format("{}\n{}{}{}", number_of(error.kind), error.message(), '\0',
                     error.advice.plain());
}

Result<std::string> parse_answer(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));  // signs of life
  const auto line = text.find('\n');
  const auto code = parse_decimal(text.substr(0, line), kKinds.size());
  if (line == std::string_view::npos || !code) {
    return fail({.object = "the lab", .why = "it went away before it had answered"});
  }
  text.remove_prefix(line + 1);
  if (*code == 0) return std::string(text);
  const auto end = std::min(text.find('\0'), text.size());
  return fail({.kind = kKinds[*code - 1],
               .why = std::string(text.substr(0, end)),
               .advice = std::string(text.substr(std::min(end + 1, text.size())))});
}

/// Has the lab that listens at `path`, and is called `name` by who asks, run a command.
Result<std::string> ask_at(const std::string& path, const std::string& name, const Words& words) {
  const Descriptor socket = connect_to(path);
  if (socket.get() < 0 && errno == EPERM) {
    return fail({.kind = ErrorKind::kRefused,
                 .operation = "ask",
                 .object = name.empty() ? "the lab" : "the lab " + name,
                 .why = "its socket is another user's",
                 .advice = "anybind lab list"});
  }
  if (socket.get() < 0) {
    return fail({.kind = ErrorKind::kNotFound,
                 .err = Errno{errno},
                 .operation = "reach",
                 .object = name.empty() ? "the lab" : "the lab " + name,
                 .why = "it is not running",
                 .advice = "anybind lab list"});
  }
  std::string bytes;
  for (const std::string& word : words) bytes += word + '\0';
  if (!send_all(socket, bytes) || ::shutdown(socket.get(), SHUT_WR) != 0) {
    return fail(from_errno(Errno{errno}, "ask", "the lab"));
  }
  const auto answer = read_all(socket, kMaxAnswer);
  if (!answer && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    return fail({.object = name.empty() ? "the lab" : "the lab " + name,
                 .why = fmt::format("it has said nothing for {} seconds", kPatience),
                 .advice = "end it, and start it again"});
  }
  return parse_answer(answer.value_or(""));
}

/// Of the lab that this process is in, whose socket has another path there; empty: it is in none.
std::string own_name() {
  return is_inside() ? ask_at(kControl, "", {kAskName}).value_or("") : "";
}

Result<std::string> path_of_name(const std::string& name) {
  const std::string dir = socket_dir();
  if (::access(dir.c_str(), F_OK) == 0) TRY(check_private(dir));
  return fmt::format("{}/{}{}", dir, name, kEnding);
}

Result<std::string> path_of_lab(const std::string& name) {
  if (!name.empty()) {
    if (!is_name(name)) return fail(bad_name(name));
    if (name == own_name()) return std::string(kControl);
    return path_of_name(name);
  }
  const char* here = std::getenv("ANYBIND_LAB");
  if (here != nullptr && here[0] == '/') return std::string(here);
  if (is_inside()) return std::string(kControl);
  const auto labs = TRY(running_labs());
  if (labs.size() == 1) return path_of_name(labs[0]);
  if (labs.empty()) {
    return fail({.kind = ErrorKind::kNotFound,
                 .object = "the lab",
                 .why = "none is running",
                 .advice = "anybind lab shell FILE, in another terminal"});
  }
  return fail({.kind = ErrorKind::kUsage,
               .object = "the lab",
               .why = "more than one is running: " + join_words(labs),
               .advice = "add --name NAME"});
}

}  // namespace

Result<ControlSocket> ControlSocket::open(const std::string& name) {
  ControlSocket out;
  const std::string dir = socket_dir();
  TRY(make_private(dir));
  const std::string own = name.empty() ? std::to_string(::getpid()) : name;
  if (!is_name(own)) return fail(bad_name(own));
  const std::string path = fmt::format("{}/{}{}", dir, own, kEnding);
  if (connect_to(path).get() >= 0) {
    return fail({.kind = ErrorKind::kRefused,
                 .object = own,
                 .why = "a lab of this name is running",
                 .advice = "anybind lab list"});
  }
  (void)::unlink(path.c_str());
  out.socket_ = make_socket();
  const auto address = address_of(path);
  if (!address) return fail(from_errno(Errno{ENAMETOOLONG}, "listen at", path));
  const auto* any = reinterpret_cast<const sockaddr*>(&*address);
  if (::bind(out.socket_.get(), any, sizeof *address) != 0 ||
      ::listen(out.socket_.get(), SOMAXCONN) != 0) {
    return fail(from_errno(Errno{errno}, "listen at", path));
  }
  out.name_ = own;
  out.path_ = path;
  return out;
}

ControlSocket::ControlSocket() = default;
ControlSocket::ControlSocket(ControlSocket&& other) noexcept
    : name_(std::exchange(other.name_, "")),
      path_(std::exchange(other.path_, "")),
      socket_(std::move(other.socket_)),
      server_(std::move(other.server_)),
      thread_(std::move(other.thread_)) {}

ControlSocket::~ControlSocket() {
  close();
}

void ControlSocket::close() {
  if (socket_.get() >= 0 && !path_.empty()) (void)::unlink(path_.c_str());
  path_.clear();
  if (server_) server_->stop();
  if (thread_.joinable()) thread_.join();
}

Result<> ControlSocket::serve(Handler handler) {
  auto answer = [name = name_, handler = std::move(handler)](const std::string& bytes) {
    const Words words = split_words(bytes);
    return answer_text(words == Words{kAskName} ? Result<std::string>(name) : handler(words));
  };
  server_ =
      std::make_shared<ControlServer>(socket_.get(), std::move(answer), ControlServer::Limits{});
  try {
    thread_ = std::thread([server = server_] { server->run(); });
  } catch (const std::system_error& error) {
    return fail(from_errno(Errno{error.code().value()}, "start a thread for", "the lab"));
  }
  return {};
}

Result<std::vector<std::string>> running_labs() {
  std::vector<std::string> out;
  const std::string own = own_name();
  if (!own.empty()) out.push_back(own);
  const std::string dir = socket_dir();
  const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(dir.c_str()), ::closedir);
  if (!open && errno == ENOENT) return out;
  TRY(check_private(dir));
  while (const dirent* entry = open ? ::readdir(open.get()) : nullptr) {
    std::string name = entry->d_name;
    if (!name.ends_with(kEnding)) continue;
    if (connect_to(fmt::format("{}/{}", dir, name)).get() < 0)
      continue;  // left by one that was killed
    name.resize(name.size() - kEnding.size());
    if (name != own && is_name(name)) out.push_back(std::move(name));
  }
  std::ranges::sort(out);
  return out;
}

Result<std::string> ask_lab(const std::string& name, const Words& words) {
  return ask_at(TRY(path_of_lab(name)), name, words);
}

}  // namespace anybind::lab
