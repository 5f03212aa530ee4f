#include "capture/capture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "drivercore/core/driver_core.h"
#include "drivercore/file/machine.h"
#include "drivercore/sysfs/model_sysfs.h"
#include "inventory/test_tree.h"

namespace anybind::lab {
namespace {

std::vector<std::string> children_in(TestTree& tree) {
  const auto state = capture(tree.sysfs(), {BusName::literal("pci")}, {}, Detail::kAll);
  std::vector<std::string> out;
  if (!state) return out;
  for (const auto& [key, device] : state->devices) {
    for (const auto& child : device.children) out.push_back(child.name);
  }
  return out;
}

TEST(CaptureTest, NoNameHasAMacAddressInIt) {
  const std::string card = "devices/pci0000:00/0000:00:03.0";
  TestTree tree;
  tree.pci({.address = "0000:00:03.0"});
  tree.interface("net", "enx525400123456", card);
  tree.interface("net", "wlx525400123456", card);
  tree.interface("net", "eth0", card + "/enx525400123456");
  tree.interface("net", "bat-52:54:00:12:34:56-0", card);
  tree.interface("net", "en525400123456789", card);
  EXPECT_THAT(children_in(tree),
              testing::UnorderedElementsAre(testing::MatchesRegex("enx0000000000.."),
                                            testing::MatchesRegex("wlx0000000000.."),
                                            testing::MatchesRegex("enx0000000000../net/eth0"),
                                            testing::MatchesRegex("bat-0000000000..-0"),
                                            "en525400123456789"));
}

/// "scsi/0:0:0:0 below scsi/host0: block/sda"
std::vector<std::string> places(const drivercore::State& state) {
  std::vector<std::string> out;
  for (const auto& [key, device] : state.devices) {
    std::string line = device.bus + "/" + device.name + " below " + device.parent;
    for (const auto& child : device.children) line += " " + child.kind + ":" + child.name;
    out.push_back(std::move(line));
  }
  return out;
}

TEST(CaptureTest, WhatADriverMadeOnAnotherBusStandsBelowItsDeviceAndHasItsInterfaces) {
  const std::string sata = "devices/pci0000:00/0000:00:1f.2";
  const std::string card = "devices/pci0000:00/0000:00:03.0";
  TestTree tree;
  tree.dir("bus/scsi/drivers");
  tree.dir("bus/virtio/drivers");
  tree.pci({.address = "0000:00:1f.2", .driver = "ahci"});
  tree.device("scsi", sata + "/ata1/host0", "DEVTYPE=scsi_host\n");
  tree.device("scsi", sata + "/ata1/host0/target0:0:0", "DEVTYPE=scsi_target\n");
  const std::string disk = sata + "/ata1/host0/target0:0:0/0:0:0:0";
  tree.device("scsi", disk, "DEVTYPE=scsi_device\nMODALIAS=scsi:t-0x00\n");
  tree.interface("block", "sda", disk);
  tree.pci({.address = "0000:00:03.0", .driver = "virtio-pci"});
  tree.device("virtio", card + "/virtio0", "MODALIAS=virtio:d00000001v00001AF4\n");
  tree.interface("net", "eth0", card + "/virtio0");
  const std::set<BusName> buses = {BusName::literal("pci"), BusName::literal("scsi"),
                                   BusName::literal("virtio")};
  const auto state = capture(tree.sysfs(), buses, {}, Detail::kAll);
  ASSERT_TRUE(state);
  EXPECT_THAT(places(*state),
              testing::UnorderedElementsAre("pci/0000:00:1f.2 below ", "pci/0000:00:03.0 below ",
                                            "scsi/host0 below pci/0000:00:1f.2",
                                            "scsi/target0:0:0 below host0",
                                            "scsi/0:0:0:0 below target0:0:0 block:sda",
                                            "virtio/virtio0 below pci/0000:00:03.0 net:eth0"));
  drivercore::DriverCore core(*state);
  ASSERT_TRUE(core.unbind("pci", "virtio-pci", "0000:00:03.0"));
  EXPECT_EQ(core.find("virtio", "virtio0"), nullptr);
  ASSERT_TRUE(core.bind("pci", "virtio-pci", "0000:00:03.0"));
  EXPECT_NE(core.find("virtio", "virtio0"), nullptr);
}

TEST(CaptureTest, HoldsWhatDecidesWhoGetsADevice) {
  auto machine = drivercore::load_machine(R"(
driver = [
  { name = "igb", ids = ["8086:1521"] },
  { name = "vfio-pci", module = "vfio_pci", managed_dma = true, needs_group = true, ids = ["*:* override_only"] },
]
device = [
  { address = "0000:03:00.0", id = "8086:1521", class = "020000", group = 3, driver = "vfio-pci", driver_override = "vfio-pci" },
  { address = "0000:04:00.0", id = "8086:1521", class = "020000", group = 4 },
]
)",
                                          "test");
  ASSERT_TRUE(machine) << machine.error().message();
  drivercore::DriverCore core(*std::move(machine));
  core.drivers_autoprobe("pci", "0").value();
  const auto state =
      capture(*drivercore::model_sysfs(core), {BusName::literal("pci")}, {}, Detail::kBinding);
  ASSERT_TRUE(state);
  EXPECT_FALSE(state->buses.at("pci").autoprobe);
  std::vector<std::string> lines;
  for (const auto& [key, device] : state->devices) {
    lines.push_back(device.name + " " + device.driver_override.value_or("-") + " " +
                    (device.driver ? state->drivers.at(*device.driver).name : "-") + " " +
                    std::to_string(device.group.value_or(0)) + (device.counted ? " counted" : ""));
  }
  EXPECT_THAT(lines, testing::ElementsAre("0000:03:00.0 vfio-pci vfio-pci 3",
                                          "0000:04:00.0 - igb 4 counted"));
}

TEST(CaptureTest, ADriverThatLetsNobodyBindByHandIsKeptAsThat) {
  TestTree tree;
  tree.device("faux", "devices/faux/reg-dummy", "DRIVER=faux_driver\n");
  tree.link_to("devices/faux/reg-dummy/driver", "bus/faux/drivers/faux_driver");
  tree.put("bus/faux/drivers/faux_driver/uevent", "");
  tree.put("bus/pci/drivers/one/bind", "");
  tree.put("bus/pci/drivers/one/unbind", "");
  const std::set<BusName> buses = {BusName::literal("pci"), BusName::literal("faux")};
  auto state = capture(tree.sysfs(), buses, {}, Detail::kBinding);
  ASSERT_TRUE(state) << state.error().message();
  std::vector<std::string> drivers;
  for (const auto& [key, driver] : state->drivers)
    drivers.push_back(driver.name + (driver.suppress_bind ? " alone" : ""));
  EXPECT_THAT(drivers, testing::UnorderedElementsAre("faux_driver alone", "one"));
  state->profile = *drivercore::find_profile("linux-7.3");
  const drivercore::DriverCore core(*state);
  ASSERT_NE(core.find("faux", "reg-dummy"), nullptr);
  EXPECT_TRUE(core.find("faux", "reg-dummy")->driver.has_value());
}

std::string loaded(TestTree& tree) {
  const auto state = capture(tree.sysfs(), {BusName::literal("pci")}, {}, Detail::kAll);
  if (!state) return state.error().message();
  const std::string text = save_machine(drivercore::DriverCore(*state).state());
  const auto again = drivercore::load_machine(text, "captured.toml");
  return again ? "" : again.error().message() + "\n" + text;
}

TEST(CaptureTest, WhatTheFirmwareWantsMappedIsKept) {
  TestTree tree;
  tree.pci({.address = "0000:00:03.0", .group = 3});
  tree.pci({.address = "0000:00:04.0", .group = 4});
  const std::string msi = drivercore::Group::kUsualRegion;
  tree.put("kernel/iommu_groups/3/reserved_regions", msi + "\n");
  tree.put("kernel/iommu_groups/4/reserved_regions",
           "0x00000000cd000000 0x00000000cd0fffff direct\nodd\n" + msi + "\n");
  const auto state = capture(tree.sysfs(), {BusName::literal("pci")}, {}, Detail::kBinding);
  ASSERT_TRUE(state);
  EXPECT_THAT(state->groups.at(3).regions, testing::IsEmpty()) << "as every group's";
  EXPECT_THAT(state->groups.at(4).regions,
              testing::ElementsAre("0x00000000cd000000 0x00000000cd0fffff direct", msi));
  EXPECT_EQ(loaded(tree), "");
}

TEST(CaptureTest, ANameThatIsNoUnicodeDoesNotKeepTheFileFromBeingLoaded) {
  TestTree tree;
  tree.pci({.address = "0000:00:03.0", .driver = "dr\xFFiver"});
  tree.interface("net", "et\xFFh", "devices/pci0000:00/0000:00:03.0");
  EXPECT_EQ(loaded(tree), "");
  EXPECT_EQ(children_in(tree), std::vector<std::string>{"et\\xffh"});
}

TEST(CaptureTest, ACardWithHundredsOfDisksCanBeLoaded) {
  TestTree tree;
  tree.pci({.address = "0000:00:03.0"});
  for (int i = 0; i < 300; ++i) {
    tree.interface("block", "sd" + std::to_string(i), "devices/pci0000:00/0000:00:03.0");
  }
  EXPECT_EQ(loaded(tree), "");
  EXPECT_EQ(children_in(tree).size(), 300U);
}

TEST(CaptureTest, AMachineOfWhichADeviceVanishedMeanwhileCanStillBeLoaded) {
  TestTree tree;
  tree.pci({.address = "0000:00:02.0", .class_code = "60400"});
  tree.pci({.address = "0000:01:00.0", .behind = "0000:00:02.0"});
  tree.pci({.address = "0000:00:04.0"});
  tree.link("devices/pci0000:00/0000:00:04.0/physfn", "../0000:00:05.0");
  tree.remove("bus/pci/devices/0000:00:02.0");
  EXPECT_EQ(loaded(tree), "");
}

}  // namespace
}  // namespace anybind::lab
