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

TEST(DirectRegion, KeepsUserSpaceOutOfItsGroup) {
  const auto hold = [](const std::string& type) {
    const auto state = load_machine(R"(
      driver = [{ name = "vfio-pci", ids = ["*:*"], managed_dma = true, needs_group = true }]
      device = [{ address = "00:03.0", id = "8086:1521", group = 4 }]
      group = [{ number = 4, reserved_regions = ["0xcd000000 0xcd0fffff )" +
                                        type + R"("] }]
    )",
                                    "regions");
    if (!state) return state.error().message();
    return DriverCore(*state).hold_group(4, true) ? std::string("held") : std::string("refused");
  };
  EXPECT_EQ(hold("direct"), "refused");
  EXPECT_EQ(hold("direct-relaxable"), "held");
}

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

// ---- a device that user space has open [E5b, E10]

class OpenDevice : public HeldGroup {
 protected:
  OpenDevice() {
    EXPECT_TRUE(core_.open_device("pci", kSharedA, true));
    (void)core_.take_uevents();
  }
  /// The user closes the device when an operation waits for it.
  void close_when_asked() {
    core_.set_on_blocked([&](const Blocked& blocked) {
      EXPECT_EQ(blocked.by, Blocked::By::kUser);
      seen_ = {driver_of(kSharedA), link("class/vfio/6"), link("class/vfio-dev/vfio0")};
      return core_.open_device("pci", kSharedA, false);
    });
  }
  std::vector<std::string> seen_;
};

TEST_F(OpenDevice, UnbindWaitsForItsUser) {
  close_when_asked();
  EXPECT_EQ(drv("vfio-pci", "unbind", kSharedA), 0);
  EXPECT_EQ(seen_, (std::vector<std::string>{"", "../../devices/virtual/vfio/6", "ENOENT"}))
      << "the links are gone, the group is there";
  EXPECT_THAT(events(), testing::ElementsAre("remove vfio0", "remove 6", "unbind " + kSharedA));
  EXPECT_FALSE(core_.state().groups.at(6).held) << "torn from its user with the last device";
  EXPECT_EQ(drv("e1000", "bind", kSharedB), 0);
}

TEST_F(OpenDevice, OnLinux61ItsEntryStaysUntilItIsClosed) {
  State old = core_.state();
  old.profile = *find_profile("linux-6.1");
  core_ = DriverCore(old);
  close_when_asked();
  EXPECT_EQ(drv("vfio-pci", "unbind", kSharedA), 0);
  EXPECT_EQ(seen_[2], "../../devices/pci0000:00/0000:00:08.0/0000:01:01.0/vfio-dev/vfio0");
  EXPECT_THAT(events(), testing::ElementsAre("remove vfio0", "remove 6", "unbind " + kSharedA));
}

TEST_F(OpenDevice, WhoCannotWaitLeavesAllAsItWas) {
  const State before = core_.state();
  EXPECT_EQ(drv("vfio-pci", "unbind", kSharedA), EDEADLK);
  State after = core_.state();
  after.seqnum = before.seqnum;
  EXPECT_EQ(after, before);
  EXPECT_EQ(link("class/vfio-dev/vfio0"),
            "../../devices/pci0000:00/0000:00:08.0/0000:01:01.0/vfio-dev/vfio0");
}

TEST_F(OpenDevice, IsOpenedOnceAndItsGroupIsKeptWithIt) {
  EXPECT_FALSE(core_.open_device("pci", kSharedA, true));
  EXPECT_FALSE(core_.open_device("pci", kSharedB, true)) << "no VFIO driver has it";
  EXPECT_FALSE(core_.open_device("pci", kNobody, true));
  EXPECT_FALSE(core_.hold_group(6, false)) << "the device is open still";
  EXPECT_TRUE(core_.open_device("pci", kSharedA, false));
  EXPECT_TRUE(core_.hold_group(6, false));
  EXPECT_FALSE(core_.open_device("pci", kSharedA, true)) << "not without the group";
}

