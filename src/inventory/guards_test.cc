#include "inventory/guards.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inventory/test_tree.h"

namespace anybind {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr const char* kCard = "0000:00:03.0";
constexpr const char* kReal = "devices/pci0000:00/0000:00:03.0";

class Guards : public testing::Test {
 protected:
  Guards() { tree_.pci({.address = kCard, .driver = "host"}); }

  std::vector<std::string> names() {
    std::vector<std::string> out;
    const Proc proc(tree_.root() + "/proc");
    for (const Blocker& blocker : find_blockers(tree_.sysfs(), proc, {pci_id(kCard)}))
      out.push_back(blocker.name);
    return out;
  }
  void nic(const std::string& flags) {
    tree_.interface("net", "eth0", kReal);
    tree_.put(std::string(kReal) + "/net/eth0/flags", flags + "\n");
  }
  void disk() {
    const std::string dir = std::string(kReal) + "/block/sda";
    tree_.interface("block", "sda", kReal);
    tree_.put(dir + "/dev", "8:0\n");
    tree_.put(dir + "/sda1/dev", "8:1\n");
    tree_.put(dir + "/sda1/partition", "1\n");
    tree_.link_to("class/block/sda1", dir + "/sda1");
  }
  void mapper() {
    tree_.link_to(std::string(kReal) + "/block/sda/sda1/holders/dm-0",
                  "devices/virtual/block/dm-0");
    tree_.put("devices/virtual/block/dm-0/dev", "254:0\n");
    tree_.put("devices/virtual/block/dm-0/dm/name", "vg-root\n");
    tree_.link_to("class/block/dm-0", "devices/virtual/block/dm-0");
  }
  TestTree tree_;
};

TEST_F(Guards, AnUnusedDeviceHasNone) {
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(Guards, AnInterfaceCountsWhenItIsUpAndHasARoute) {
  nic("0x1002");
  tree_.put("proc/net/route", "Iface Dest\neth0 0002000A 00000000 0001 0 0 0 00FFFFFF 0 0 0\n");
  EXPECT_THAT(names(), IsEmpty());
  tree_.put(std::string(kReal) + "/net/eth0/flags", "0x1003\n");
  EXPECT_THAT(names(), ElementsAre("interface-up"));
  tree_.put("proc/net/route", "eth1 00000000 0202000A 0003 0 0 0 00000000 0 0 0\n");
  EXPECT_THAT(names(), IsEmpty());
  tree_.put("proc/net/route", "eth0 00000000 0202000A 0003 0 0 0 00000000 0 0 0\n");
  EXPECT_THAT(names(), UnorderedElementsAre("default-route", "interface-up"));
}

TEST_F(Guards, OnlyAnIpv6AddressOfGlobalScopeCounts) {
  nic("0x1003");
  tree_.put("proc/net/if_inet6", "fe800000000000000000000000000001 02 40 20 80 eth0\n");
  EXPECT_THAT(names(), IsEmpty());
  tree_.put("proc/net/if_inet6", "20010db8000000000000000000000001 02 40 00 80 eth0\n");
  EXPECT_THAT(names(), ElementsAre("interface-up"));
}

TEST_F(Guards, AMemberOfABondCountsAlsoWhenItIsDown) {
  nic("0x1002");
  tree_.dir(std::string(kReal) + "/net/eth0/upper_bond0");
  EXPECT_THAT(names(), ElementsAre("interface-member"));
}

TEST_F(Guards, AMountOfAPartitionInAnyNamespace) {
  disk();
  tree_.put("proc/1/mountinfo", "22 1 0:5 / / rw - tmpfs none rw\n");
  tree_.link("proc/1/ns/mnt", "mnt:[1]");
  EXPECT_THAT(names(), IsEmpty());
  tree_.put("proc/77/mountinfo", "23 1 8:1 / /data rw shared:1 - ext4 /dev/sda1 rw\n");
  tree_.link("proc/77/ns/mnt", "mnt:[2]");
  EXPECT_THAT(names(), ElementsAre("mounted"));
}

TEST_F(Guards, TheRootFileSystemThroughADeviceMapper) {
  disk();
  mapper();
  tree_.link("proc/1/ns/mnt", "mnt:[1]");
  tree_.put("proc/1/mountinfo", "22 1 0:40 / / rw - btrfs /dev/mapper/vg-root rw\n");
  EXPECT_THAT(names(), UnorderedElementsAre("holder", "root-filesystem"));
}

TEST_F(Guards, Swap) {
  disk();
  tree_.put("proc/swaps", "Filename Type Size Used Priority\n/dev/sda1 partition 9 0 -2\n");
  EXPECT_THAT(names(), ElementsAre("swap"));
}

TEST_F(Guards, TheBootDisplayAndVirtualFunctionsInUse) {
  tree_.put(std::string(kReal) + "/boot_vga", "1\n");
  tree_.put(std::string(kReal) + "/sriov_numvfs", "1\n");
  tree_.pci({.address = "0000:00:03.1"});
  tree_.link_to(std::string(kReal) + "/virtfn0", "devices/pci0000:00/0000:00:03.1");
  EXPECT_THAT(names(), ElementsAre("boot-display"));
  tree_.link_to("devices/pci0000:00/0000:00:03.1/driver", "bus/pci/drivers/host");
  EXPECT_THAT(names(), UnorderedElementsAre("boot-display", "vf-in-use"));
}

TEST_F(Guards, OddTextIsNoBlockerAndNoCrash) {
  disk();
  nic("0xZZ");
  tree_.put("proc/net/route", "eth0\n\n \t\n");
  tree_.put("proc/swaps", "/\n");
  tree_.link("proc/1/ns/mnt", "mnt:[1]");
  tree_.put("proc/1/mountinfo", "- \n1 2 8:1 - - - -\n\n22 1 8:1 / /x rw -");
  EXPECT_THAT(names(), IsEmpty());
}

}  // namespace
}  // namespace anybind
