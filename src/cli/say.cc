#include "cli/say.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>

namespace anybind::cli {
namespace {

constexpr int kMoment = 250;  // milliseconds
std::atomic<bool> reader_sleeps = false;

bool is_closed(int fd) {
  return ::fcntl(fd, F_GETFD) < 0 && errno == EBADF;
}

}  // namespace

void put(std::FILE* to, std::string_view text) noexcept {
  (void)std::fwrite(text.data(), 1, text.size(), to);
}

void put_soon(std::FILE* to, std::string_view text) noexcept {
  pollfd file{.fd = ::fileno(to), .events = POLLOUT, .revents = 0};
  const int ready = ::poll(&file, 1, reader_sleeps ? 0 : kMoment);
  reader_sleeps = ready == 0;
  if (ready != 0) put(to, text);
}

unsigned columns_of(std::FILE* to) noexcept {
  winsize size{};
  if (::ioctl(::fileno(to), TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

void prepare_output() noexcept {
  struct sigaction action{};
  action.sa_handler = [](int /*signal*/) {};  // not ignored: what we start would inherit that
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGXFSZ, &action, nullptr);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (!is_closed(fd)) continue;
    // The lowest that is free is this one. Reading alone: what is written there is known as lost.
    if (::open("/dev/null", O_RDONLY | O_NOCTTY) < 0)  // NOLINT(android-cloexec-open)
      (void)::open("/", O_RDONLY | O_DIRECTORY);       // NOLINT(android-cloexec-open)
  }
}

}  // namespace anybind::cli