TEST_F(OpenDevice, WhatStaysPossibleDuringTheWait) {
  std::vector<int> answers;
  core_.set_on_blocked([&](const Blocked& blocked) {
    if (blocked.by != Blocked::By::kUser) return false;
    answers = {bus("drivers_probe", kSharedA),
               dev(kSharedA, "driver_override", "vfio-pci"),
               drv("e1000", "bind", kSharedA),
               drv("vfio-pci", "unbind", kSharedA),
               drv("vfio-pci", "new_id", "aaaa bbbb"),
               drv("e1000e", "unbind", kNicA),
               bus("rescan", "1")};
    return core_.open_device("pci", kSharedA, false);
  });
  EXPECT_EQ(drv("vfio-pci", "unbind", kSharedA), 0);
  EXPECT_EQ(answers, (std::vector<int>{
                         0,        // dev->driver is set
                         0,        // 6.12 does not wait
                         ENODEV,   // the override forbids it
                         EDEADLK,  // waits for the lock
                         EDEADLK,  // waits behind a device that its driver matches
                         0,        // other devices are free
                         0,        // and so is the bus
                     }));
}

TEST_F(OpenDevice, ItsRemovalStopsAllOthers) {
  std::vector<int> answers;
  core_.set_on_blocked([&](const Blocked& blocked) {
    if (blocked.by != Blocked::By::kUser) return false;
    answers = {bus("rescan", "1"), dev(kEduA, "remove", "1"), bus("drivers_probe", kNicA)};
    EXPECT_FALSE(core_.hot_add(kSpareNic));
    return core_.open_device("pci", kSharedA, false);
  });
  EXPECT_EQ(dev(kSharedA, "remove", "1"), 0);
  EXPECT_EQ(answers, (std::vector<int>{EDEADLK, EDEADLK, 0})) << "[E10]";
  EXPECT_EQ(driver_of(kSharedA), "absent");
}

TEST_F(OpenDevice, ComesBackFromAFile) {
  EXPECT_EQ(load(save_machine(core_.state())), core_.state());
}

// ---- the group itself

TEST_F(Groups, HaveATypeThatCanBeChangedWhileNobodyUsesThem) {
  const std::string type = "kernel/iommu_groups/1/type";
  EXPECT_EQ(write(type, "junk"), EINVAL);
  EXPECT_EQ(write(type, "identity"), EPERM);
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  for (const char* wanted : {"identity", "DMA", "DMA-FQ"}) {
    EXPECT_EQ(write(type, wanted), 0);
    EXPECT_EQ(read(type), std::string(wanted) + "\n");
  }
  EXPECT_EQ(write(type, "DMA\n"), 0);
  ASSERT_EQ(drv("e1000e", "bind", kNicA), 0);
  EXPECT_EQ(write(type, "identity"), EPERM);
  EXPECT_EQ(write(type, "DMA-FQ"), 0) << "a queue can be added to what is in use";
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  EXPECT_EQ(write(type, "identity"), 0);
  EXPECT_EQ(load(save_machine(core_.state())), core_.state());
  EXPECT_EQ(write(type, "auto"), 0);
  EXPECT_EQ(read(type), "DMA-FQ\n");
  EXPECT_EQ(write(type, "identity"), 0);
  ASSERT_EQ(dev(kNicA, "remove", "1"), 0);
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(read(type), "DMA-FQ\n") << "another group";
}

TEST_F(Groups, OnLinux61OnlyALoneDriverlessDeviceChangesItsType) {
  State old = core_.state();
  old.profile = *find_profile("linux-6.1");
  core_ = DriverCore(old);
  EXPECT_EQ(write("kernel/iommu_groups/1/type", "identity"), EBUSY);
  EXPECT_EQ(write("kernel/iommu_groups/6/type", "identity"), EINVAL);
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  EXPECT_EQ(write("kernel/iommu_groups/1/type", "identity"), 0);
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
  EXPECT_EQ(list("class/iommu"), std::vector<std::string>{});
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
