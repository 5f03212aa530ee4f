#include "inventory/net_interface.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

#include "inventory/test_tree.h"

namespace anybind {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> words(const std::vector<DeviceId>& ids) {
  std::vector<std::string> out;
  std::ranges::transform(ids, std::back_inserter(out), &DeviceId::str);
  return out;
}

class InterfaceTest : public testing::Test {
 protected:
  std::vector<std::string> behind(std::string_view name) {
    return words(devices_behind(tree_.sysfs(), name));
  }
  const std::string pci_ = "devices/pci0000:00/0000:00:03.0";
  TestTree tree_;
};

TEST_F(InterfaceTest, ANetworkInterfaceIsOnItsFunction) {
  tree_.pci({.address = "0000:00:03.0"});
  tree_.interface("net", "eth0", pci_);
  EXPECT_THAT(behind("eth0"), ElementsAre("0000:00:03.0"));
  EXPECT_THAT(behind("eth1"), IsEmpty());
}

TEST_F(InterfaceTest, AVirtioDeviceIsPassedOnTheWayToTheFunction) {
  tree_.pci({.address = "0000:00:03.0"});
  tree_.device("virtio", pci_ + "/virtio0", "DRIVER=virtio_blk\n");
  tree_.interface("block", "vda", pci_ + "/virtio0");
  EXPECT_THAT(behind("vda"), ElementsAre("0000:00:03.0"));
  const UsersByDevice users = read_users(tree_.sysfs());
  EXPECT_EQ(users.size(), 2U);
  EXPECT_THAT(users.at(pci_id("0000:00:03.0")), ElementsAre("block:vda"));
}

TEST_F(InterfaceTest, AUsbAdapterIsNotItsHostController) {
  tree_.pci({.address = "0000:00:03.0"});
  tree_.device("usb", pci_ + "/usb1/1-1/1-1:1.0", "DRIVER=ax88179_178a\n");
  tree_.interface("net", "enx0", pci_ + "/usb1/1-1/1-1:1.0");
  EXPECT_THAT(behind("enx0"), ElementsAre("usb/1-1:1.0"));
  EXPECT_FALSE(read_users(tree_.sysfs()).contains(pci_id("0000:00:03.0")));
}

TEST_F(InterfaceTest, ADiskBehindBridgesAndScsiIsOnTheNearestFunction) {
  tree_.pci({.address = "0000:00:1c.0", .class_code = "60400"});
  const std::string sata = "devices/pci0000:00/0000:00:1c.0/0000:02:00.0";
  tree_.pci({.address = "0000:02:00.0", .class_code = "10601", .behind = "0000:00:1c.0"});
  const std::string target = sata + "/ata1/host0/target0:0:0/0:0:0:0";
  tree_.device("scsi", target, "DRIVER=sd\n");
  tree_.interface("block", "sda", target);
  tree_.dir(target + "/block/sda/sda1");
  tree_.link_to("class/block/sda1", target + "/block/sda/sda1");
  EXPECT_THAT(behind("sda"), ElementsAre("0000:02:00.0"));
  EXPECT_THAT(behind("sda1"), ElementsAre("0000:02:00.0"));
  EXPECT_THAT(read_users(tree_.sysfs()).at(pci_id("0000:02:00.0")), ElementsAre("block:sda"));
}

TEST_F(InterfaceTest, AnNvmeNamespaceWithTwoPathsHasTwoFunctions) {
  const std::string other = "devices/pci0000:00/0000:00:04.0";
  tree_.pci({.address = "0000:00:03.0"});
  tree_.pci({.address = "0000:00:04.0"});
  tree_.interface("nvme", "nvme0", pci_);
  tree_.interface("nvme", "nvme1", other);
  const std::string subsystem = "devices/virtual/nvme-subsystem/nvme-subsys0";
  tree_.dir(subsystem + "/nvme0n1");
  tree_.link_to("class/block/nvme0n1", subsystem + "/nvme0n1");
  tree_.link_to(subsystem + "/nvme0", pci_ + "/nvme/nvme0");
  tree_.link_to(subsystem + "/nvme1", other + "/nvme/nvme1");
  EXPECT_THAT(behind("nvme0n1"), ElementsAre("0000:00:03.0", "0000:00:04.0"));
  EXPECT_THAT(behind("nvme1"), ElementsAre("0000:00:04.0"));
  EXPECT_THAT(read_users(tree_.sysfs()).at(pci_id("0000:00:03.0")),
              ElementsAre("block:nvme0n1", "nvme:nvme0"));
}

TEST_F(InterfaceTest, PartsOfACardAreNotListed) {
  tree_.pci({.address = "0000:00:03.0"});
  tree_.interface("drm", "card0", pci_);
  tree_.dir(pci_ + "/drm/card0/card0-HDMI-A-1");
  tree_.link_to("class/drm/card0-HDMI-A-1", pci_ + "/drm/card0/card0-HDMI-A-1");
  EXPECT_THAT(read_users(tree_.sysfs()).at(pci_id("0000:00:03.0")), ElementsAre("drm:card0"));
  EXPECT_THAT(read_interface_names(tree_.sysfs()), ElementsAre("card0"));
}

TEST_F(InterfaceTest, WhatHangsOnNoDeviceHasNone) {
  tree_.interface("net", "lo", "devices/virtual");
  EXPECT_THAT(behind("lo"), IsEmpty());
  EXPECT_THAT(read_users(tree_.sysfs()), IsEmpty());
}

TEST_F(InterfaceTest, RealPathFollowsEveryLink) {
  tree_.pci({.address = "0000:00:03.0"});
  tree_.interface("net", "eth0", pci_);
  tree_.link(pci_ + "/net/eth0/device", "../../../0000:00:03.0");
  EXPECT_EQ(real_path(tree_.sysfs(), "class/net/eth0/device"), pci_);
  EXPECT_EQ(real_path(tree_.sysfs(), "bus//pci/./devices/0000:00:03.0/"), pci_);
  EXPECT_EQ(real_path(tree_.sysfs(), pci_ + "/net/../uevent"), pci_ + "/uevent");
  EXPECT_EQ(read_syspath(tree_.sysfs(), pci_id("0000:00:03.0")), pci_);
}

TEST_F(InterfaceTest, RealPathDoesNotLeaveTheTreeNorLoop) {
  tree_.link("devices/up", "../..");
  tree_.link("devices/absolute", "/etc");
  tree_.link("devices/a", "b");
  tree_.link("devices/b", "a");
  const auto error = [&](std::string_view path) {
    const auto real = real_path(tree_.sysfs(), path);
    return real ? 0 : real.error().value;
  };
  EXPECT_EQ(error("devices/up/etc"), EXDEV);
  EXPECT_EQ(error("devices/absolute/passwd"), EXDEV);
  EXPECT_EQ(error("../x"), EXDEV);
  EXPECT_EQ(error("devices/a"), ELOOP);
  EXPECT_EQ(error("devices/nosuch"), ENOENT);
}

TEST_F(InterfaceTest, HostileClassesAreHarmless) {
  tree_.link("class/net/loop", "loop");
  tree_.link("class/net/out", "../../../../../../etc");
  tree_.link("class/net/gone", "../../devices/gone/net/gone");
  tree_.put("class/net/file", "x");
  tree_.link("class/block/abs", "/dev/sda");
  EXPECT_THAT(read_users(tree_.sysfs()), IsEmpty());
  for (const char* name : {"loop", "out", "gone", "file", "abs", "a/b", "", ".."})
    EXPECT_THAT(behind(name), IsEmpty()) << name;
}

TEST_F(InterfaceTest, TheNamesThatPeopleSayLeaveOutWhatSaysLess) {
  tree_.pci({.address = "0000:00:03.0"});
  tree_.pci({.address = "0000:00:04.0"});
  const std::string other = "devices/pci0000:00/0000:00:04.0";
  tree_.interface("nvme", "nvme0", pci_);
  tree_.interface("block", "nvme0n1", pci_ + "/nvme/nvme0");
  tree_.interface("nvme", "nvme1", other);
  tree_.interface("drm", "renderD128", other);
  tree_.interface("drm", "card0", other);
  tree_.interface("sound", "card0", pci_);
  const NamesByDevice names = read_names(tree_.sysfs());
  EXPECT_THAT(names.at(pci_id("0000:00:03.0")), ElementsAre("nvme0n1"));
  EXPECT_THAT(names.at(pci_id("0000:00:04.0")), ElementsAre("card0", "nvme1"));
}

}  // namespace
}  // namespace anybind
