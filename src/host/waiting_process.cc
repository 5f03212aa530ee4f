#include "host/waiting_process.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/try.h"
#include "host/child.h"

namespace anybind {
namespace {

using Clock = std::chrono::steady_clock;

constexpr char kRead = 'r';
constexpr char kWrite = 'w';
/// Whether to give up is asked so often: a signal may have come to another thread.
constexpr auto kLookEvery = std::chrono::milliseconds(250);
/// What the call still gets when we are asked to end: most return sooner, and then nothing is left
/// behind.
constexpr auto kGrace = std::chrono::seconds(1);
constexpr int kTries = 8;

/// Room for one file descriptor beside a message.
union Control {
  cmsghdr align;
  std::array<char, CMSG_SPACE(sizeof(int))> bytes;
};

/// A message of two parts.
class Message {
 public:
  Message(void* head, std::size_t head_size, void* body, std::size_t body_size)
      : parts_{
            {{.iov_base = head, .iov_len = head_size}, {.iov_base = body, .iov_len = body_size}}} {
    header_.msg_iov = parts_.data();
    header_.msg_iovlen = parts_.size();
  }
  /// With room for a descriptor.
  msghdr* with(Control& control) {
    header_.msg_control = control.bytes.data();
    header_.msg_controllen = control.bytes.size();
    return &header_;
  }
  msghdr* get() { return &header_; }

 private:
  std::array<iovec, 2> parts_;
  msghdr header_{};
};

/// The processes that were left behind, until they have ended: none stays a zombie for longer than
/// until the next one is started.
class LeftBehind {
 public:
  void add(pid_t pid) {
    const std::scoped_lock lock(mutex_);
    pids_.push_back(pid);
  }
  void reap() {
    const std::scoped_lock lock(mutex_);
    std::erase_if(pids_, [](pid_t pid) { return ::waitpid(pid, nullptr, WNOHANG) != 0; });
  }

 private:
  std::mutex mutex_;
  std::vector<pid_t> pids_;
};

LeftBehind& left_behind() {
  static LeftBehind all;
  return all;
}

}  // namespace

WaitingProcess::~WaitingProcess() {
  stop();
}

void WaitingProcess::stop() {
  if (pid_ == 0) return;
  socket_ = Descriptor();
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
}

WaitingProcess::Done WaitingProcess::make_call(char kind, int file, Page& bytes, std::size_t size) {
  const ssize_t count =
      kind == kRead ? ::read(file, bytes.data(), bytes.size()) : ::write(file, bytes.data(), size);
  return {.count = count, .error = count < 0 ? errno : 0};
}

/// The child. Only system calls and its own stack: it was made while other threads of ours may have
/// held any lock. All signals are blocked: what is written is the kernel's business to the end.
void WaitingProcess::serve(int socket) {
  keep_only(socket);
  ::prctl(PR_SET_NAME, "anybind-waits");
  for (;;) {
    char kind = 0;
    Page bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    Message request(&kind, 1, bytes.data(), bytes.size());
    Control control{};
    msghdr* const header = request.with(control);
    const ssize_t size = ::recvmsg(socket, header, MSG_CMSG_CLOEXEC);
    if (size < 0 && errno == EINTR) continue;
    const cmsghdr* sent = size <= 0 ? nullptr : CMSG_FIRSTHDR(header);
    if (sent == nullptr) ::_exit(0);  // our parent has gone
    int file = -1;
    std::memcpy(&file, CMSG_DATA(sent), sizeof file);
    Done done = make_call(kind, file, bytes, static_cast<std::size_t>(size) - 1);
    ::close(file);
    const bool has_body = kind == kRead && done.count > 0;
    Message answer(&done, sizeof done, bytes.data(),
                   has_body ? static_cast<std::size_t>(done.count) : 0);
    if (::sendmsg(socket, answer.get(), MSG_NOSIGNAL) < 0) ::_exit(0);
  }
}

Reply<void> WaitingProcess::start() {
  if (pid_ != 0) return {};
  left_behind().reap();
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return failed();
  Descriptor ours(ends[0]);
  const Descriptor theirs(ends[1]);
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);  // no handler of ours may ever run in the child
  const pid_t pid = ::_Fork();                    // not fork(): that waits for locks of malloc
  if (pid == 0) serve(theirs.get());
  const Errno err{errno};
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return std::unexpected(err);
  socket_ = std::move(ours);
  limit_ = {};
  pid_ = pid;
  return {};
}

