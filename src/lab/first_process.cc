#include "lab/first_process.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <fstream>

#include <fmt/format.h>

#include "lab/refused_calls.h"
#include "lab/talk.h"

namespace anybind::lab {
namespace {

volatile sig_atomic_t g_command = 0;  // whom signals are passed on to
void pass_to_command(int signal) {
  ::kill(static_cast<int>(g_command), signal);
}

[[noreturn]] void execute(int talk, const std::vector<std::string>& command, bool own_group) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (own_group) (void)::setpgid(0, 0);
  for (const int signal : {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  std::vector<char*> words;
  words.reserve(command.size() + 1);
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  const char* what = "refuse system calls in";
  if (refuse_calls()) {
    what = "run";
    ::execvp(words[0], words.data());
  }
  say(talk, Word::kFailed, fmt::format("{}:{}", errno, what));
  ::_exit(1);
}

/// The processes that were left to this one: what the command started and did not wait for.
std::vector<int> children() {
  std::ifstream in(fmt::format("/proc/self/task/{}/children", ::syscall(SYS_gettid)));
  std::vector<int> out;
  for (int pid = 0; in >> pid;) out.push_back(pid);
  return out;
}

/// Until nothing is left, or for a second.
void end_what_is_left(bool all) {
  for (int round = 0; round < 100; ++round) {
    const int signal = round < 10 ? SIGTERM : SIGKILL;
    const auto left = children();
    if (all ? ::kill(-1, signal) != 0 : left.empty()) return;
    if (!all) {
      for (const int pid : left) ::kill(pid, signal);
    }
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    ::usleep(round == 0 ? 1000 : 10000);
  }
}

}  // namespace

void run_first_process(int talk, const std::vector<std::string>& command, bool all,
                       bool own_group) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t held;
  sigset_t before;
  ::sigemptyset(&held);
  for (const int signal : {SIGINT, SIGQUIT, SIGTERM, SIGHUP}) ::sigaddset(&held, signal);
  ::sigprocmask(SIG_BLOCK, &held, &before);
  // Nobody in the lab may follow /proc/1/exe: it leads to the machine past the mounts of the lab.
  ::prctl(PR_SET_DUMPABLE, 0);
  const int pid = ::fork();
  if (pid == 0) execute(talk, command, own_group);
  if (pid < 0) {
    say(talk, Word::kFailed, fmt::format("{}:start a process", errno));
    ::_exit(1);
  }
  g_command = pid;
  // The terminal and whoever ends a process group tell the command themselves; a second word from
  // here would be one too many.
  (void)::setpgid(0, 0);
  for (const int signal : {SIGINT, SIGQUIT, SIGTERM, SIGHUP}) ::signal(signal, pass_to_command);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  // A process of the lab may look into this one, so nothing of the machine may be left in it.
  (void)::syscall(SYS_close_range, 3U, UINT_MAX, 0U);
  int status = 0;
  for (;;) {
    const int ended = ::waitpid(-1, &status, 0);
    if (ended == pid || (ended < 0 && errno != EINTR)) break;
  }
  for (const int signal : {SIGINT, SIGQUIT, SIGTERM, SIGHUP}) ::signal(signal, SIG_IGN);
  end_what_is_left(all);
  ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

}  // namespace anybind::lab
