#include "plan/taken_along.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inventory/test_tree.h"

namespace anybind {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

DeviceId at(std::string_view bus, std::string_view name) {
  return {.bus = BusName::literal(bus), .name = DeviceName::literal(name)};
}

class FamilyTest : public testing::Test {
 protected:
  FamilyTest() {
    tree_.pci({.address = "0000:00:14.0", .class_code = "c0330", .driver = "xhci_hcd"});
    tree_.device("usb", "devices/pci0000:00/0000:00:14.0/usb1", "");
    tree_.device("platform", "devices/platform/soc", "");
    tree_.device("platform", "devices/platform/soc/mmc", "");
    tree_.device("platform", "devices/platform/soc/mmc/phy", "");
  }
  Going leaves(const DeviceId& device) {
    return {.device = device, .leaves = DriverName::literal("driver")};
  }
  static Going stays(const DeviceId& device) { return {.device = device, .leaves = std::nullopt}; }
  TestTree tree_;
  const DeviceId kXhci = pci_id("0000:00:14.0");
  const DeviceId kUsb = at("usb", "usb1");
  const DeviceId kSoc = at("platform", "soc");
  const DeviceId kMmc = at("platform", "mmc");
  const DeviceId kPhy = at("platform", "phy");
};

TEST_F(FamilyTest, WhatADriverMadeIsTakenWhenItsDeviceLeaves) {
  const Family one = family_of(tree_.sysfs(), {stays(kUsb), leaves(kXhci)});
  EXPECT_THAT(one.taken, ElementsAre(Pair(0, Family::Taken{.by = 1, .goes = Goes::kSurely})));
  EXPECT_THAT(one.order, ElementsAre(1));
  const Family other = family_of(tree_.sysfs(), {leaves(kUsb), stays(kXhci)});
  EXPECT_THAT(other.taken, IsEmpty());
  EXPECT_THAT(other.order, ElementsAre(0, 1));
}

TEST_F(FamilyTest, WhatMayGoComesBeforeWhatItMayGoWith) {
  const Family family =
      family_of(tree_.sysfs(), {leaves(kSoc), leaves(kXhci), leaves(kMmc), leaves(kPhy)});
  EXPECT_THAT(family.taken, IsEmpty());
  EXPECT_THAT(family.order, ElementsAre(3, 2, 0, 1));
}

TEST_F(FamilyTest, OthersStayAsTheyCame) {
  const Family family = family_of(tree_.sysfs(), {stays(kSoc), leaves(kXhci), stays(kMmc)});
  EXPECT_THAT(family.order, ElementsAre(0, 1, 2));
}

TEST_F(FamilyTest, OneDeviceIsNotLookedAt) {
  EXPECT_THAT(family_of(tree_.sysfs(), {leaves(pci_id("0000:0f:00.0"))}).order, ElementsAre(0));
}

TEST_F(FamilyTest, ATreeThatGoesRoundInCirclesEnds) {
  tree_.pci({.address = "0000:00:15.0"});
  tree_.pci({.address = "0000:00:16.0"});
  tree_.link("devices/pci0000:00/0000:00:15.0/physfn", "../0000:00:16.0");
  tree_.link("devices/pci0000:00/0000:00:16.0/physfn", "../0000:00:15.0");
  const Family family =
      family_of(tree_.sysfs(), {leaves(pci_id("0000:00:15.0")), leaves(pci_id("0000:00:16.0"))});
  EXPECT_THAT(family.order, IsEmpty());
  EXPECT_EQ(family.taken.size(), 2U);
}

}  // namespace
}  // namespace anybind
