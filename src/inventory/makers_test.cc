#include "inventory/makers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inventory/test_tree.h"

namespace anybind {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

DeviceId on(std::string_view bus, std::string_view name) {
  return {.bus = BusName::literal(bus), .name = DeviceName::literal(name)};
}

/// One host controller, its hubs and sticks; a card with a virtual function; and more.
class MakersTest : public testing::Test {
 protected:
  MakersTest() {
    tree_.pci({.address = "0000:00:1c.0", .class_code = "60400", .driver = "pcieport"});
    tree_.pci({.address = "0000:00:14.0", .class_code = "c0330", .driver = "xhci_hcd"});
    tree_.pci({.address = "0000:01:00.0", .driver = "ice", .behind = "0000:00:1c.0"});
    tree_.pci({.address = "0000:01:10.0", .behind = "0000:00:1c.0"});
    tree_.link("devices/pci0000:00/0000:00:1c.0/0000:01:10.0/physfn", "../0000:01:00.0");
    tree_.device("usb", kUsb + "usb1", "DEVTYPE=usb_device\n");
    tree_.device("usb", kUsb + "usb1/1-0:1.0", "");
    tree_.device("usb", kUsb + "usb1/1-1", "DEVTYPE=usb_device\n");
    tree_.device("usb", kUsb + "usb1/1-1/1-1:1.0", "");
    tree_.device("scsi", kUsb + "usb1/1-1/1-1:1.0/host2/target2:0:0/2:0:0:0", "");
    tree_.link_to(kUsb + "usb1/1-0:1.0/driver", "bus/usb/drivers/hub");
  }
  std::vector<Makers::Maker> of(const std::vector<DeviceId>& devices, const DeviceId& device) {
    return Makers(tree_.sysfs(), devices).of(device);
  }
  static Makers::Maker surely(std::size_t at) { return {.at = at, .goes = Goes::kSurely}; }
  static Makers::Maker perhaps(std::size_t at) { return {.at = at, .goes = Goes::kPerhaps}; }
  static Makers::Maker as_function(std::size_t at) { return {.at = at, .goes = Goes::kAsFunction}; }

