#include "host/child.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "base/error.h"
#include "base/try.h"
#include "host/descriptor.h"

namespace anybind {
namespace {

constexpr std::size_t kMostOutput = 4096;
constexpr int kAskEvery = 100;  // milliseconds
constexpr int kMostFiles = 1 << 16;

struct Pipe {
  Descriptor read;
  Descriptor write;
};

Reply<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return failed();
  return Pipe{.read = Descriptor(ends[0]), .write = Descriptor(ends[1])};
}

Reply<pid_t> spawn(const std::vector<std::string>& command, int input, int output) {
  std::vector<char*> words;
  words.reserve(command.size() + 1);
  for (const std::string& word : command) {
    words.push_back(const_cast<char*>(word.c_str()));  // NOLINT(*-const-cast)
  }
  words.push_back(nullptr);
  std::string path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  std::string locale = "LC_ALL=C";
  std::array<char*, 3> environment = {path.data(), locale.data(), nullptr};
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
  sigset_t ours;
  ::sigemptyset(&ours);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::sigaddset(&ours, signal);
  ::posix_spawnattr_setsigdefault(&attributes, &ours);
  sigset_t none;  // that are blocked, as whoever waits for them by a descriptor does
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(
      &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  pid_t pid = 0;
  const int error =
      ::posix_spawn(&pid, words[0], &files, &attributes, words.data(), environment.data());
  ::posix_spawn_file_actions_destroy(&files);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) return std::unexpected(Errno{error});
  return pid;
}

/// What is there to read goes behind `out`. False: no more will come.
bool take_output(const Descriptor& from, std::string& out) {
  std::array<char, 1024> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  const ssize_t count = ::read(from.get(), bytes.data(), bytes.size());
  if (count < 0) return errno == EINTR || errno == EAGAIN;
  out.append(bytes.data(), static_cast<std::size_t>(count));
  if (out.size() > kMostOutput) out.resize(kMostOutput);
  return count != 0;
}

}  // namespace

Reply<ChildEnd> run_child(const std::vector<std::string>& command,
                          const std::function<bool()>& give_up) {
  Pipe input = TRY(make_pipe());
  input.write = Descriptor();
  Pipe output = TRY(make_pipe());
  if (::fcntl(output.read.get(), F_SETFL, O_NONBLOCK) != 0) return failed();
  const pid_t pid = TRY(spawn(command, input.read.get(), output.write.get()));
  output.write = Descriptor();
  ChildEnd out;
  int status = 0;
  for (bool open = true;;) {
    const pid_t ended = ::waitpid(pid, &status, open ? WNOHANG : 0);
    if (ended == pid) break;
    if (ended < 0 && errno != EINTR) return failed();
    if (give_up && give_up()) return std::unexpected(Errno{ETIMEDOUT});
    pollfd poll{.fd = output.read.get(), .events = POLLIN, .revents = 0};
    if (::poll(&poll, 1, kAskEvery) > 0) open = take_output(output.read, out.output);
  }
  // What it said last; a child of its own may keep the pipe open for ever.
  while (out.output.size() < kMostOutput) {
    const auto before = out.output.size();
    if (!take_output(output.read, out.output) || out.output.size() == before) break;
  }
  out.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return out;
}

void keep_only(int file) {
  const auto close_range = [](unsigned first, unsigned last) {
    return ::syscall(SYS_close_range, first, last, 0U) == 0;
  };
  const auto kept = static_cast<unsigned>(file);
  const bool is_done = (kept == 0 || close_range(0, kept - 1)) && close_range(kept + 1, ~0U);
  rlimit limit{};
  if (!is_done && ::getrlimit(RLIMIT_NOFILE, &limit) == 0) {  // Linux below 5.9
    for (int other = 0; static_cast<rlim_t>(other) < limit.rlim_max && other < kMostFiles; ++other)
      if (other != file) ::close(other);
  }
  ::setsid();
}

}  // namespace anybind
