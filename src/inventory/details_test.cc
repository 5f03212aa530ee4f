#include "inventory/details.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inventory/test_tree.h"

namespace anybind {
namespace {

using testing::ElementsAre;

class DetailsTest : public testing::Test {
 protected:
  Result<Details> details(std::string_view address = "0000:03:00.0") {
    return read_details(tree_.sysfs(), pci_id(address));
  }
  const std::string real_ = "devices/pci0000:00/0000:03:00.0";
  TestTree tree_;
};

TEST_F(DetailsTest, AFunctionWithEverything) {
  tree_.pci({.address = "0000:03:00.0", .driver = "ixgbe", .group = 7});
  tree_.link_to("bus/pci/drivers/ixgbe/module", "module/ixgbe");
  tree_.put(real_ + "/numa_node", "1\n");
  tree_.put(real_ + "/power_state", "D0\n");
  tree_.put(real_ + "/power/runtime_status", "active\n");
  tree_.put(real_ + "/revision", "0x01\n");
  tree_.interface("net", "eth0", real_);
  const auto found = details();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->syspath, real_);
  EXPECT_EQ(found->module, "ixgbe");
  EXPECT_EQ(found->group->members.size(), 1U);
  EXPECT_EQ(found->numa_node, 1U);
  EXPECT_EQ(found->power_state, "D0");
  EXPECT_EQ(found->runtime_status, "active");
  EXPECT_EQ(found->revision, 1U);
  EXPECT_THAT(found->users, ElementsAre("net:eth0"));
}

TEST_F(DetailsTest, PhysicalAndVirtualFunctionsNameEachOther) {
  tree_.pci({.address = "0000:03:00.0"});
  tree_.pci({.address = "0000:03:10.0"});
  tree_.pci({.address = "0000:03:10.2"});
  tree_.put(real_ + "/sriov_totalvfs", "8\n");
  tree_.put(real_ + "/sriov_numvfs", "2\n");
  tree_.put(real_ + "/sriov_drivers_autoprobe", "0\n");
  tree_.link(real_ + "/virtfn1", "../0000:03:10.2");
  tree_.link(real_ + "/virtfn0", "../0000:03:10.0");
  tree_.link("devices/pci0000:00/0000:03:10.2/physfn", "../0000:03:00.0");
  EXPECT_EQ(details()->sriov,
            (SriovView{2, 8, false, {pci_id("0000:03:10.0"), pci_id("0000:03:10.2")}}));
  EXPECT_EQ(details("0000:03:10.2")->physical_function, pci_id("0000:03:00.0"));
}

TEST_F(DetailsTest, WhatIsAbsentOrNonsenseIsEmpty) {
  tree_.pci({.address = "0000:03:00.0", .driver = "ixgbe"});
  tree_.put(real_ + "/numa_node", "-1\n");
  tree_.put(real_ + "/revision", std::string("\0\xff", 2));
  tree_.put(real_ + "/sriov_totalvfs", "many\n");
  tree_.link(real_ + "/physfn", "../../../etc/passwd");
  tree_.link(real_ + "/virtfn0", "virtfn0");
  const auto found = details();
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->module);
  EXPECT_FALSE(found->group);
  EXPECT_FALSE(found->numa_node);
  EXPECT_FALSE(found->revision);
  EXPECT_FALSE(found->sriov);
  EXPECT_FALSE(found->physical_function);
  EXPECT_FALSE(found->power_state);
}

TEST_F(DetailsTest, ADeviceThatIsGoneIsNotFound) {
  EXPECT_EQ(details("0000:09:00.0").error().kind, ErrorKind::kNotFound);
}

}  // namespace
}  // namespace anybind
