// A lab: what somebody who stands beside the machine tells it, by its socket or without, and what
// the kernel asks of its file system. The input is lines:
//   c WORD ...        a command
//   x BYTES           bytes to the socket
//   w PATH            looks a path up, name by name; n NUMBER NAME: one name
//   f NUMBER COUNT    forgets; s: status; k: link; d: directory; m NUMBER MODE UID GID: changes
//   o NUMBER FLAGS    opens; r FILE SIZE OFFSET: reads; W FILE BYTES: writes
// where NUMBER and FILE count what was found or opened so far. The books of the machine stay in
// order, and what the file system says of one thing fits together.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "drivercore/file/machine.h"
#include "lab/commands.h"
#include "lab/control.h"
#include "lab/kernfs.h"
#include "oracle.h"
#include "scratch.h"

namespace {

using namespace anybind;
using namespace anybind::lab;
using drivercore::DriverCore;
using fuzz::require;
using fuzz::take_number;
using fuzz::take_until;

constexpr const char* kMachine = R"(
driver = [
  { name = "a", module = "mod_a", ids = ["1:1", "2:2 data=1"], sriov = "removes" },
  { name = "b", module = "mod-b", ids = ["1:1"] },
  { name = "vfio-pci", module = "vfio_pci", managed_dma = true, needs_group = true, ids = ["*:* override_only"] },
  { name = "p", bus = "platform" } ]
device = [
  { address = "00:01.0", id = "9:9", class = "060400", group = 0 },
  { address = "1:00.0", id = "1:1", group = 1, parent = "0000:00:01.0", total_vfs = 3, children = { net = ["e0"] } },
  { address = "1:00.1", id = "2:2", group = 1, parent = "0000:00:01.0" },
  { address = "2:00.0", id = "1:1", group = 2, present = false },
  { name = "p.0", bus = "platform" } ]
)";

/// Everything that is bound is in the list of its driver, once, and counted in its group.
void check(const drivercore::State& state) {
  std::map<unsigned, unsigned> counted;
  std::size_t bound = 0;
  for (const auto& [key, device] : state.devices) {
    if (device.counted) ++counted[*device.group];
    if (!device.driver) continue;
    ++bound;
    require(std::ranges::count(state.drivers.at(*device.driver).bound, key) == 1, "not bound once");
  }
  for (const auto& [key, driver] : state.drivers) bound -= driver.bound.size();
  require(bound == 0, "bound, and not there");
  for (const auto& [number, group] : state.groups)
    require(group.in_use == counted[number], "a group is counted wrongly");
}

class Visit {
 public:
  explicit Visit(bool whole)
      : machine_(start()),
        files_(machine_, {.whole_lab = whole, .mount_points = {"fs", "devices/system"}}) {
    numbers_.push_back({Kernfs::kRoot, 1});
  }

  Result<std::string> command(Words words) {
    // Nobody waits here.
    if (words.size() > 3 && words[0] == "set" && words[1] == "probe-time" && words[3].size() > 1)
      words[3] = "0";
    const auto out = run_command(machine_, words);
    if (!out) fuzz::require_printable(out.error().message(), "a message that is not printable");
    if (out && !words.empty() && words[0] == "save") {
      const auto again = drivercore::load_machine(*out, "saved");
      require(again.has_value(), "a lab that was saved cannot be loaded",
              again ? "" : again.error().message());
    }
    return out;
  }

  void act(std::string_view line);
  void check_books() {
    machine_.look([](DriverCore& core) { check(core.state()); });
  }
  void leave() {
    for (const auto& [number, references] : numbers_) files_.forget(number, references);
  }

 private:
  struct Held {
    Kernfs::Number number;
    std::uint64_t references;
  };
  static const drivercore::State& start() {
    static const drivercore::State kStart = *drivercore::load_machine(kMachine, "m");
    return kStart;
  }

  Held& held(std::string_view& rest) { return numbers_[take_number(rest, 1000) % numbers_.size()]; }

  bool look_up(Kernfs::Number directory, const std::string& name) {
    if (name.empty() || name == "." || name == ".." || name.contains('/') || name.contains('\0'))
      return false;  // the kernel never asks
    const auto looked = files_.lookup(directory, name);
    if (!looked || numbers_.size() >= 64) return false;
    numbers_.push_back({looked->number, 1});
    const auto status = files_.status(looked->number);
    require(status.has_value(), "found, and not there", name);
    require(status->st_ino == looked->status.st_ino && status->st_mode == looked->status.st_mode,
            "found, and another", name);
    return true;
  }

  void list(Kernfs::Number number) {
    const auto names = files_.list(number);
    if (!names) return;
    const std::size_t many = numbers_.size();
    for (const auto& name : *names) {
      if (!look_up(number, name.name)) continue;
      const auto status = files_.status(numbers_.back().number);
      require(status && status->st_ino == name.inode, "listed with another inode", name.name);
      require((status->st_mode & S_IFMT) == name.type, "listed as another kind", name.name);
      files_.forget(numbers_.back().number, 1);
      numbers_.resize(many, {Kernfs::kRoot, 0});
    }
  }

