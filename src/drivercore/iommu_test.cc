// IOMMU groups and who may use them (kernel-facts 5), on the machine of experiment E5.
#include "drivercore/machine_fixture.h"

namespace anybind::drivercore {
namespace {

/// The first card behind the bridge is on vfio-pci, the second is free, user space has the group.
class HeldGroup : public MachineTest {
 protected:
  HeldGroup() {
    EXPECT_EQ(drv("e1000", "unbind", kSharedA), 0);
    EXPECT_EQ(dev(kSharedA, "driver_override", "vfio-pci"), 0);
    EXPECT_EQ(bus("drivers_probe", kSharedA), 0);
    EXPECT_FALSE(core_.hold_group(6, true)) << "not viable: the second is on e1000 [E5-1]";
    EXPECT_EQ(drv("e1000", "unbind", kSharedB), 0);
    EXPECT_TRUE(core_.hold_group(6, true));
  }
};
using Groups = MachineTest;

TEST_F(HeldGroup, RefusesTheHostDriverBeforeItsProbe) {
  bool probed = false;
  core_.set_on_step(
      [&](const KernelStep& step) { probed |= step.kind == KernelStep::Kind::kProbeBegins; });
  EXPECT_EQ(drv("e1000", "bind", kSharedB), EBUSY);
  EXPECT_EQ(bus("drivers_probe", kSharedB), EINVAL) << "the EBUSY is hidden";
  EXPECT_FALSE(probed);
  EXPECT_EQ(driver_of(kSharedB), "");
}

TEST_F(HeldGroup, LetsDriversThatManageDmaIn) {
  ASSERT_EQ(dev(kSharedB, "driver_override", "pci-stub"), 0);
  EXPECT_EQ(bus("drivers_probe", kSharedB), 0);
  EXPECT_EQ(driver_of(kSharedB), "pci-stub");
  ASSERT_EQ(drv("pci-stub", "unbind", kSharedB), 0);
  ASSERT_EQ(dev(kSharedB, "driver_override", "vfio-pci"), 0);
  EXPECT_EQ(drv("vfio-pci", "bind", kSharedB), 0);
}

TEST_F(HeldGroup, LeavesANewcomerDriverless) {
  ASSERT_EQ(dev(kSharedB, "remove", "1"), 0);
  EXPECT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(driver_of(kSharedB), "");
  EXPECT_EQ(link("bus/pci/devices/" + kSharedB + "/iommu_group"),
            "../../../../kernel/iommu_groups/6");
}

TEST_F(HeldGroup, EndsTheWalkOverTheDriversAtTheRefusal) {
  // vfio-pci would match too, but registered after e1000 [E5-4b].
  ASSERT_EQ(drv("vfio-pci", "new_id", "8086 100e"), 0);
  ASSERT_EQ(driver_of(kSharedB), "vfio-pci");
  ASSERT_EQ(drv("vfio-pci", "unbind", kSharedB), 0);
  ASSERT_EQ(dev(kSharedB, "remove", "1"), 0);
  EXPECT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(driver_of(kSharedB), "");
  EXPECT_EQ(bus("drivers_probe", kSharedB), EINVAL);
  EXPECT_EQ(drv("vfio-pci", "bind", kSharedB), 0);
}

TEST_F(HeldGroup, IsOpenedOnceAndProbesNobodyWhenItIsReleased) {
  EXPECT_FALSE(core_.hold_group(6, true)) << "a second opener gets EBUSY [E5-4c]";
  EXPECT_TRUE(core_.hold_group(6, false));
  EXPECT_EQ(driver_of(kSharedB), "");
  EXPECT_EQ(bus("drivers_probe", kSharedB), 0);
  EXPECT_EQ(driver_of(kSharedB), "e1000");
}

TEST_F(Groups, CountTheDriversThatDoNotManageDma) {
  EXPECT_EQ(core_.state().groups.at(6).in_use, 2U) << "the bridge's driver does not count";
  ASSERT_EQ(drv("e1000", "unbind", kSharedA), 0);
  EXPECT_EQ(core_.state().groups.at(6).in_use, 1U);
  core_.set_probe("e1000", -EIO);
  EXPECT_EQ(drv("e1000", "bind", kSharedA), EIO);
  EXPECT_EQ(core_.state().groups.at(6).in_use, 1U) << "given back when the probe fails";
}

TEST_F(Groups, CannotBeHeldWithoutAVfioDriverInThem) {
  EXPECT_FALSE(core_.hold_group(4, true)) << "driverless, so that there is no /dev/vfio/4";
  EXPECT_FALSE(core_.hold_group(99, true));
}

TEST_F(Groups, ShowTheirMembers) {
  EXPECT_EQ(list("kernel/iommu_groups/6"),
            (std::vector<std::string>{"devices", "reserved_regions", "type"}));
  EXPECT_EQ(list("kernel/iommu_groups/6/devices"),
            (std::vector<std::string>{kBridge, kSharedA, kSharedB, kSharedEdu}));
  EXPECT_EQ(link("kernel/iommu_groups/6/devices/" + kSharedA),
            "../../../../devices/pci0000:00/0000:00:08.0/0000:01:01.0");
  EXPECT_EQ(read("kernel/iommu_groups/6/type"), "DMA-FQ\n");
  EXPECT_EQ(link("kernel/iommu_groups/06/devices"), "ENOENT");
}

TEST_F(Groups, AreNotThereWithoutAnIommu) {
  core_ = DriverCore(load("iommu = false\n" + std::string(kMachine)));
  EXPECT_EQ(list("kernel/iommu_groups"), std::vector<std::string>{});
  EXPECT_EQ(link("bus/pci/devices/" + kNicA + "/iommu_group"), "ENOENT");
  EXPECT_EQ(link("class/iommu"), "ENOENT");
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  ASSERT_EQ(dev(kNicA, "driver_override", "vfio-pci"), 0);
  EXPECT_EQ(drv("vfio-pci", "bind", kNicA), EINVAL) << "[E13]";
  EXPECT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "");
}

TEST_F(Groups, BoundToVfioAppearInItsClasses) {
  for (const auto& device : {kNicA, kNicB, kNvme}) {
    ASSERT_EQ(drv(driver_of(device), "unbind", device), 0);
    ASSERT_EQ(dev(device, "driver_override", "vfio-pci"), 0);
    ASSERT_EQ(bus("drivers_probe", device), 0);
  }
  EXPECT_EQ(list("class/vfio"), (std::vector<std::string>{"1", "2", "3"}));
  EXPECT_EQ(link("class/vfio/2"), "../../devices/virtual/vfio/2");
  EXPECT_EQ(list("bus/pci/devices/" + kNicB + "/vfio-dev"), std::vector<std::string>{"vfio1"});
  ASSERT_EQ(drv("vfio-pci", "unbind", kNicA), 0);
  EXPECT_EQ(list("class/vfio"), (std::vector<std::string>{"2", "3"}));
  ASSERT_EQ(dev(kSharedEdu, "driver_override", "vfio-pci"), 0);
  ASSERT_EQ(bus("drivers_probe", kSharedEdu), 0);
  EXPECT_EQ(link("class/vfio-dev/vfio0"),
            "../../devices/pci0000:00/0000:00:08.0/0000:01:03.0/vfio-dev/vfio0")
      << "the lowest number that is free";
}

}  // namespace
}  // namespace anybind::drivercore
