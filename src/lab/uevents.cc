#include "lab/uevents.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <string>

namespace anybind::lab {

void send_uevent(int socket, const drivercore::Uevent& event) {
  std::string text = event.action + "@" + event.devpath + '\0';
  for (const std::string& line : event.lines) {
    if (!line.starts_with("SEQNUM=")) text += line + '\0';
  }
  nlmsghdr header{};
  header.nlmsg_len = static_cast<std::uint32_t>(NLMSG_HDRLEN + text.size());
  header.nlmsg_type = NLMSG_MIN_TYPE;
  header.nlmsg_flags = NLM_F_REQUEST;
  iovec parts[] = {{.iov_base = &header, .iov_len = NLMSG_HDRLEN},
                   {.iov_base = text.data(), .iov_len = text.size()}};
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  msghdr message{};
  message.msg_name = &kernel;
  message.msg_namelen = sizeof kernel;
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  (void)::sendmsg(socket, &message, MSG_NOSIGNAL);
}

}  // namespace anybind::lab
