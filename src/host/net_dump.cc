#include "host/net_dump.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <system_error>
#include <thread>

#include "base/error.h"
#include "base/try.h"
#include "host/child.h"
#include "host/descriptor.h"

namespace anybind {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr int kMostTries = 8;  // of a dump during which something changed
constexpr std::array<std::uint16_t, 2> kQuestions = {RTM_GETADDR, RTM_GETROUTE};

/// What the kernel gives at most in one message (linux net/netlink/af_netlink.c:netlink_recvmsg).
constexpr std::size_t kMostAtOnce = 32768;

bool ask(int socket, std::uint16_t question) {
  struct {
    nlmsghdr header;
    rtgenmsg family;  // AF_UNSPEC: all
  } request{};
  request.header.nlmsg_len = NLMSG_LENGTH(sizeof request.family);
  request.header.nlmsg_type = question;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const auto* to = reinterpret_cast<const sockaddr*>(&kernel);  // NOLINT(*-reinterpret-cast)
  return ::sendto(socket, &request, request.header.nlmsg_len, 0, to, sizeof kernel) >= 0;
}

/// The header that `bytes` begin with, which may be too long for them.
nlmsghdr header_of(std::string_view bytes) {
  nlmsghdr out{};
  std::memcpy(&out, bytes.data(), std::min(bytes.size(), sizeof out));
  return out;
}

/// How many bytes of `bytes` the first message takes; 0: it is not whole.
std::size_t message_size(std::string_view bytes) {
  const std::size_t said = header_of(bytes).nlmsg_len;
  if (bytes.size() < sizeof(nlmsghdr) || said < sizeof(nlmsghdr) || said > bytes.size()) return 0;
  return std::min<std::size_t>(NLMSG_ALIGN(said), bytes.size());
}

/// The end of an answer is among these messages, or what cannot be read further.
bool has_end(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t size = message_size(bytes);
    const auto type = header_of(bytes).nlmsg_type;
    if (size == 0 || type == NLMSG_DONE || type == NLMSG_ERROR) return true;
    bytes.remove_prefix(size);
  }
  return false;
}

bool send_all(int to, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno != EINTR) return false;
    if (count > 0) bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

/// The child: hands the kernel's answers on. Only system calls and its own stack. Returns an errno.
int relay(int to) {
  const int socket = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (socket < 0) return errno;
  std::array<char, kMostAtOnce> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  for (const std::uint16_t question : kQuestions) {
    if (!ask(socket, question)) return errno;
    for (bool more = true; more;) {
      sockaddr_nl from{};
      socklen_t length = sizeof from;
      auto* sender = reinterpret_cast<sockaddr*>(&from);  // NOLINT(*-reinterpret-cast)
      const ssize_t count =
          ::recvfrom(socket, bytes.data(), bytes.size(), MSG_TRUNC, sender, &length);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return errno;
      if (from.nl_pid != 0) continue;  // not the kernel
      if (static_cast<std::size_t>(count) > bytes.size()) return EMSGSIZE;
      const std::string_view answer(bytes.data(), static_cast<std::size_t>(count));
      if (!send_all(to, answer)) return EPIPE;
      more = !has_end(answer);
    }
  }
  return 0;
}

/// Waits for a child that has closed its end. Returns the errno that it ends with.
int end_of(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return 0;  // somebody ignores the ends of our children
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

/// Leaves a child behind, which ends when the lock that it waits for is given back.
void abandon(pid_t pid) {
  ::kill(pid, SIGKILL);
  try {
    std::thread(end_of, pid).detach();
  } catch (const std::system_error&) {
    return;  // it stays in the table of processes until we end
  }
}

/// All that comes until the other end is closed.
Reply<std::string> hear(const Descriptor& from, SteadyClock::time_point limit) {
  std::string out;
  std::array<char, kMostAtOnce> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(limit - SteadyClock::now()).count();
    if (left <= 0) return std::unexpected(Errno{ETIMEDOUT});
    pollfd poll{.fd = from.get(), .events = POLLIN, .revents = 0};
    const int ready = ::poll(&poll, 1, static_cast<int>(left));
    if (ready < 0 && errno != EINTR) return failed();
    if (ready <= 0) continue;
    const ssize_t count = ::recv(from.get(), bytes.data(), bytes.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed();
    if (count == 0) return out;
    if (out.size() + static_cast<std::size_t>(count) > kMostNetDump)
      return std::unexpected(Errno{EFBIG});
    out.append(bytes.data(), static_cast<std::size_t>(count));
  }
}

Reply<std::string> ask_by_child(SteadyClock::time_point limit) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return failed();
  const Descriptor ours(ends[0]);
  Descriptor theirs(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return failed();
  if (pid == 0) {
    keep_only(theirs.get());
    ::_exit(relay(theirs.get()));
  }
  theirs = Descriptor();
  auto out = hear(ours, limit);
  if (!out) {
    abandon(pid);
    return out;
  }
  const int error = end_of(pid);
  if (error != 0) return std::unexpected(Errno{error});
  return out;
}

/// The messages that tell something; EAGAIN when something changed meanwhile.
Reply<std::string> only_news(std::string_view answers) {
  std::string out;
  std::size_t ends = 0;
  bool changed = false;
  while (!answers.empty()) {
    const std::size_t size = message_size(answers);
    if (size == 0) return std::unexpected(Errno{EBADMSG});
    const nlmsghdr header = header_of(answers);
    changed |= (header.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
    const bool is_end = header.nlmsg_type == NLMSG_DONE;
    if (is_end || header.nlmsg_type == NLMSG_ERROR) {
      std::int32_t error = 0;  // -EPERM
      if (size >= NLMSG_LENGTH(sizeof error))
        std::memcpy(&error, answers.data() + sizeof header, sizeof error);
      if (error != 0) return std::unexpected(Errno{-error});
      ends += is_end ? 1 : 0;
    } else {
      out.append(answers.substr(0, size));
    }
    answers.remove_prefix(size);
  }
  if (ends != kQuestions.size()) return std::unexpected(Errno{EBADMSG});
  if (changed) return std::unexpected(Errno{EAGAIN});
  return out;
}

}  // namespace

Reply<std::string> read_net_dump(std::chrono::milliseconds limit) {
  const auto end = SteadyClock::now() + limit;
  for (int left = kMostTries;; --left) {
    auto out = only_news(TRY(ask_by_child(end)));
    if (out || out.error().value != EAGAIN || left == 0) return out;
  }
}

}  // namespace anybind
