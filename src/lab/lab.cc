#include "lab/lab.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <system_error>

#include <fmt/format.h>

#include "base/text.h"
#include "base/threads.h"
#include "base/try.h"
#include "lab/commands.h"
#include "lab/control.h"
#include "lab/fuse_server.h"
#include "lab/kernfs.h"
#include "lab/machine.h"
#include "lab/mount_table.h"
#include "lab/namespaces.h"
#include "lab/uevents.h"

namespace anybind::lab {
namespace {

ControlSocket::Handler handler_of(Machine& machine) {
  return [&machine](const Words& words) { return run_command(machine, words); };
}

/// SIGINT, SIGTERM and SIGHUP, which stop the server instead of killing the process. Blocked before
/// there is a second thread, which else could be the one that the kernel gives them to.
sigset_t hold_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&set, signal);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return set;
}

Result<> stop_on_signals(FuseServer& server, sigset_t set) {
  const bool started = start_detached([&server, set] {
    int signal = 0;
    (void)::sigwait(&set, &signal);
    server.stop();
  });
  if (!started) return fail(from_errno(Errno{EAGAIN}, "start a thread for", "the lab"));
  return {};
}

/// A message of libfuse that nobody reads must not end the lab. Not ignored: its command would
/// inherit that.
void outlive_readers() {
  struct sigaction action{};
  action.sa_handler = [](int /*signal*/) {};
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGPIPE, &action, nullptr);
}

/// A machine that lives until the process ends: threads use it to the last.
Result<Machine*> make_machine(drivercore::State state, Machine::Listener listener = {}) {
  try {
    return new Machine(std::move(state), std::move(listener));
  } catch (const std::system_error& error) {
    return fail(from_errno(Errno{error.code().value()}, "start a thread for", "the lab"));
  }
}

using OnWrite = std::function<void(const std::string&)>;

/// Writes each line to the file at `path`, which is made empty first. A line that cannot be written
/// ends the trace, and is told: half a trace must not be taken for a whole one. No link is
/// followed: a program that was in a lab before may have left one, to a file that is not its own.
Result<OnWrite> trace_to(const std::string& path) {
  if (path.empty()) return OnWrite();
  constexpr int kFlags =
      O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  Descriptor file(::open(path.c_str(), kFlags, 0666));
  struct stat status{};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0)
    return fail(from_errno(Errno{errno}, "write", printable(path)));
  if (!S_ISREG(status.st_mode))
    return fail({.kind = ErrorKind::kUsage,
                 .operation = "write",
                 .object = printable(path),
                 .why = "it is no regular file"});
  if (::ftruncate(file.get(), 0) != 0)
    return fail(from_errno(Errno{errno}, "write", printable(path)));
  return OnWrite(
      [path, to = std::make_shared<Descriptor>(std::move(file))](const std::string& line) {
        if (to->get() < 0) return;
        const std::string text = line + "\n";
        const ssize_t count = ::write(to->get(), text.data(), text.size());
        if (count == static_cast<ssize_t>(text.size())) return;
        const std::string why = count < 0 ? Errno{errno}.text() : "no space is left";
        *to = Descriptor();
        const std::string told =
            fmt::format("anybind: the trace in {} ends here: {}\n", printable(path), why);
        (void)std::fputs(told.c_str(), stderr);
      });
}

Result<int> serve_mount(drivercore::State state, const std::string& directory,
                        const std::string& name, const std::string& trace, int ready) {
  outlive_readers();
  const sigset_t signals = hold_signals();
  ControlSocket control = TRY(ControlSocket::open(name));
  Machine& machine = *TRY(make_machine(std::move(state)));
  auto& files = *new Kernfs(
      machine, {.uid = ::geteuid(), .gid = ::getegid(), .on_write = TRY(trace_to(trace))});
  auto mounted = TRY(FuseServer::mount(files, directory));
  FuseServer& server = *mounted;
  if (auto ready_to_stop = stop_on_signals(server, signals); !ready_to_stop) {
    return fail(ready_to_stop.error());
  }
  (void)mounted.release();  // its threads use it, as the rest, until the process ends
  const auto served = control.serve(handler_of(machine));
  if (served && ready >= 0) {
    // Whoever reads what this prints shall not wait for it.
    const Descriptor nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
      (void)::dup2(nothing.get(), fd);
    [[maybe_unused]] const auto count = ::write(ready, "", 1);
  }
  if (served) server.run();
  control.close();
  server.unmount();
  if (!served) return fail(served.error());
  return 0;
}

/// What stands between the lab and the machine cannot be given away.
Result<> check_writable(const std::vector<std::string>& directories) {
  for (const std::string& directory : directories) {
    std::error_code ignored;
    const std::string real = std::filesystem::canonical(directory, ignored);
    const bool bars = std::ranges::any_of(std::array{"/proc", "/sys", "/dev"},
                                          [&](auto* bar) { return is_below(real, bar); });
    if (real == "/" || real == "/run" || bars || is_below(real, "/run/anybind-lab")) {
      return fail({.kind = ErrorKind::kUsage,
                   .object = printable(directory),
                   .why = "it cannot be writable in a lab, which stands in its place",
                   .advice = "name a directory of your own: --writable DIR"});
    }
  }
  return {};
}

}  // namespace

Result<int> exec(drivercore::State state, Running running) {
  const std::string& name = running.name;
  TRY(check_writable(running.writable));
  ControlSocket control = TRY(ControlSocket::open(name));
  const Inside inside{.command = std::move(running.command),
                      .control = control.path(),
                      .passed = passed_through(),
                      .writable = std::move(running.writable)};
  InsideProcess process = TRY(InsideProcess::start(inside));
  outlive_readers();
  // These live until the process ends: threads use them to the last.
  auto& uevents = *new std::atomic<int>(-1);
  Machine& machine =
      *TRY(make_machine(std::move(state), [&uevents](const drivercore::Uevent& event) {
        if (uevents >= 0) send_uevent(uevents, event);
      }));
  // Only now: the first process of the lab must not inherit the file.
  auto& files = *new Kernfs(machine, {.whole_lab = true,
                                      .mount_points = inside.passed,
                                      .uid = 0,
                                      .gid = 0,
                                      .on_write = TRY(trace_to(running.trace))});
  auto server = TRY(FuseServer::on_descriptor(files, process.fuse().release()));
  if (!start_detached([&running_server = *server.release()] { running_server.run(); })) {
    return fail(from_errno(Errno{EAGAIN}, "start a thread for", "the lab"));
  }
  uevents = TRY(process.finish()).release();
  TRY(control.serve(handler_of(machine)));
  TRY(process.wait_until_it_runs());
  return process.wait_until_it_ends();
}

Result<int> mount(drivercore::State state, const std::string& directory, const std::string& name,
                  bool foreground, const std::string& trace) {
  std::array<char, 1> word{};
  std::array<int, 2> ends = {};
  if (foreground) return serve_mount(std::move(state), directory, name, trace, -1);
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(from_errno(Errno{errno}, "make", "a pipe"));
  const int pid = ::fork();
  if (pid < 0) return fail(from_errno(Errno{errno}, "start", "a process"));
  if (pid == 0) {
    ::close(ends[0]);
    (void)::setsid();
    auto out = serve_mount(std::move(state), directory, name, trace, ends[1]);
    return out;
  }
  ::close(ends[1]);
  ssize_t got = 0;
  do {
    got = ::read(ends[0], word.data(), 1);
  } while (got < 0 && errno == EINTR);
  return got == 1 ? 0 : 1;
}

}  // namespace anybind::lab
