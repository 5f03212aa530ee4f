#include "cli/signals.h"

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>

namespace anybind::cli {
namespace {

std::atomic<bool> interrupted = false;  // read by several threads
std::atomic<bool> changing = false;
std::atomic<const char*> words_of_stop = nullptr;  // what Ctrl-C is answered with at once
std::atomic<bool> progress_is_shown = false;
static_assert(std::atomic<bool>::is_always_lock_free &&
              std::atomic<const char*>::is_always_lock_free);

extern "C" void on_stop(int /*signal*/) {
  const int kept = errno;
  interrupted = true;
  const char* words = words_of_stop;
  pollfd file{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (words != nullptr && ::poll(&file, 1, 0) > 0) {
    constexpr std::string_view kClear = "\r\x1b[K";
    // Who does not get to see it is stopped all the same.
    [[maybe_unused]] ssize_t said = 0;
    if (progress_is_shown.exchange(false)) said = ::write(file.fd, kClear.data(), kClear.size());
    said = ::write(file.fd, words, std::strlen(words));
  }
  errno = kept;
}

extern "C" void on_other(int /*signal*/) {}

}  // namespace

void catch_signals() {
  changing = true;
  struct sigaction action{};
  action.sa_flags = SA_RESTART;
  action.sa_handler = on_stop;
  for (const int signal : {SIGINT, SIGTERM}) ::sigaction(signal, &action, nullptr);
  // Not ignored: the programs that we start would inherit that.
  action.sa_handler = on_other;
  for (const int signal : {SIGHUP, SIGPIPE}) ::sigaction(signal, &action, nullptr);
  // But this one: a handler would have the write to the terminal begin again for ever.
  action.sa_handler = SIG_IGN;
  ::sigaction(SIGTTOU, &action, nullptr);
}

bool is_change() {
  return changing;
}

bool is_interrupted() {
  return interrupted;
}

void answer_stop_with(const char* words) {
  words_of_stop = words;
}

bool progress_shown(bool shown) {
  return progress_is_shown.exchange(shown);
}

}  // namespace anybind::cli
