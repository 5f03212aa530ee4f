#include "inventory/select.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inventory/test_tree.h"

namespace anybind {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class SelectTest : public testing::Test {
 protected:
  void SetUp() override {
    tree_.pci({.address = "0000:00:1c.0", .ids = "8086:A110", .class_code = "60400"});
    tree_.pci({.address = "0000:03:00.0", .driver = "e1000e", .group = 7});
    tree_.pci({.address = "0000:03:00.1", .driver = "e1000e", .group = 7});
    tree_.pci({.address = "0000:04:00.0", .ids = "144D:A808", .class_code = "10802"});
    tree_.pci({.address = "10000:00:01.0", .ids = "8086:0A54", .class_code = "10802"});
    tree_.interface("net", "eth0", real("0000:03:00.0"));
    tree_.interface("nvme", "nvme0", real("0000:04:00.0"));
    tree_.device("platform", "devices/platform/serial8250", "DRIVER=serial8250\n");
    tree_.device("platform", "devices/platform/PNP0103:00", "");
    tree_.device("serio", "devices/platform/i8042/serio 0", "");
    tree_.dir("bus/platform/drivers/serial8250");
    tree_.link_to("bus/platform/drivers/serial8250/serial8250", "devices/platform/serial8250");
    tree_.put("bus/pci/drivers/e1000e/bind", "");
    tree_.put("bus/pci/drivers/idle/bind", "");
  }
  static std::string real(const std::string& address) { return "devices/pci0000:00/" + address; }

