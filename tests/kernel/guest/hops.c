// hops INTERFACE...: a default route of IPv4 with a hop through each, which busybox's ip cannot make. On the link, no
// gateway. The interfaces must be up.
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char **argv) {
  struct {
    struct nlmsghdr header;
    struct rtmsg route;
    struct rtattr attribute;
    struct rtnexthop hops[8];
  } message = {0};
  if (argc < 2 || argc > 9) return 2;
  for (int i = 1; i < argc; ++i) {
    const unsigned number = if_nametoindex(argv[i]);
    if (number == 0) {
      perror(argv[i]);
      return 1;
    }
    message.hops[i - 1].rtnh_len = sizeof message.hops[0];
    message.hops[i - 1].rtnh_ifindex = (int)number;
  }
  message.attribute.rta_type = RTA_MULTIPATH;
  message.attribute.rta_len = RTA_LENGTH((size_t)(argc - 1) * sizeof message.hops[0]);
  message.route = (struct rtmsg){.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT,
                                 .rtm_scope = RT_SCOPE_LINK, .rtm_type = RTN_UNICAST};
  message.header.nlmsg_len = NLMSG_LENGTH(sizeof message.route) + message.attribute.rta_len;
  message.header.nlmsg_type = RTM_NEWROUTE;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_ACK;
  struct {
    struct nlmsghdr header;
    struct nlmsgerr error;
    char rest[1024];
  } answer = {0};
  const int socket_fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  if (socket_fd < 0 || send(socket_fd, &message, message.header.nlmsg_len, 0) < 0 ||
      recv(socket_fd, &answer, sizeof answer, 0) < 0) {
    perror("netlink");
    return 1;
  }
  if (answer.error.error != 0) {
    puts(strerror(-answer.error.error));
    return 1;
  }
  return 0;
}
