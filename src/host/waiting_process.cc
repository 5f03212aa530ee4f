// A child that makes the system calls which may never return.
//
// A write to `bind`, `unbind` or an override sleeps in the kernel while it waits for the device's
// lock or for the user of a VFIO device, and no signal ends that sleep (linux
// drivers/base/dd.c:device_driver_detach, drivers/vfio/vfio_main.c:vfio_unregister_group_dev;
// kernel-facts: finding 7). A thread in it could not be left behind: the process would not end
// before the thread does. A process can, as its parent may go on and even end.
//
// The rules that follow:
// - It is forked with _Fork(), when other threads of ours may hold any lock, so until its end it
//   makes system calls only, on its own stack. It has a copy of our memory and shares none.
// - It holds nothing of ours but its socket (keep_only()), or a lock or a terminal would live as
//   long as its write. The file of a call comes with the call.
// - All signals are blocked: what it writes is the kernel's business to the end. Only SIGKILL
//   reaches it, and then a message that it had not yet read is sent to another one, while one that
//   it had read is EOWNERDEAD: nobody knows whether the write was made, so nobody repeats it.
// - One message is one call, so that no two writes can be mixed up.
// - It ends when its socket does. One that is idle is waited for; one that is left behind is reaped
//   when the next is started, or by init.
//
// It is kept between calls, as a fork costs more than most writes. An earlier one shared our memory
// to be quicker; that was not worth what it could break.
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
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/try.h"
#include "host/child.h"
#include "host/descriptor_message.h"

namespace anybind {
namespace {

using WaitClock = std::chrono::steady_clock;

constexpr char kRead = 'r';
constexpr char kWrite = 'w';
/// Whether to give up is asked so often: a signal may have come to another thread.
constexpr auto kLookEvery = std::chrono::milliseconds(250);
/// What the call still gets when we are asked to end: most return sooner, and then nothing is left
/// behind.
constexpr auto kGrace = std::chrono::seconds(1);
constexpr int kTries = 8;

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
    int file = -1;
    const ssize_t size =
        DescriptorMessage(&kind, 1, bytes.data(), bytes.size()).receive(socket, &file);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0 || file < 0) ::_exit(0);  // our parent has gone
    Done done = make_call(kind, file, bytes, static_cast<std::size_t>(size) - 1);
    ::close(file);
    const bool has_body = kind == kRead && done.count > 0;
    DescriptorMessage answer(&done, sizeof done, bytes.data(),
                             has_body ? static_cast<std::size_t>(done.count) : 0);
    if (answer.send(socket) < 0) ::_exit(0);
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
  CHECK(file.get() >= 0, "the file of a call is open");
  DescriptorMessage request(&kind, 1,
                            const_cast<char*>(bytes.data()),  // NOLINT(*-const-cast)
                            bytes.size());
  if (request.send(socket_.get(), file.get()) < 0) return failed();
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
  auto end = WaitClock::now() + patience.limit;
  auto left = patience.limit;
  bool is_hurried = false;
  for (;;) {
    TRY(limit_wait(std::min(left, kLookEvery)));
    Done done{};
    const ssize_t size =
        DescriptorMessage(&done, sizeof done, page_.data(), page_.size()).receive(socket_.get());
    if (size >= static_cast<ssize_t>(sizeof done)) return done;
    if (size >= 0) return std::unexpected(Errno{EOWNERDEAD});
    if (errno != EAGAIN && errno != EINTR) return failed();
    const auto now = WaitClock::now();
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
      CHECK(bytes.size() <= page_.size(), "a call is of one page at most");
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
      CHECK(pid_ > 0, "what is left behind is a child of ours");
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
  CHECK(count >= 0 && static_cast<std::size_t>(count) <= page_.size(),
        "the child reads no more than a page");
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
  CHECK(one != nullptr, "who gives back a process has taken one");
  const std::scoped_lock lock(mutex_);
  idle_.push_back(std::move(one));
}

}  // namespace anybind