  static const char* word_of(ErrorKind kind) {
    if (kind == ErrorKind::kUsage) return "usage";
    return kind == ErrorKind::kNotFound ? "not found" : "another kind";
  }
  /// The devices as words; for an error its kind and advice.
  std::vector<std::string> pick(std::string_view text) {
    const auto ids = select_devices(tree_.sysfs(), text, tree_.root());
    if (!ids) return {word_of(ids.error().kind), ids.error().advice.plain()};
    std::vector<std::string> out;
    for (const DeviceId& id : *ids) out.push_back(id.str());
    return out;
  }
  Error error(std::string_view text) {
    const auto ids = select_devices(tree_.sysfs(), text, tree_.root());
    return ids ? Error{} : ids.error();
  }
  TestTree tree_;
};

TEST_F(SelectTest, ALinkThatLeadsNowhereIsNotAskedForAgain) {
  tree_.link("bus/platform/devices/PNP0B00:00", "../../../devices/pci0000:00/nowhere/PNP0B00:00");
  EXPECT_THAT(pick("platform/PNP0B00:00"), ElementsAre("not found", "list platform/*"));
  EXPECT_THAT(error("platform/PNP0B00:00").why, HasSubstr("only its link is left"));
}

TEST_F(SelectTest, AddressesInEveryForm) {
  for (const char* text :
       {"0000:03:00.0", "03:00.0", "3:0.0", "pci_0000_03_00_0", "pci/03:00.0", "00000000:03:00.0"})
    EXPECT_THAT(pick(text), ElementsAre("0000:03:00.0")) << text;
  EXPECT_THAT(pick("03:00"), ElementsAre("0000:03:00.0", "0000:03:00.1"));
  EXPECT_THAT(pick("10000:00:01.0"), ElementsAre("10000:00:01.0"));
  EXPECT_THAT(pick("0000:00:1C.0"), ElementsAre("0000:00:1c.0"));
}

TEST_F(SelectTest, ASlotIsAllEightFunctionsThatItCanHave) {
  tree_.pci({.address = "0000:05:00.0"});
  tree_.pci({.address = "0000:05:00.7"});
  EXPECT_THAT(pick("05:00"), ElementsAre("0000:05:00.0", "0000:05:00.7"));
}

TEST_F(SelectTest, UncheckedTakesAFullAddressAsItIs) {
  const auto ids = select_devices_unchecked(
      tree_.sysfs(), {"0000:99:00.0", "03:00", "0000:99:00.0"}, tree_.root());
  ASSERT_TRUE(ids);
  EXPECT_THAT(*ids,
              ElementsAre(pci_id("0000:99:00.0"), pci_id("0000:03:00.0"), pci_id("0000:03:00.1")));
  EXPECT_FALSE(select_devices_unchecked(tree_.sysfs(), {"99:00"}, tree_.root()));
}

TEST_F(SelectTest, BusAndName) {
  EXPECT_THAT(pick("platform/serial8250"), ElementsAre("platform/serial8250"));
  EXPECT_THAT(pick("platform/PNP0103:00"), ElementsAre("platform/PNP0103:00"));
  EXPECT_THAT(pick("serio/serio 0"), ElementsAre("serio/serio 0"));
}

TEST_F(SelectTest, PathsInSysfs) {
  const std::string root = tree_.root();
  EXPECT_THAT(pick(root + "/bus/pci/devices/0000:03:00.0"), ElementsAre("0000:03:00.0"));
  EXPECT_THAT(pick(root + "/devices/pci0000:00/0000:03:00.0/"), ElementsAre("0000:03:00.0"));
  EXPECT_THAT(pick(root + "/devices/pci0000:00/0000:03:00.0/uevent"), ElementsAre("0000:03:00.0"));
  EXPECT_THAT(pick(root + "/class/net/eth0"), ElementsAre("0000:03:00.0"));
  EXPECT_THAT(pick(root + "/devices/platform/PNP0103:00"), ElementsAre("platform/PNP0103:00"));
  EXPECT_EQ(error(root + "/bus").kind, ErrorKind::kNotFound);
  EXPECT_EQ(error(root + "/nosuch").kind, ErrorKind::kNotFound);
  EXPECT_EQ(error("/etc/passwd").kind, ErrorKind::kUsage);
  EXPECT_EQ(error(root + "x/devices").kind, ErrorKind::kUsage);
  EXPECT_EQ(error(root + "/../../etc/passwd").kind, ErrorKind::kNotFound);
}

TEST_F(SelectTest, InterfacesAndDisks) {
  EXPECT_THAT(pick("eth0"), ElementsAre("0000:03:00.0"));
  EXPECT_THAT(pick("nvme0"), ElementsAre("0000:04:00.0"));
}

TEST_F(SelectTest, Ids) {
  EXPECT_THAT(pick("id:8086:10d3"), ElementsAre("0000:03:00.0", "0000:03:00.1"));
  EXPECT_THAT(pick("id:144D:"), ElementsAre("0000:04:00.0"));
  EXPECT_THAT(pick("id:*:a808:1043:8534"), ElementsAre("0000:04:00.0"));
  for (const char* text : {"id:", "id:8086", "id:xyz:1", "id:18086:1", "id:1:2:3:4:5", "id:-1:2"})
    EXPECT_EQ(error(text).kind, ErrorKind::kUsage) << text;
  EXPECT_EQ(error("id:dead:beef").kind, ErrorKind::kNotFound);
  EXPECT_THAT(pick("id:8086"), ElementsAre("usage", "id:8086:* for all of this vendor"));
}

TEST_F(SelectTest, Classes) {
  EXPECT_THAT(pick("class:network"), ElementsAre("0000:03:00.0", "0000:03:00.1"));
  EXPECT_THAT(pick("class:storage"), ElementsAre("0000:04:00.0", "10000:00:01.0"));
  EXPECT_THAT(pick("class:0108"), ElementsAre("0000:04:00.0", "10000:00:01.0"));
  EXPECT_THAT(pick("class:060400"), ElementsAre("0000:00:1c.0"));
  EXPECT_EQ(pick("class:all").size(), 5U);
  EXPECT_THAT(pick("class:NVMe"), ElementsAre("0000:04:00.0", "10000:00:01.0"));
  EXPECT_THAT(pick("class:0x0604"), ElementsAre("0000:00:1c.0"));
  EXPECT_EQ(error("class:other").kind, ErrorKind::kNotFound);
  EXPECT_THAT(pick("class:netwrok"), ElementsAre("usage", "did you mean class:network?"));
  EXPECT_EQ(error("class:").kind, ErrorKind::kUsage);
}

TEST_F(SelectTest, Groups) {
  EXPECT_THAT(pick("group:7"), ElementsAre("0000:03:00.0", "0000:03:00.1"));
  EXPECT_EQ(error("group:8").kind, ErrorKind::kNotFound);
  EXPECT_EQ(error("group:x").kind, ErrorKind::kUsage);
  EXPECT_EQ(error("group:99999999999").kind, ErrorKind::kUsage);
}

TEST_F(SelectTest, DriversOfAnyBus) {
  EXPECT_THAT(pick("driver:e1000e"), ElementsAre("0000:03:00.0", "0000:03:00.1"));
  EXPECT_THAT(pick("driver:serial8250"), ElementsAre("platform/serial8250"));
  EXPECT_EQ(error("driver:idle").why, "this driver has no device");
  EXPECT_THAT(pick("driver:e100e"), ElementsAre("not found", "did you mean driver:e1000e?"));
  EXPECT_EQ(error("driver:a/b").kind, ErrorKind::kUsage);
}

TEST_F(SelectTest, Globs) {
  EXPECT_THAT(pick("0000:03:*"), ElementsAre("0000:03:00.0", "0000:03:00.1"));
  EXPECT_THAT(pick("03:00.[0-1]"), ElementsAre("0000:03:00.0", "0000:03:00.1"));
  EXPECT_THAT(pick("platform/serial*"), ElementsAre("platform/serial8250"));
  EXPECT_THAT(pick("*/*8250"), ElementsAre("platform/serial8250"));
  EXPECT_EQ(pick("*").size(), 5U);
  EXPECT_EQ(error("0000:ff:*").kind, ErrorKind::kNotFound);
  EXPECT_EQ(error("nosuchbus/*").kind, ErrorKind::kNotFound);
}

TEST_F(SelectTest, AGlobThatMeansNoAddressMeansNames) {
  EXPECT_THAT(pick("eth*"), ElementsAre("0000:03:00.0"));
  EXPECT_THAT(pick("[en]*[0-9]"), ElementsAre("0000:03:00.0", "0000:04:00.0"));
  EXPECT_EQ(error("wlan*").kind, ErrorKind::kNotFound);
}

TEST_F(SelectTest, RangesOfAddressesFunctionsAndNames) {
  EXPECT_THAT(pick("03:00.1-04:00.0"), ElementsAre("0000:03:00.1", "0000:04:00.0"));
  EXPECT_THAT(pick("03:00.0-7"), ElementsAre("0000:03:00.0", "0000:03:00.1"));
  EXPECT_EQ(error("04:00.0-03:00.0").kind, ErrorKind::kUsage);
  EXPECT_EQ(error("05:00.0-06:00.0").kind, ErrorKind::kNotFound);
  EXPECT_THAT(pick("nvme0-3"), ElementsAre("0000:04:00.0"));
  EXPECT_THAT(pick("eth0-eth9"), ElementsAre("0000:03:00.0"));
  EXPECT_EQ(error("eth1-9").kind, ErrorKind::kNotFound);
  for (const char* text : {"03:00.0-", "-03:00.0", "03:00.0-8", "eth-", "-", "0-1"})
    EXPECT_FALSE(select_devices(tree_.sysfs(), text, tree_.root())) << text;
  EXPECT_TRUE(means_name("nvme1-12", "nvme7"));
  EXPECT_FALSE(means_name("nvme1-12", "nvme07"));
  EXPECT_FALSE(means_name("nvme1-12", "nvme13"));
}

TEST_F(SelectTest, ListsWithCommas) {
  EXPECT_THAT(pick("eth0,nvme0"), ElementsAre("0000:03:00.0", "0000:04:00.0"));
  EXPECT_EQ(error("eth0,").kind, ErrorKind::kUsage);
  EXPECT_EQ(error("eth0,eth9").kind, ErrorKind::kNotFound);
  tree_.device("platform", "devices/platform/soc:a,b", "");
  EXPECT_THAT(pick("platform/soc:a,b"), ElementsAre("platform/soc:a,b"));
  EXPECT_THAT(pick("0000:0[3,9]:*"), ElementsAre("0000:03:00.0", "0000:03:00.1"));
  EXPECT_TRUE(looks_like_device("03:00.0,eth0"));
}

TEST_F(SelectTest, DriverlessOnesAndOverrides) {
  EXPECT_THAT(pick("driver:none"), ElementsAre("0000:00:1c.0", "0000:04:00.0", "10000:00:01.0"));
  tree_.put("devices/pci0000:00/0000:04:00.0/driver_override", "vfio-pci\n");
  tree_.put("devices/pci0000:00/0000:03:00.0/driver_override", "(null)\n");
  EXPECT_THAT(pick("override:vfio-pci"), ElementsAre("0000:04:00.0"));
  EXPECT_THAT(pick("override:*"), ElementsAre("0000:04:00.0"));
  EXPECT_EQ(error("override:igb").kind, ErrorKind::kNotFound);
  EXPECT_EQ(error("override:").kind, ErrorKind::kUsage);
}

TEST_F(SelectTest, ByNumaNode) {
  tree_.put("devices/pci0000:00/0000:04:00.0/numa_node", "1\n");
  tree_.put("devices/pci0000:00/0000:03:00.0/numa_node", "-1\n");
  EXPECT_THAT(pick("numa:1"), ElementsAre("0000:04:00.0"));
  EXPECT_EQ(error("numa:-1").kind, ErrorKind::kUsage);
}

TEST_F(SelectTest, UsbIdsMeanInterfaces) {
  tree_.device("usb", "devices/usb1/1-1", "");
  tree_.device("usb", "devices/usb1/1-1/1-1:1.0", "");
  tree_.put("devices/usb1/1-1/1-1:1.0/modalias",
            "usb:v046DpC52Bd2411dc00dsc00dp00ic03isc01ip01in00\n");
  EXPECT_THAT(pick("usb:046d:c52b"), ElementsAre("usb/1-1:1.0"));
  EXPECT_THAT(pick("usb:046D:*"), ElementsAre("usb/1-1:1.0"));
  EXPECT_THAT(pick("046d:c52b"), ElementsAre("not found", "did you mean usb:046d:c52b?"));
  EXPECT_THAT(pick("usb:1-1:1.0"), ElementsAre("not found", "did you mean usb/1-1:1.0?"));
}

TEST_F(SelectTest, VirtualFunctionsOfADevice) {
  tree_.pci({.address = "0000:03:10.0"});
  tree_.put("devices/pci0000:00/0000:03:00.0/sriov_numvfs", "1\n");
  tree_.link("devices/pci0000:00/0000:03:00.0/virtfn0", "../0000:03:10.0");
  EXPECT_THAT(pick("vfs:eth0"), ElementsAre("0000:03:10.0"));
  EXPECT_THAT(pick("vfs:03:00.0"), ElementsAre("0000:03:10.0"));
  EXPECT_EQ(error("vfs:nvme0").why, "it can have no virtual functions");
  EXPECT_EQ(error("vfs:03:00").kind, ErrorKind::kUsage);  // two devices
  EXPECT_EQ(error("vfs:vfs:eth0").kind, ErrorKind::kUsage);
}

TEST_F(SelectTest, ABareNumberIsRefused) {
  for (const char* text : {"03", "8086", "dead"})
    EXPECT_EQ(error(text).kind, ErrorKind::kUsage) << text;
}

TEST_F(SelectTest, WhatIsMeantAsAnAddressIsJudgedAsOne) {
  for (const char* text : {"03:00.9", "03:20.0", "3:0.0.0", "0000:03:00:0", "pci_0000_03_00_9",
                           "pci-0000:03:00.0", "pci:0000:03:00.0"}) {
    EXPECT_EQ(error(text).kind, ErrorKind::kNotFound) << text;
    EXPECT_EQ(error(text).why, "not a PCI address") << text;
  }
}

TEST_F(SelectTest, NearMissesAreSuggested) {
  EXPECT_THAT(pick("03:00.2"), ElementsAre("not found", HasSubstr("0000:03:00.")));
  EXPECT_THAT(pick("platform/serial8251"),
              ElementsAre("not found", "did you mean platform/serial8250?"));
  EXPECT_THAT(pick("platfrom/serial8250"), ElementsAre("not found", "did you mean platform?"));
  EXPECT_THAT(pick("etho0"), ElementsAre("not found", HasSubstr("eth0")));
  EXPECT_THAT(pick("PNP0103:00"), ElementsAre("not found", "did you mean platform/PNP0103:00?"));
  EXPECT_THAT(pick("platform"), ElementsAre("not found", "list platform/*"));
  EXPECT_THAT(pick("e1000e"), ElementsAre("not found", "its devices: driver:e1000e"));
}

TEST_F(SelectTest, NonsenseIsUsageOrNotFoundAndNeverACrash) {
  for (const std::string& text :
       {std::string(), std::string("\n"), std::string(5000, '*'), std::string("a\0b", 3),
        std::string("\xff\xfe"), std::string("/"), std::string("//"), std::string("pci/"),
        std::string("/x"), std::string("a/b/c"), std::string("["), std::string("id:::::"),
        std::string("../../etc"), std::string("03:00.8"), std::string("03:20.0")}) {
    const auto ids = select_devices(tree_.sysfs(), text, tree_.root());
    ASSERT_FALSE(ids) << text;
    EXPECT_TRUE(ids.error().kind == ErrorKind::kUsage || ids.error().kind == ErrorKind::kNotFound)
        << text;
  }
}

TEST_F(SelectTest, SeveralSelectorsKeepTheirOrderAndNameADeviceOnce) {
  const std::vector<std::string> texts = {"04:00.0", "eth0", "03:00", "04:00.0"};
  const auto ids = select_devices(tree_.sysfs(), texts, tree_.root());
  ASSERT_TRUE(ids);
  std::vector<std::string> out;
  for (const DeviceId& id : *ids) out.push_back(id.str());
  EXPECT_THAT(out, ElementsAre("0000:04:00.0", "0000:03:00.0", "0000:03:00.1"));
  const std::vector<std::string> bad = {"04:00.0", "nosuch"};
  EXPECT_FALSE(select_devices(tree_.sysfs(), bad, tree_.root()));
}

TEST_F(SelectTest, WhoOnlyLooksHearsThatThereIsNothing) {
  const std::vector<std::string> texts = {"driver:idle", "03:00.0", "class:audio", "driver:e100e"};
  std::vector<Error> none;
  const auto ids = select_what_there_is(tree_.sysfs(), texts, tree_.root(), none);
  ASSERT_TRUE(ids);
  EXPECT_THAT(*ids, ElementsAre(pci_id("0000:03:00.0")));
  ASSERT_EQ(none.size(), 3U);
  EXPECT_EQ(none[0].why, "this driver has no device");
  EXPECT_EQ(none[1].why, "nothing matches");
  EXPECT_EQ(none[2].advice.plain(), "did you mean driver:e1000e?");
  for (const char* text : {"eth9", "99:00.0", "group:99", "class:nosuch"})
    EXPECT_FALSE(select_what_there_is(tree_.sysfs(), {text}, tree_.root(), none)) << text;
}

TEST_F(SelectTest, ATreeWithoutAnyBusIsHarmless) {
  tree_.remove("bus");
  for (const char* text : {"03:00.0", "*", "*/*", "class:network", "driver:x", "x", "platform/x"})
    EXPECT_EQ(error(text).kind, ErrorKind::kNotFound) << text;
}

TEST_F(SelectTest, TellsDevicesFromDrivers) {
  for (const char* text : {"03:00.0", "03:00", "pci_0000_03_00_0", "id:8086:10d3", "class:network",
                           "platform/x", "/sys/devices/x", "0000:*"})
    EXPECT_TRUE(looks_like_device(text)) << text;
  for (const char* text : {"vfio-pci", "none", "e1000e", "i8042 kbd", "snd_hda_intel", "8250"})
    EXPECT_FALSE(looks_like_device(text)) << text;
}

}  // namespace
}  // namespace anybind
