// The outer side; what the process inside does is in preparation.cc and first_process.cc.
#include "lab/namespaces.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <utility>

#include <fmt/format.h>

#include "base/try.h"
#include "lab/inside.h"
#include "lab/preparation.h"
#include "lab/talk.h"

namespace anybind::lab {
namespace {

constexpr std::array kPassed = {"fs",        "firmware",       "power",     "hypervisor",
                                "kernel/mm", "devices/system", "class/dmi", "devices/virtual/dmi"};

/// The ids of this process's namespace, each as itself; without the right to do that, one's own.
std::string identity_map(const char* own_map, unsigned own, bool all) {
  if (!all) return fmt::format("0 {} 1\n", own);
  std::ifstream in(own_map);
  std::string out;
  unsigned first = 0;
  unsigned outside = 0;
  unsigned count = 0;
  while (in >> first >> outside >> count) out += fmt::format("{} {} {}\n", first, first, count);
  return out;
}

bool write_file(const std::string& path, const std::string& text) {
  const Descriptor fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool map_ids(int pid, bool all) {
  const std::string proc = fmt::format("/proc/{}/", pid);
  if (!all) (void)write_file(proc + "setgroups", "deny");
  return write_file(proc + "gid_map", identity_map("/proc/self/gid_map", ::getegid(), all)) &&
         write_file(proc + "uid_map", identity_map("/proc/self/uid_map", ::geteuid(), all));
}

std::string what_failed(const std::string& message) {
  const auto colon = std::min(message.find(':'), message.size());
  return message.substr(std::min(colon + 1, message.size()));
}

Error setup_error(const std::string& message) {
  const int error = std::atoi(message.c_str());
  const std::string what = what_failed(message);
  Error out{.kind = ErrorKind::kNotPermitted,
            .err = Errno{error},
            .operation = what,
            .object = "for the lab",
            .why = "",
            .advice =
                "the lab needs user namespaces, also for root (user.max_user_namespaces, "
                "kernel.unprivileged_userns_clone=1, "
                "kernel.apparmor_restrict_unprivileged_userns=0) and FUSE; without them: "
                "anybind --lab FILE list"};
  if (what == "open /dev/fuse") {
    out.advice = "modprobe fuse; without it: anybind --lab FILE list";
  } else if (what == "run") {
    out = {.kind = ErrorKind::kNotFound,
           .err = Errno{error},
           .operation = "run",
           .object = "the command"};
  }
  return out;
}

int g_first = 0;  // whom signals are passed on to
void pass_on(int signal) {
  ::kill(g_first, signal);
}

/// fork(2) into new namespaces.
int fork_into(int namespaces) {
  const auto flags = static_cast<unsigned long>(namespaces | SIGCHLD);
#if defined(__s390x__)
  return static_cast<int>(::syscall(SYS_clone, nullptr, flags, nullptr, nullptr, nullptr));
#else
  return static_cast<int>(::syscall(SYS_clone, flags, nullptr, nullptr, nullptr, nullptr));
#endif
}

Result<std::pair<Descriptor, Descriptor>> two_ends() {
  std::array<int, 2> ends = {};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail(from_errno(Errno{errno}, "make", "a socket"));
  }
  return std::pair(Descriptor(ends[0]), Descriptor(ends[1]));
}

struct Started {
  int pid = 0;
  Descriptor talk;
};

/// The namespaces that `birth` says. In the new process it does not come back.
Result<Started> start_first(const Inside& inside, const Birth& birth) {
  auto [here, there] = TRY(two_ends());
  const int pid = fork_into(CLONE_NEWNS | (birth.own_ids ? CLONE_NEWUSER : 0) |
                            (birth.own_processes ? CLONE_NEWPID : 0));
  if (pid < 0) return fail(setup_error(fmt::format("{}:make namespaces", errno)));
  if (pid == 0) {
    here = Descriptor();
    Preparation(there.get(), inside, birth).run();
  }
  if (birth.own_ids) {
    const std::string made = hear(here.get());
    // There is nobody else to map: root that may not mount is as any other user here.
    if (!is_word(made, Word::kUnshared) || !map_ids(pid, false)) {
      const int error = errno;
      return fail(setup_error(fmt::format("{}:map user ids", error)));
    }
    say(here.get(), Word::kMapped);
  }
  return Started{.pid = pid, .talk = std::move(here)};
}

}  // namespace

std::vector<std::string> passed_through() {
  std::vector<std::string> out;
  for (const char* name : kPassed) {
    if (::access(fmt::format("/sys/{}", name).c_str(), F_OK) == 0) out.emplace_back(name);
  }
  return out;
}

Result<InsideProcess> InsideProcess::start(const Inside& inside) {
  Descriptor terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  // Root may make mounts as it is; the ids come with the last of the namespaces then.
  Birth birth{.own_ids = ::geteuid() != 0,
              .own_processes = !is_inside(),
              .has_rights = ::geteuid() == 0 && !is_inside(),
              .own_group = terminal.get() < 0};
  for (;;) {
    auto started = start_first(inside, birth);
    if (!started && !birth.own_ids && started.error().err == Errno{EPERM}) {
      birth.own_ids = true;
      birth.has_rights = false;
      continue;
    }
    if (!started) return fail(started.error());
    InsideProcess out(started->pid, std::move(started->talk), birth.own_group);
    const std::string said = hear(out.talk_.get(), &out.fuse_);
    if (birth.own_processes && is_word(said, Word::kFailed) && what_failed(said) == kNoProc) {
      (void)::waitpid(out.pid_, nullptr, 0);
      birth.own_processes = false;
      continue;
    }
    if (out.fuse_.get() < 0) return fail(setup_error(said.empty() ? "" : said.substr(1)));
    if (terminal.get() >= 0) out.foreground_ = ::tcgetpgrp(terminal.get());
    out.terminal_ = std::move(terminal);
    return out;
  }
}

Result<Descriptor> InsideProcess::finish() {
  Descriptor uevents;
  say(talk_.get(), Word::kServed);
  std::string said = hear(talk_.get(), &uevents);
  if (is_word(said, Word::kUnshared)) {
    if (!map_ids(pid_, true) && !map_ids(pid_, false)) {
      return fail(setup_error(fmt::format("{}:map user ids", errno)));
    }
    say(talk_.get(), Word::kMapped);
    said = hear(talk_.get(), &uevents);
  }
  if (uevents.get() < 0) return fail(setup_error(said.empty() ? "" : said.substr(1)));
  return uevents;
}

Result<> InsideProcess::wait_until_it_runs() {
  g_first = pid_;
  // From a terminal the command has the first two from there.
  for (const int signal : {SIGINT, SIGQUIT}) ::signal(signal, own_group_ ? pass_on : SIG_IGN);
  for (const int signal : {SIGTERM, SIGHUP}) ::signal(signal, pass_on);
  say(talk_.get(), Word::kRun);
  const std::string end = hear(talk_.get());  // closed by exec
  talk_ = Descriptor();
  if (!end.empty()) return fail(setup_error(end.substr(1)));
  return {};
}

int InsideProcess::wait_until_it_ends() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  // A shell that was killed has not given the terminal back.
  if (foreground_ > 0 && ::tcgetpgrp(terminal_.get()) != foreground_ &&
      foreground_ == ::getpgrp()) {
    ::signal(SIGTTOU, SIG_IGN);
    (void)::tcsetpgrp(terminal_.get(), foreground_);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace anybind::lab