Reply<void> WaitingProcess::send(char kind, const Descriptor& file, std::string_view bytes) {
  Message request(&kind, 1, const_cast<char*>(bytes.data()),  // NOLINT(*-const-cast)
                  bytes.size());
  Control control{};
  msghdr* const header = request.with(control);
  cmsghdr* const sent = CMSG_FIRSTHDR(header);
  sent->cmsg_level = SOL_SOCKET;
  sent->cmsg_type = SCM_RIGHTS;
  sent->cmsg_len = CMSG_LEN(sizeof(int));
  const int fd = file.get();
  std::memcpy(CMSG_DATA(sent), &fd, sizeof fd);
  while (::sendmsg(socket_.get(), header, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return failed();
  }
  return {};
}

/// At least a millisecond: 0 would be for ever.
Reply<void> WaitingProcess::limit_wait(std::chrono::milliseconds limit) {
  limit = std::max(limit, std::chrono::milliseconds(1));
  if (limit == limit_) return {};
  const auto count = limit.count();
  const timeval time{.tv_sec = count / 1000, .tv_usec = count % 1000 * 1000};
  if (::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) != 0)
    return failed();
  limit_ = limit;
  return {};
}

/// nullopt when the time is over.
Reply<std::optional<WaitingProcess::Done>> WaitingProcess::wait(const Patience& patience) {
  auto end = Clock::now() + patience.limit;
  auto left = patience.limit;
  bool is_hurried = false;
  for (;;) {
    TRY(limit_wait(std::min(left, kLookEvery)));
    Done done{};
    Message answer(&done, sizeof done, page_.data(), page_.size());
    const ssize_t size = ::recvmsg(socket_.get(), answer.get(), 0);
    if (size >= static_cast<ssize_t>(sizeof done)) return done;
    if (size >= 0) return std::unexpected(Errno{EOWNERDEAD});
    if (errno != EAGAIN && errno != EINTR) return failed();
    const auto now = Clock::now();
    if (!is_hurried && patience.give_up && patience.give_up()) {
      is_hurried = true;
      end = std::min(end, now + kGrace);
    }
    if (now >= end) return std::nullopt;
    left = std::chrono::ceil<std::chrono::milliseconds>(end - now);
  }
}

/// A child that is found dead has not taken the message (linux net/unix/af_unix.c: EPIPE when it is
/// sent, ECONNRESET when it died with the message unread), so another one gets it.
Reply<ssize_t> WaitingProcess::call(char kind, const Descriptor& file, std::string_view bytes,
                                    const Patience& patience, Abandoned& abandoned) {
  for (int i = 0; i < kTries; ++i) {
    if (!start()) {
      std::ranges::copy(bytes, page_.begin());
      const Done done = make_call(kind, file.get(), page_, bytes.size());
      return done.count < 0 ? Reply<ssize_t>(std::unexpected(Errno{done.error})) : done.count;
    }
    const auto sent = send(kind, file, bytes);
    const auto done = sent ? wait(patience) : std::unexpected(sent.error());
    if (done && *done) {
      if ((*done)->count >= 0) return (*done)->count;
      return std::unexpected(Errno{(*done)->error});
    }
    const int err = done ? ETIMEDOUT : done.error().value;
    const bool was_unread = err == EPIPE || err == ECONNRESET;
    if (!was_unread && err != EOWNERDEAD) {
      abandoned = {.pid = pid_};
      left_behind().add(std::exchange(pid_, 0));
      socket_ = Descriptor();
      return std::unexpected(Errno{ETIMEDOUT});
    }
    stop();
    if (!was_unread) return std::unexpected(Errno{EOWNERDEAD});
  }
  return std::unexpected(Errno{EIO});
}

Reply<std::size_t> WaitingProcess::write(const Descriptor& file, std::string_view bytes,
                                         const Patience& patience, Abandoned& abandoned) {
  if (bytes.empty() || bytes.size() > Sysfs::kPageSize) return std::unexpected(Errno{EINVAL});
  return static_cast<std::size_t>(TRY(call(kWrite, file, bytes, patience, abandoned)));
}

Reply<std::string> WaitingProcess::read(const Descriptor& file, const Patience& patience,
                                        Abandoned& abandoned) {
  const ssize_t count = TRY(call(kRead, file, {}, patience, abandoned));
  return std::string(page_.data(), static_cast<std::size_t>(count));
}

WaitingProcesses& WaitingProcesses::of_this_process() {
  (void)left_behind();  // which must live as long
  static WaitingProcesses all;
  return all;
}

std::unique_ptr<WaitingProcess> WaitingProcesses::take() {
  const pid_t self = ::getpid();
  const std::scoped_lock lock(mutex_);
  if (std::exchange(owner_, self) != self) idle_.clear();
  if (idle_.empty()) return std::make_unique<WaitingProcess>();
  auto one = std::move(idle_.back());
  idle_.pop_back();
  return one;
}

void WaitingProcesses::give_back(std::unique_ptr<WaitingProcess> one) {
  const std::scoped_lock lock(mutex_);
  idle_.push_back(std::move(one));
}

}  // namespace anybind
