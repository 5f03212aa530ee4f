// The kernel's events, from a netlink socket. Anybody may send messages to such a socket: the
// kernel's come from port 0 and to a group, and everything else is dropped. When nobody reads for
// too long the kernel drops events and says so once (ENOBUFS), which whoever listens must take as
// "look at everything", as nobody can know what was missed.
#include "host/uevents.h"

#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/text.h"
#include "base/try.h"
#include "host/descriptor.h"

namespace anybind {
namespace {

constexpr int kBuffer = 16 << 20;
constexpr std::uint32_t kKernelGroup = 1;  // udev sends to group 2
constexpr std::size_t kLongest = 8192;     // linux UEVENT_BUFFER_SIZE is 2048

class NetlinkUevents final : public UeventSource {
 public:
  explicit NetlinkUevents(Descriptor socket) : socket_(std::move(socket)) {}

  Reply<std::optional<Uevent>> next(std::chrono::milliseconds wait) override {
    pollfd ready{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    const int count = ::poll(&ready, 1, static_cast<int>(wait.count()));
    if (count < 0 && errno != EINTR) return failed();
    if (count <= 0) return std::optional<Uevent>();
    std::array<char, kLongest> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    sockaddr_nl from{};
    socklen_t size = sizeof from;
    const ssize_t length = ::recvfrom(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT,
                                      reinterpret_cast<sockaddr*>(&from), &size);
    if (length < 0 && (errno == EINTR || errno == EAGAIN)) return std::optional<Uevent>();
    if (length < 0) return failed();
    if (size != sizeof from || from.nl_pid != 0 || from.nl_groups != kKernelGroup)
      return std::optional<Uevent>();
    return parse_uevent({buffer.data(), static_cast<std::size_t>(length)});
  }

  [[nodiscard]] int descriptor() const override { return socket_.get(); }

 private:
  Descriptor socket_;
};

}  // namespace

std::optional<Uevent> parse_uevent(std::string_view message) {
  if (!message.ends_with('\0')) return std::nullopt;  // cut, or no text
  const std::string_view head = message.substr(0, message.find('\0'));
  const auto at = head.find('@');
  if (at == std::string_view::npos || at == 0 || !head.substr(at + 1).starts_with("/"))
    return std::nullopt;
  Uevent out{.action = std::string(head.substr(0, at)),
             .devpath = std::string(head.substr(at + 1))};
  message.remove_prefix(head.size() + 1);
  while (!message.empty()) {
    const std::string_view pair = message.substr(0, message.find('\0'));
    message.remove_prefix(pair.size() + 1);
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const std::string_view key = pair.substr(0, equals);
    const std::string_view value = pair.substr(equals + 1);
    if (key == "ACTION" || key == "DEVPATH") continue;  // as the head says
    if (key == "SUBSYSTEM") {
      out.subsystem = value;
    } else if (key == "SEQNUM") {
      out.seqnum = parse_decimal(value).value_or(0);
    } else {
      if (key == "SYNTH_UUID") out.is_synthetic = true;
      out.keys.emplace(key, value);
    }
  }
  return out;
}

Reply<std::unique_ptr<UeventSource>> listen_to_uevents() {
  Descriptor socket(
      ::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT));
  if (socket.get() < 0) return failed();
  // The second does without rights, up to a limit.
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kBuffer, sizeof kBuffer) != 0)
    static_cast<void>(::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &kBuffer, sizeof kBuffer));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = kKernelGroup;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return failed();
  return std::make_unique<NetlinkUevents>(std::move(socket));
}

}  // namespace anybind
