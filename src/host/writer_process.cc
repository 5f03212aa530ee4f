#include "host/writer_process.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <system_error>
#include <thread>

#include "base/error.h"
#include "base/try.h"
#include "host/child.h"

namespace anybind {
namespace {

using Clock = std::chrono::steady_clock;

/// Room for one file descriptor beside a message.
union Control {
  cmsghdr align;
  std::array<char, CMSG_SPACE(sizeof(int))> bytes;
};

/// One message with the file that came with it; -1 when there is none.
ssize_t receive(int socket, std::array<char, Sysfs::kPageSize>& bytes, int& file) {
  iovec part{.iov_base = bytes.data(), .iov_len = bytes.size()};
  Control control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  const ssize_t count = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  file = -1;
  const cmsghdr* header = count < 0 ? nullptr : CMSG_FIRSTHDR(&message);
  if (header != nullptr) std::memcpy(&file, CMSG_DATA(header), sizeof file);
  return count;
}

ssize_t answer_with(int socket, const Written& answer) {
  return ::send(socket, &answer, sizeof answer, MSG_NOSIGNAL);
}

/// The child. Only system calls and its own stack: it shares our memory.
[[noreturn]] void serve(int socket) {
  keep_only(socket);
  // All are blocked, and those that are let through have no handler of ours.
  sigset_t through;
  ::sigemptyset(&through);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    (void)::signal(signal, SIG_DFL);
    ::sigaddset(&through, signal);
  }
  ::sigprocmask(SIG_UNBLOCK, &through, nullptr);
  if (answer_with(socket, {.count = ::getpid(), .error = 0}) < 0) ::_exit(0);
  for (;;) {
    std::array<char, Sysfs::kPageSize> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    int file = -1;
    const ssize_t count = receive(socket, bytes, file);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 || file < 0) ::_exit(0);  // our parent has gone
    Written answer{.count = ::write(file, bytes.data(), static_cast<std::size_t>(count)),
                   .error = 0};
    if (answer.count < 0) answer.error = errno;
    ::close(file);
    if (answer_with(socket, answer) < 0) ::_exit(0);
  }
}

/// A thread that does not go on before its child has ended. So the child has this thread's stack
/// and errno to itself, and that it shares our memory spares the processor two changes of address
/// space a write. The wait can be killed: it does not keep us from ending.
void start_child(int socket) {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
  const pid_t pid = ::vfork();  // NOLINT(bugprone-unsafe-functions,clang-analyzer-security*)
  if (pid == 0) serve(socket);  // NOLINT(clang-analyzer-unix.Vfork)
  if (pid < 0) (void)answer_with(socket, {.count = -1, .error = errno});
}

}  // namespace

WriterProcess::~WriterProcess() {
  stop();
}

void WriterProcess::stop() {
  if (pid_ == 0) return;
  socket_ = Descriptor();
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
  starter_.join();
}

Reply<void> WriterProcess::start() {
  if (pid_ != 0) return {};
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return failed();
  Descriptor ours(ends[0]);
  const Descriptor theirs(ends[1]);
  try {
    starter_ = std::thread(start_child, theirs.get());
  } catch (const std::system_error& error) {
    return std::unexpected(Errno{error.code().value()});
  }
  Written hello{.count = -1, .error = EIO};
  while (::recv(ours.get(), &hello, sizeof hello, 0) < 0 && errno == EINTR) {
  }
  if (hello.count <= 0) {
    starter_.join();
    return std::unexpected(Errno{hello.error});
  }
  socket_ = std::move(ours);
  limit_ = {};
  pid_ = static_cast<pid_t>(hello.count);
  return {};
}

Reply<void> WriterProcess::send(const Descriptor& file, std::string_view bytes) {
  iovec part{.iov_base = const_cast<char*>(bytes.data()),  // NOLINT(*-const-cast)
             .iov_len = bytes.size()};
  Control control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int fd = file.get();
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  if (::sendmsg(socket_.get(), &message, MSG_NOSIGNAL) < 0) return failed();
  return {};
}

/// At least a millisecond: 0 would be for ever.
Reply<void> WriterProcess::limit_wait(std::chrono::milliseconds limit) {
  limit = std::max(limit, std::chrono::milliseconds(1));
  if (limit == limit_) return {};
  const auto count = limit.count();
  const timeval time{.tv_sec = count / 1000, .tv_usec = count % 1000 * 1000};
  if (::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) != 0)
    return failed();
  limit_ = limit;
  return {};
}

/// nullopt when the time is over. A socket with a limit returns at every signal (signal(7)).
Reply<std::optional<Written>> WriterProcess::wait(const Patience& patience) {
  const auto end = Clock::now() + patience.limit;
  for (;;) {
    Written answer{};
    const ssize_t count = ::recv(socket_.get(), &answer, sizeof answer, 0);
    if (count == sizeof answer) return answer;
    if (count >= 0) return std::unexpected(Errno{EIO});
    if (errno == EAGAIN) return std::nullopt;
    if (errno != EINTR) return failed();
    if (patience.give_up && patience.give_up()) return std::nullopt;
    TRY(limit_wait(std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now())));
  }
}

Reply<std::size_t> WriterProcess::write(const Descriptor& file, std::string_view bytes,
                                        const Patience& patience, Abandoned& abandoned) {
  if (bytes.empty() || bytes.size() > Sysfs::kPageSize) return std::unexpected(Errno{EINVAL});
  if (!start()) {
    // No thread or process is to be had. A write without a limit of time is better than none: it
    // may be the one that puts things back.
    const ssize_t count = ::write(file.get(), bytes.data(), bytes.size());
    if (count < 0) return failed();
    return static_cast<std::size_t>(count);
  }
  TRY(limit_wait(patience.limit));
  TRY(send(file, bytes));
  const auto answer = wait(patience);
  if (!answer) {
    stop();
    return std::unexpected(Errno{EIO});
  }
  if (!*answer) {
    abandoned = {.pid = pid_};
    socket_ = Descriptor();
    pid_ = 0;
    starter_.detach();
    return std::unexpected(Errno{ETIMEDOUT});
  }
  if ((*answer)->count < 0) return std::unexpected(Errno{(*answer)->error});
  return static_cast<std::size_t>((*answer)->count);
}

}  // namespace anybind
