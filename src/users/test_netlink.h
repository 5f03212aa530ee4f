#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <string>
#include <vector>

// What rtnetlink(7) says, for tests.
namespace anybind {

template <class T>
inline std::string bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};  // NOLINT(*-reinterpret-cast)
}

inline std::string message(unsigned short type, const std::string& rest) {
  nlmsghdr header{};
  header.nlmsg_len = static_cast<unsigned>(sizeof header + rest.size());
  header.nlmsg_type = type;
  return bytes_of(header) + rest;
}

inline std::string address(int family, unsigned char scope, unsigned interface) {
  ifaddrmsg out{};
  out.ifa_family = static_cast<unsigned char>(family);
  out.ifa_scope = scope;
  out.ifa_index = interface;
  return message(RTM_NEWADDR, bytes_of(out));
}

inline std::string attribute(unsigned short type, const std::string& value) {
  rtattr header{};
  header.rta_len = static_cast<unsigned short>(sizeof header + value.size());
  header.rta_type = type;
  return bytes_of(header) + value;
}

inline std::string out_of(unsigned interface) {
  return attribute(RTA_OIF, bytes_of(interface));
}

inline std::string hops(const std::vector<unsigned>& interfaces) {
  std::string out;
  for (const unsigned interface : interfaces) {
    const std::string gateway = attribute(RTA_GATEWAY, bytes_of(interface));
    rtnexthop hop{};
    hop.rtnh_len = static_cast<unsigned short>(sizeof hop + gateway.size());
    hop.rtnh_ifindex = static_cast<int>(interface);
    out += bytes_of(hop) + gateway;
  }
  return attribute(RTA_MULTIPATH, out);
}

struct Route {
  unsigned char family = AF_INET;
  unsigned char length = 0;
  unsigned char table = RT_TABLE_MAIN;
  unsigned char protocol = RTPROT_BOOT;
  unsigned char type = RTN_UNICAST;
  unsigned flags = 0;
  std::string through;
};

inline std::string route(const Route& it) {
  rtmsg out{};
  out.rtm_family = it.family;
  out.rtm_dst_len = it.length;
  out.rtm_table = it.table;
  out.rtm_protocol = it.protocol;
  out.rtm_type = it.type;
  out.rtm_flags = it.flags;
  return message(RTM_NEWROUTE, bytes_of(out) + attribute(RTA_PRIORITY, "\1\2\3\4") + it.through);
}

}  // namespace anybind