  Machine machine_;
  Kernfs files_;
  std::vector<Held> numbers_;
  std::vector<Kernfs::File> open_;
};

std::atomic<Visit*> at_the_socket = nullptr;

/// One for all inputs: each of them would leave its thread behind.
const ControlSocket& control() {
  static const fuzz::Scratch place;
  static const ControlSocket socket = [] {
    ::setenv("XDG_RUNTIME_DIR", place.path().c_str(), 1);
    ::unsetenv("ANYBIND_LAB");
    auto opened = ControlSocket::open("fuzz");
    require(opened.has_value(), "no socket", opened ? "" : opened.error().message());
    const auto served =
        opened->serve([](const Words& words) { return at_the_socket.load()->command(words); });
    require(served.has_value(), "nobody serves", served ? "" : served.error().message());
    return *std::move(opened);
  }();
  return socket;
}

/// Says `bytes`, and hears the answer to its end.
void talk(std::string_view bytes) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = control().path();
  std::memcpy(address.sun_path, path.c_str(), std::min(path.size() + 1, sizeof address.sun_path));
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto* to = reinterpret_cast<const sockaddr*>(&address);
  require(::connect(socket, to, sizeof address) == 0, "nobody listens", path);
  (void)::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  ::shutdown(socket, SHUT_WR);
  std::string answer;
  char part[4096];
  for (ssize_t got = 1; got > 0;) {
    do {  // the fuzzer has a timer
      got = ::read(socket, part, sizeof part);
    } while (got < 0 && errno == EINTR);
    if (got > 0) answer.append(part, static_cast<std::size_t>(got));
  }
  ::close(socket);
  if (answer.empty()) return;
  std::string_view rest = answer;
  const auto code = parse_decimal(take_until(rest, '\n'), 6);
  require(code.has_value(), "an answer without a code", answer);
  if (*code != 0) {
    std::string text(rest);
    std::ranges::replace(text, '\0', '\n');
    fuzz::require_printable(text, "an answer that is not printable");
  }
}

Words words_of(std::string_view line) {
  Words out;
  while (!line.empty() && out.size() < 40) out.push_back(fuzz::unescaped(take_until(line, ' ')));
  return out;
}

void Visit::act(std::string_view line) {
  if (line.size() < 2) return;
  const char what = line[0];
  line.remove_prefix(2);
  switch (what) {
    case 'c':
      (void)command(words_of(line));
      break;
    case 'x':
      talk(fuzz::unescaped(line));
      break;
    case 'n': {
      const auto directory = held(line).number;
      if (line.starts_with(' ')) line.remove_prefix(1);
      (void)look_up(directory, fuzz::unescaped(line));
      break;
    }
    case 'w': {
      auto directory = Kernfs::kRoot;
      while (!line.empty() && look_up(directory, fuzz::unescaped(take_until(line, '/'))))
        directory = numbers_.back().number;
      break;
    }
    case 'f': {
      Held& it = held(line);
      // The kernel never forgets more than it was given.
      const auto count = std::min(take_number(line, 5), it.references);
      if (it.number == Kernfs::kRoot) break;
      files_.forget(it.number, count);
      it.references -= count;
      break;
    }
    case 's':
      (void)files_.status(held(line).number);
      break;
    case 'k': {
      const auto target = files_.read_link(held(line).number);
      require(!target || !target->empty(), "a link to nowhere");
      break;
    }
    case 'd':
      list(held(line).number);
      break;
    case 'm': {
      const auto number = held(line).number;
      const auto mode = static_cast<mode_t>(take_number(line, UINT32_MAX));
      const auto uid = static_cast<uid_t>(take_number(line, UINT32_MAX));
      const auto status = files_.change(number, mode, uid, std::nullopt);
      require(!status || (status->st_uid == uid && (status->st_mode & 07777) == (mode & 07777)),
              "a change that is not there");
      break;
    }
    case 'o': {
      const auto number = held(line).number;
      auto file = files_.open(number, static_cast<int>(take_number(line, O_RDWR)));
      if (file && open_.size() < 16) open_.push_back(*std::move(file));
      break;
    }
    case 'r': {
      if (open_.empty()) break;
      Kernfs::File& file = open_[take_number(line, 1000) % open_.size()];
      const auto size = take_number(line, 1 << 17);
      const auto text = files_.read(file, size, static_cast<off_t>(take_number(line, 1 << 20)));
      require(!text || text->size() <= size, "more than was asked for");
      break;
    }
    case 'W': {
      if (open_.empty()) break;
      Kernfs::File& file = open_[take_number(line, 1000) % open_.size()];
      if (line.starts_with(' ')) line.remove_prefix(1);
      const std::string bytes = fuzz::unescaped(line);
      const auto count = files_.write(file, bytes, 0);
      require(!count || *count <= bytes.size(), "more than was written");
      break;
    }
    default:
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kMostLines = 128;
  std::string_view text = fuzz::as_text(data, size);
  Visit visit(text.starts_with('L'));
  at_the_socket = &visit;
  for (std::size_t i = 0; i < kMostLines && !text.empty(); ++i) {
    visit.act(take_until(text, '\n'));
    visit.check_books();
  }
  visit.leave();
  at_the_socket = nullptr;
  return 0;
}
