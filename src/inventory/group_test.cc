#include "inventory/group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inventory/test_tree.h"

namespace anybind {
namespace {

using testing::ElementsAre;

class GroupTest : public testing::Test {
 protected:
  /// "ADDRESS DRIVER", with a '!' where the member blocks user space.
  std::vector<std::string> view(unsigned group = 7) {
    std::vector<std::string> out;
    const auto view = read_group_view(tree_.sysfs(), group);
    if (!view) return {view.error().message()};
    for (const GroupMember& member : view->members) {
      out.push_back(member.id.str() + " " + (member.driver ? member.driver->str() : "-") +
                    (member.is_bridge ? " bridge" : "") + (member.blocks_user_space() ? " !" : ""));
    }
    return out;
  }
  TestTree tree_;
};

TEST_F(GroupTest, AGraphicsCardIsNotAloneInItsGroup) {
  tree_.pci({.address = "0000:00:01.0", .class_code = "60400", .driver = "pcieport", .group = 7});
  tree_.pci({.address = "0000:01:00.0", .class_code = "30000", .driver = "nouveau", .group = 7});
  tree_.pci(
      {.address = "0000:01:00.1", .class_code = "40300", .driver = "snd_hda_intel", .group = 7});
  tree_.pci({.address = "0000:02:00.0", .driver = "e1000e", .group = 8});
  EXPECT_THAT(view(), ElementsAre("0000:00:01.0 pcieport bridge", "0000:01:00.0 nouveau !",
                                  "0000:01:00.1 snd_hda_intel !"));
}

TEST_F(GroupTest, DriversThatManageDmaAndDriverlessDevicesDoNotBlock) {
  tree_.pci({.address = "0000:01:00.0", .driver = "vfio-pci", .group = 7});
  tree_.pci({.address = "0000:01:00.1", .driver = "pci-stub", .group = 7});
  tree_.pci({.address = "0000:01:00.2", .driver = "mlx5_vfio_pci", .group = 7});
  tree_.pci({.address = "0000:01:00.3", .group = 7});
  EXPECT_THAT(view(), ElementsAre("0000:01:00.0 vfio-pci", "0000:01:00.1 pci-stub",
                                  "0000:01:00.2 mlx5_vfio_pci", "0000:01:00.3 -"));
}

TEST_F(GroupTest, ABridgeWithAHostDriverBlocksLikeAnyOther) {
  tree_.pci({.address = "0000:00:1e.0", .class_code = "60401", .driver = "shpchp", .group = 7});
  tree_.pci({.address = "0000:00:1f.0", .class_code = "60100", .driver = "lpc_ich", .group = 7});
  tree_.pci({.address = "0000:00:1f.1", .class_code = "60100", .group = 7});
  EXPECT_THAT(view(), ElementsAre("0000:00:1e.0 shpchp bridge !", "0000:00:1f.0 lpc_ich bridge !",
                                  "0000:00:1f.1 - bridge"));
}

TEST_F(GroupTest, MembersOfOtherBusesAreToldByTheirSubsystem) {
  tree_.device("platform", "devices/platform/fe300000.dma", "DRIVER=pl330\n");
  tree_.link_to("kernel/iommu_groups/7/devices/fe300000.dma", "devices/platform/fe300000.dma");
  EXPECT_THAT(view(), ElementsAre("platform/fe300000.dma pl330 !"));
}

TEST_F(GroupTest, AMemberThatCannotBeToldIsNotLeftOut) {
  tree_.dir("kernel/iommu_groups/7/devices/what-is-this");
  const auto group = read_group(tree_.sysfs(), 7);
  ASSERT_FALSE(group);
  EXPECT_EQ(group.error().kind, ErrorKind::kFailed);
}

TEST_F(GroupTest, AMemberThatVanishedMeanwhileIsLeftOut) {
  tree_.pci({.address = "0000:01:00.0", .driver = "vfio-pci", .group = 7});
  tree_.link("kernel/iommu_groups/7/devices/0000:01:00.1", "../../../../devices/gone");
  EXPECT_THAT(view(), ElementsAre("0000:01:00.0 vfio-pci"));
}

TEST_F(GroupTest, NoSuchGroupIsNotFound) {
  EXPECT_EQ(read_group_view(tree_.sysfs(), 9).error().kind, ErrorKind::kNotFound);
}

}  // namespace
}  // namespace anybind
