#include "change/node_owner.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/device_node.h"
#include "inventory/test_tree.h"
#include "inventory/vfio_node.h"
#include "plan/planner.h"

namespace anybind {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kCard = "0000:00:03.0";
constexpr const char* kMode = "module/vfio/parameters/enable_unsafe_noiommu_mode";
const std::string kDeviceDir = "devices/pci0000:00/0000:00:03.0";
constexpr NodeNumber kNull = {.is_block = false, .major = 1, .minor = 3};

class VfioNodes : public testing::Test {
 protected:
  VfioNodes() { tree_.pci({.address = kCard, .driver = "vfio-pci", .group = 13}); }
  std::vector<std::string> paths() {
    std::vector<std::string> out;
    for (const VfioNode& node : vfio_nodes(tree_.sysfs(), pci_id(kCard).path()))
      out.push_back(node.path);
    return out;
  }
  auto give() {
    Host host(tree_.sysfs());
    host.dev = tree_.root() + "/dev";
    return give_vfio_nodes(host, {pci_id(kCard)}, me_);
  }
  TestTree tree_;
  Owner me_ = {.uid = ::getuid()};
};

TEST_F(VfioNodes, OfTheGroupAndOfTheDevice) {
  EXPECT_THAT(paths(), IsEmpty());
  tree_.put("class/vfio/13/dev", "240:0\n");
  EXPECT_THAT(paths(), ElementsAre("vfio/13"));
  tree_.put(kDeviceDir + "/vfio-dev/vfio4/dev", "241:4\n");
  EXPECT_THAT(paths(), ElementsAre("vfio/13", "vfio/devices/vfio4"));
  tree_.remove("class/vfio/13");
  tree_.put("class/vfio/noiommu-13/dev", "240:1\n");
  EXPECT_THAT(paths(), ElementsAre("vfio/noiommu-13", "vfio/devices/vfio4"));
}

TEST_F(VfioNodes, NonsenseInSysfsIsNoNode) {
  for (const char* text : {"", "240", "240:", "a:b", "240:4294967296", "-1:3"}) {
    tree_.put("class/vfio/13/dev", text);
    EXPECT_THAT(paths(), IsEmpty()) << text;
  }
}

TEST_F(VfioNodes, OnlyTheVeryNodeIsGiven) {
  const std::string file = tree_.root() + "/file";
  const std::string link = tree_.root() + "/link";
  tree_.put("file", "");
  tree_.link("link", "/dev/null");
  EXPECT_EQ(give_node(file, kNull, me_.uid, {}), std::unexpected(Errno{EXDEV}));
  EXPECT_EQ(give_node(link, kNull, me_.uid, {}), std::unexpected(Errno{EXDEV}));
  EXPECT_EQ(give_node(file + "x", kNull, me_.uid, {}), std::unexpected(Errno{ENOENT}));
}

TEST_F(VfioNodes, ADeviceWithoutANodeIsAnError) {
  EXPECT_EQ(give().error().kind, ErrorKind::kFailed);
  tree_.put("class/vfio/13/dev", "240:0\n");
  tree_.put("dev/vfio/13", "");
  EXPECT_THAT(give().error().why, HasSubstr("not the node that sysfs tells of"));
}

/// Device nodes of its own, which only root may make.
class NodesOfItsOwn : public VfioNodes {
 protected:
  void SetUp() override {
    tree_.put("class/vfio/13/dev", "1:3\n");
    tree_.dir("dev/vfio");
    if (::mknod(group_.c_str(), S_IFCHR | 0600, makedev(1, 3)) != 0)
      GTEST_SKIP() << "only root may make device nodes";
  }
  [[nodiscard]] NodeOwner now() const {
    struct stat status{};
    EXPECT_EQ(::stat(group_.c_str(), &status), 0);
    return {.uid = status.st_uid, .gid = status.st_gid, .permissions = status.st_mode & 07777U};
  }
  std::string group_ = tree_.root() + "/dev/vfio/13";
};

TEST_F(NodesOfItsOwn, AreGivenAndGivenBack) {
  me_ = {.uid = 4711, .gid = 815};
  const NodeOwner before = now();
  const auto given = give();
  ASSERT_TRUE(given) << given.error().message();
  ASSERT_THAT(*given, SizeIs(1));
  EXPECT_EQ(now(), (NodeOwner{.uid = 4711, .gid = 815, .permissions = 0660}));
  EXPECT_THAT(give_back(*given), IsEmpty());
  EXPECT_EQ(now(), before);
}

TEST_F(NodesOfItsOwn, WhenOneFailsNoneHasANewOwner) {
  me_ = {.uid = 4711, .gid = 815};
  const NodeOwner before = now();
  tree_.put(kDeviceDir + "/vfio-dev/vfio4/dev", "241:4\n");
  tree_.put("dev/vfio/devices/vfio4", "");  // is none
  const auto given = give();
  ASSERT_FALSE(given);
  EXPECT_THAT(given.error().why, HasSubstr("not the node"));
  EXPECT_EQ(now(), before);
}

class NoIommu : public testing::Test {
 protected:
  NoIommu() {
    tree_.pci({.address = kCard, .driver = "e1000e"});
    tree_.driver("pci", "vfio-pci");
  }
  Result<HeldPlan> plan(bool asked) {
    return plan_bind(
        tree_.sysfs(),
        {.devices = {pci_id(kCard)}, .driver = DriverName::literal("vfio-pci"), .no_iommu = asked});
  }
  TestTree tree_;
};

TEST_F(NoIommu, IsNeverUsedUnasked) {
  tree_.put(kMode, "N\n");
  EXPECT_EQ(plan(false).error().kind, ErrorKind::kRefused);
  EXPECT_THAT(plan(false).error().why, HasSubstr("the IOMMU is off"));
  tree_.put(kMode, "Y\n");
  EXPECT_EQ(plan(false).error().kind, ErrorKind::kRefused);
  EXPECT_TRUE(plan(false).error().advice.names(Action::kAllowNoIommu));
}

TEST_F(NoIommu, AskedForItIsSwitchedOnWithAWarning) {
  tree_.put(kMode, "N\n");
  const auto asked = plan(true);
  ASSERT_THAT(asked->settings, SizeIs(1));
  EXPECT_EQ(shell_line(asked->settings[0], "/sys"), std::string("echo Y > /sys/") + kMode);
  EXPECT_EQ(asked->settings[0].undo_bytes, "N");
  EXPECT_THAT(plain(asked->warnings), ElementsAre(HasSubstr("all memory")));
  EXPECT_TRUE(asked->warnings[0].names(Action::kUndo));
  tree_.put(kMode, "Y\n");
  EXPECT_THAT(plan(true)->settings, IsEmpty());
  EXPECT_THAT(plan(true)->warnings, SizeIs(1));
}

TEST_F(NoIommu, AKernelWithoutItIsSaidSo) {
  EXPECT_EQ(plan(true).error().kind, ErrorKind::kRefused);
  EXPECT_THAT(plan(true).error().why, HasSubstr("no no-IOMMU mode"));
}

TEST_F(NoIommu, ADeviceInAGroupNeedsNone) {
  TestTree grouped;
  grouped.pci({.address = kCard, .driver = "e1000e", .group = 1});
  grouped.driver("pci", "vfio-pci");
  grouped.put(kMode, "N\n");
  grouped.put(kDeviceDir + "/class", "0x020000\n");
  const auto asked = plan_bind(
      grouped.sysfs(),
      {.devices = {pci_id(kCard)}, .driver = DriverName::literal("vfio-pci"), .no_iommu = true});
  ASSERT_TRUE(asked) << asked.error().message();
  EXPECT_THAT(asked->settings, IsEmpty());
  EXPECT_THAT(asked->warnings, IsEmpty());
}

}  // namespace
}  // namespace anybind
