#include "users/login.h"

#include <array>
#include <cstring>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inventory/test_tree.h"
#include "users/guards.h"
#include "users/test_netlink.h"

namespace anybind {
namespace {

using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kCard = "0000:00:03.0";
const std::string kCardPath = "devices/pci0000:00/0000:00:03.0";

constexpr unsigned kCardNumber = 2;
constexpr unsigned kOtherNumber = 3;

/// The card has 192.0.2.7, and a default route.
class Logins : public testing::Test {
 protected:
  Logins() {
    tree_.pci({.address = kCard, .driver = "host"});
    tree_.interface("net", "eth0", kCardPath);
    tree_.put(kCardPath + "/net/eth0/ifindex", "2\n");
    tree_.put(kCardPath + "/net/eth0/flags", "0x1003\n");
    told(own_address(kCardNumber, {192, 0, 2, 7}) + own_address(kOtherNumber, {192, 0, 2, 8}) +
         route({.through = out_of(kCardNumber)}));
  }
  void told(const std::string& messages) {
    tree_.remove("proc/net/rtnetlink");
    tree_.put("proc/net/rtnetlink", messages);
  }
  static std::string own_address(unsigned interface, std::array<unsigned char, 4> bytes) {
    ifaddrmsg out{};
    out.ifa_family = AF_INET;
    out.ifa_scope = RT_SCOPE_UNIVERSE;
    out.ifa_index = interface;
    return message(RTM_NEWADDR, bytes_of(out) + attribute(IFA_ADDRESS, bytes_of(bytes)) +
                                    attribute(IFA_LOCAL, bytes_of(bytes)));
  }
  /// A connection from elsewhere to an address here, as /proc/net/tcp tells of it.
  static std::string connection(std::array<unsigned char, 4> here, const std::string& port,
                                int inode, const std::string& state = "01") {
    std::uint32_t word = 0;
    std::memcpy(&word, here.data(), sizeof word);
    return fmt::format(
        "   1: {:08X}:{} 0402000A:C0DE {} 00000000:00000000 02:00000000 00000000     0        0 "
        "{} 2 0000000000000000 20 4 29 10 -1\n",
        word, port, state, inode);
  }
  void connections(const std::string& lines) {
    tree_.put("proc/net/tcp", "  sl  local_address rem_address   st tx_queue rx_queue\n" + lines);
  }
  std::vector<Blocker> of_host(const std::string& login) {
    Host host(tree_.sysfs());
    host.proc = Proc(tree_.root() + "/proc");
    host.login = login;
    return find_blockers(host, {{.device = pci_id(kCard)}}).blockers;
  }
  std::vector<std::string> found(const std::string& login = "") {
    std::vector<std::string> out;
    for (const Blocker& blocker : of_host(login)) out.push_back(blocker.name);
    return out;
  }
  /// What is advised when nobody is logged in.
  std::vector<std::string> words() {
    std::vector<std::string> out;
    for (const Blocker& blocker : of_host("")) out.push_back(blocker.advice.plain());
    return out;
  }
  TestTree tree_;
};

TEST_F(Logins, NobodyIsAdvisedToTakeDownWhatTheyAreLoggedInOver) {
  EXPECT_THAT(found(), ElementsAre("default-route", "interface-up"));
  EXPECT_THAT(words(), Each(HasSubstr("ip link set eth0 down")));
  EXPECT_THAT(found("192.0.2.7"), ElementsAre("login", "default-route", "interface-up"));
  for (const Blocker& blocker : of_host("192.0.2.7")) {
    EXPECT_THAT(blocker.advice.plain(), HasSubstr("at the console")) << blocker.name;
    EXPECT_THAT(blocker.advice.plain(), Not(HasSubstr("ip link"))) << blocker.name;
  }
  EXPECT_THAT(found("192.0.2.8"), ElementsAre("default-route", "interface-up"));
  EXPECT_THAT(found("::ffff:192.0.2.7"), Contains("login"));
  EXPECT_THAT(found("nonsense"), Not(Contains("login")));
}

TEST_F(Logins, SudoForgetsTheAddressButTheProcessesAboveHaveTheConnection) {
  tree_.put("proc/self/status", "Name:\tanybind\nPPid:\t30\n");
  tree_.put("proc/30/status", "Name:\tsudo\nPPid:\t20\n");
  tree_.put("proc/20/status", "Name:\tsshd\nPPid:\t1\n");
  tree_.link("proc/20/fd/4", "socket:[777]");
  connections(connection({192, 0, 2, 8}, "01BB", 555) + connection({192, 0, 2, 7}, "08AE", 777));
  EXPECT_THAT(found(), Contains("login")) << "ssh on another port, too";
  EXPECT_EQ(of_host("").front().who, "you are logged in over eth0");
  connections(connection({192, 0, 2, 7}, "01BB", 555) + connection({192, 0, 2, 8}, "08AE", 777));
  EXPECT_THAT(found(), Not(Contains("login"))) << "the other card";
}

TEST_F(Logins, BehindTmuxEveryConnectionToSshCounts) {
  connections(connection({192, 0, 2, 7}, "0016", 777));
  EXPECT_EQ(of_host("").front().who, "somebody is logged in over eth0");
  EXPECT_THAT(found("192.0.2.8"), Not(Contains("login"))) << "whoever asks has come in otherwise";
  connections(connection({192, 0, 2, 7}, "0016", 777, "0A"));
  EXPECT_THAT(found(), Not(Contains("login"))) << "it only listens";
  connections(connection({192, 0, 2, 7}, "01BB", 777));
  EXPECT_THAT(found(), Not(Contains("login"))) << "a page that is being read";
}

TEST_F(Logins, ThePortOfABridgeCarriesTheLoginOfTheBridge) {
  told(own_address(7, {192, 0, 2, 7}));
  tree_.put("class/net/br0/ifindex", "7\n");
  tree_.link(kCardPath + "/net/eth0/upper_br0", "../../../../../class/net/br0");
  tree_.link(kCardPath + "/net/eth0/master", "../../../../../class/net/br0");
  EXPECT_THAT(words(), ElementsAre(HasSubstr("ip link set eth0 nomaster")));
  EXPECT_THAT(found("192.0.2.7"), ElementsAre("login", "interface-member"));
  EXPECT_THAT(of_host("192.0.2.7").back().advice.plain(), Not(HasSubstr("nomaster")));
}

TEST_F(Logins, WhereTheKernelDoesNotAnswerNoInterfaceIsAdvisedToBeTakenDown) {
  tree_.remove("proc/net/rtnetlink");
  tree_.dir("proc/net/rtnetlink");
  EXPECT_THAT(found("192.0.2.7"), ElementsAre("interface-up"));
  EXPECT_THAT(of_host("192.0.2.7").front().advice.plain(), HasSubstr("at the console"));
  EXPECT_THAT(of_host("").front().advice.plain(), HasSubstr("ip link set eth0 down"));
}

}  // namespace
}  // namespace anybind
