#include "inventory/inventory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include <fmt/format.h>

#include "host/faulty_sysfs.h"
#include "host/tracing_sysfs.h"
#include "inventory/pci_class.h"
#include "inventory/test_tree.h"

namespace anybind {
namespace {

using testing::ElementsAre;

class InventoryTest : public testing::Test {
 protected:
  /// `count` devices, made cheaply: no IOMMU group, no driver.
  std::vector<DeviceId> many(unsigned count) {
    std::vector<DeviceId> ids;
    for (unsigned i = 0; i < count; ++i) {
      ids.push_back(pci_id(fmt::format("0000:{:02x}:{:02x}.{}", i >> 8, i >> 3 & 31U, i & 7U)));
      tree_.put(ids.back().path() + "/uevent", fmt::format("PCI_ID=8086:{:04X}\n", i));
    }
    return ids;
  }
  TestTree tree_;
};

TEST_F(InventoryTest, ReadsEachDeviceWithOneReadOfUeventAndNothingTwice) {
  tree_.pci({.address = "0000:03:00.0", .driver = "e1000e", .group = 7});
  Trace trace;
  const auto traced = trace_sysfs(tree_.sysfs(), trace);
  ASSERT_TRUE(read_inventory(*traced, {pci_id("0000:03:00.0")}, 1));
  std::vector<std::string> lines;
  for (const Operation& operation : trace) lines.push_back(operation.str());
  const std::string dir = "bus/pci/devices/0000:03:00.0";
  EXPECT_THAT(lines,
              ElementsAre("open " + dir, "read " + dir + "/uevent",
                          "read " + dir + "/driver_override", "readlink " + dir + "/iommu_group"));
}

TEST_F(InventoryTest, AnyNumberOfThreadsGivesTheSameInTheSameOrder) {
  const auto ids = many(600);
  const auto one = read_inventory(tree_.sysfs(), ids, 1);
  ASSERT_TRUE(one);
  ASSERT_EQ(one->size(), ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ASSERT_TRUE((*one)[i].pci) << i;
    EXPECT_EQ((*one)[i].pci->device, i) << "each with what is known of it";
  }
  for (const unsigned threads : {2U, 5U, 100U}) {
    const auto other = read_inventory(tree_.sysfs(), ids, threads);
    ASSERT_TRUE(other);
    ASSERT_EQ(other->size(), ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      EXPECT_EQ((*other)[i].id, ids[i]);
      EXPECT_EQ((*other)[i].pci, (*one)[i].pci);
    }
  }
}

TEST_F(InventoryTest, WhatIsGoneOrLeadsNowhereIsLeftOut) {
  tree_.pci({.address = "0000:03:00.0"});
  tree_.link("bus/pci/devices/0000:00:01.0", "../../../devices/gone");
  tree_.link("bus/pci/devices/0000:00:02.0", "0000:00:02.0");
  tree_.link("bus/pci/devices/0000:00:03.0", "../../../../../..");
  tree_.put("bus/pci/devices/0000:00:04.0", "a file");
  const auto devices =
      read_inventory(tree_.sysfs(),
                     {pci_id("0000:00:01.0"), pci_id("0000:00:02.0"), pci_id("0000:00:03.0"),
                      pci_id("0000:00:04.0"), pci_id("0000:00:05.0"), pci_id("0000:03:00.0")},
                     1);
  ASSERT_TRUE(devices);
  ASSERT_EQ(devices->size(), 1U);
  EXPECT_EQ(devices->front().id.str(), "0000:03:00.0");
}

TEST_F(InventoryTest, OneThatGoesWhileItIsOpenedIsLeftOut) {
  const auto ids = many(2);
  for (const int err : {ENOENT, ENODEV}) {
    Fault fault{.fail_at = 1, .err = {err}};
    const auto devices = read_inventory(*faulty_sysfs(tree_.sysfs(), fault), ids, 1);
    ASSERT_TRUE(devices) << err;
    ASSERT_EQ(devices->size(), 1U) << err;
    EXPECT_EQ(devices->front().id, ids[1]) << err;
  }
}

TEST_F(InventoryTest, AMachineThatDoesNotLetItselfBeReadIsAnError) {
  const auto ids = many(2);
  Fault fault{.fail_at = 1, .err = {EACCES}};
  EXPECT_EQ(read_inventory(*faulty_sysfs(tree_.sysfs(), fault), ids, 1).error().kind,
            ErrorKind::kNotPermitted);
  fault = {.fail_at = 1, .err = {EMFILE}};
  EXPECT_EQ(read_inventory(*faulty_sysfs(tree_.sysfs(), fault), ids, 1).error().err.value, EMFILE);
}

TEST_F(InventoryTest, NoErrnoAtAnyOperationMakesADeviceUpOrCrashes) {
  tree_.pci({.address = "0000:03:00.0", .driver = "e1000e", .group = 7});
  for (const int err : {ENOENT, ENODEV, EIO, EACCES, ELOOP, EINVAL, EFBIG}) {
    for (std::size_t at = 2; at < 8; ++at) {
      Fault fault{.fail_at = at, .err = {err}};
      const auto devices =
          read_inventory(*faulty_sysfs(tree_.sysfs(), fault), {pci_id("0000:03:00.0")}, 1);
      ASSERT_TRUE(devices) << err << " at " << at;
      EXPECT_EQ(devices->size(), 1U);
    }
  }
}

TEST(PciClassTest, WordsAreShortAndFallBackToTheBaseClass) {
  EXPECT_EQ(class_word(0x020000), "ethernet");
  EXPECT_EQ(class_word(0x010802), "nvme");
  EXPECT_EQ(class_word(0x028000), "network");
  EXPECT_EQ(class_word(0x130000), "other");
  for (std::uint32_t code = 0; code <= 0xFFFF; ++code) EXPECT_LE(class_word(code << 8).size(), 13U);
}

TEST(PciClassTest, EveryWordNamesABaseClass) {
  for (const std::string& word : base_class_words()) EXPECT_TRUE(base_class(word)) << word;
  EXPECT_EQ(base_class("network"), 2U);
  EXPECT_EQ(base_class("ethernet"), std::nullopt);
}

}  // namespace
}  // namespace anybind
