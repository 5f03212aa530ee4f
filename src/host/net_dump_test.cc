#include "host/net_dump.h"

#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cstring>
#include <string_view>

#include <gtest/gtest.h>

namespace anybind {
namespace {

std::size_t addresses_by_libc() {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return 0;
  std::size_t out = 0;
  for (const ifaddrs* at = all; at != nullptr; at = at->ifa_next) {
    const bool is_ip = at->ifa_addr != nullptr &&
                       (at->ifa_addr->sa_family == AF_INET || at->ifa_addr->sa_family == AF_INET6);
    out += is_ip ? 1 : 0;
  }
  ::freeifaddrs(all);
  return out;
}

TEST(NetDump, HasTheAddressesAndRoutesAndNothingElse) {
  const auto dump = read_net_dump(std::chrono::seconds(10));
  ASSERT_TRUE(dump) << dump.error().name();
  std::size_t addresses = 0;
  std::string_view rest = *dump;
  while (!rest.empty()) {
    nlmsghdr header{};
    ASSERT_GE(rest.size(), sizeof header);
    std::memcpy(&header, rest.data(), sizeof header);
    ASSERT_GE(header.nlmsg_len, sizeof header);
    ASSERT_LE(header.nlmsg_len, rest.size());
    EXPECT_TRUE(header.nlmsg_type == RTM_NEWADDR || header.nlmsg_type == RTM_NEWROUTE)
        << header.nlmsg_type;
    if (header.nlmsg_type == RTM_NEWADDR) ++addresses;
    rest.remove_prefix(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), rest.size()));
  }
  EXPECT_EQ(addresses, addresses_by_libc());
}

TEST(NetDump, GivesUpWhenTheTimeIsOver) {
  const auto dump = read_net_dump(std::chrono::milliseconds(0));
  ASSERT_FALSE(dump);
  EXPECT_EQ(dump.error().name(), "ETIMEDOUT");
}

}  // namespace
}  // namespace anybind