  const std::string kUsb = "devices/pci0000:00/0000:00:14.0/";
  const DeviceId kXhci = pci_id("0000:00:14.0");
  const DeviceId kPort = pci_id("0000:00:1c.0");
  const DeviceId kCard = pci_id("0000:01:00.0");
  const DeviceId kFunction = pci_id("0000:01:10.0");
  TestTree tree_;
};

TEST_F(MakersTest, AHostControllerTakesItsUsbDevicesAndWhatIsBelowThem) {
  for (const DeviceId& id :
       {on("usb", "usb1"), on("usb", "1-1"), on("usb", "1-1:1.0"), on("scsi", "2:0:0:0")}) {
    EXPECT_THAT(of({kXhci}, id), ElementsAre(surely(0))) << id.str();
  }
}

TEST_F(MakersTest, ADeviceDoesNotTakeWhatIsAboveOrBesideIt) {
  EXPECT_THAT(of({on("usb", "1-1")}, kXhci), IsEmpty());
  EXPECT_THAT(of({on("usb", "1-1")}, on("usb", "1-0:1.0")), IsEmpty());
  EXPECT_THAT(of({kXhci}, kXhci), IsEmpty()) << "nor itself";
}

TEST_F(MakersTest, TheNearestComesFirst) {
  EXPECT_THAT(of({kXhci, on("usb", "1-1"), on("usb", "1-1:1.0")}, on("scsi", "2:0:0:0")),
              ElementsAre(surely(2), surely(1), surely(0)));
}

TEST_F(MakersTest, WhatHangsOnAHubGoesWithTheInterfaceOfTheHub) {
  EXPECT_THAT(of({on("usb", "1-0:1.0")}, on("usb", "1-1")), ElementsAre(surely(0)));
  EXPECT_THAT(of({on("usb", "1-0:1.0")}, on("scsi", "2:0:0:0")), ElementsAre(surely(0)));
  tree_.remove(kUsb + "usb1/1-0:1.0/driver");
  EXPECT_THAT(of({on("usb", "1-0:1.0")}, on("usb", "1-1")), IsEmpty());
}

TEST_F(MakersTest, FunctionsBehindABridgeStay) {
  EXPECT_THAT(of({kPort}, kCard), IsEmpty());
  tree_.device("virtio", "devices/pci0000:00/0000:00:1c.0/0000:01:00.0/virtio0", "");
  EXPECT_THAT(of({kPort}, on("virtio", "virtio0")), IsEmpty()) << "and what is below them";
  EXPECT_THAT(of({kPort, kCard}, on("virtio", "virtio0")), ElementsAre(surely(1)));
  const std::string service = "devices/pci0000:00/0000:00:1c.0/0000:00:1c.0:pcie001";
  tree_.device("pci_express", service, "");
  EXPECT_THAT(of({kPort}, on("pci_express", "0000:00:1c.0:pcie001")), ElementsAre(surely(0)))
      << "but not its own services";
}

TEST_F(MakersTest, ADriverThatMadeARootBusTakesAllOfIt) {
  tree_.pci({.address = "0000:00:0e.0", .driver = "vmd"});
  const std::string disk =
      "devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/10000:e1:00.0";
  tree_.device("pci", disk, "");
  EXPECT_THAT(of({pci_id("0000:00:0e.0")}, pci_id("10000:e1:00.0")), ElementsAre(surely(0)));
}

TEST_F(MakersTest, VirtualFunctionsGoWithThePhysicalOne) {
  EXPECT_THAT(of({kPort, kCard}, kFunction), ElementsAre(as_function(1)));
  EXPECT_THAT(of({kFunction}, kCard), IsEmpty());
  tree_.device("virtio", "devices/pci0000:00/0000:00:1c.0/0000:01:10.0/virtio3", "");
  EXPECT_THAT(of({kCard}, on("virtio", "virtio3")), ElementsAre(as_function(0)))
      << "with what is below them";
  EXPECT_TRUE(Makers(tree_.sysfs(), {kCard}).takes(kFunction));
  EXPECT_FALSE(Makers(tree_.sysfs(), {kPort}).takes(kFunction));
}

TEST_F(MakersTest, WhatFirmwareMayHaveMadeIsNotSure) {
  tree_.device("platform", "devices/pci0000:00/0000:00:14.0/PNP0C09:00", "");
  tree_.device("platform", "devices/platform/soc", "");
  tree_.device("platform", "devices/platform/soc/fe300000.mmc", "");
  EXPECT_THAT(of({kXhci}, on("platform", "PNP0C09:00")), ElementsAre(perhaps(0)));
  EXPECT_THAT(of({on("platform", "soc")}, on("platform", "fe300000.mmc")), ElementsAre(perhaps(0)));
  EXPECT_FALSE(Makers(tree_.sysfs(), {kXhci}).takes(on("platform", "PNP0C09:00")));
}

TEST_F(MakersTest, OddTreesAreNoReasonToGuess) {
  tree_.device("usb", kUsb + "usb1/1-9", "");
  tree_.remove(kUsb + "usb1/subsystem");
  tree_.remove(kUsb + "usb1/1-9/subsystem");
  EXPECT_THAT(of({kXhci}, on("usb", "1-9")), ElementsAre(perhaps(0))) << "no bus can be told";
  tree_.link("devices/pci0000:00/0000:00:1c.0/0000:01:00.0/physfn", "../0000:01:00.0");
  EXPECT_THAT(of({kCard}, kCard), ElementsAre(as_function(0)))
      << "as the tree says; callers pass it over";
  EXPECT_THAT(of({kXhci}, pci_id("0000:0f:00.0")), IsEmpty()) << "a device that is not there";
}

}  // namespace
}  // namespace anybind
