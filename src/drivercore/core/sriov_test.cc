// SR-IOV (kernel-facts 2.2, 8; experiments E8, E8b), and what was seen on kernels besides.
#include "drivercore/core/sriov.h"

#include "drivercore/machine_fixture.h"

namespace anybind::drivercore {
namespace {

using testing::ElementsAre;
using Kind = KernelStep::Kind;

constexpr std::string_view kSriovMachine = R"(
driver = [
  { name = "nvme", ids = ["class:010802"], sriov = "leaves" },
  { name = "igb", ids = ["8086:10c9"], sriov = "removes" },
  { name = "igbvf", ids = ["8086:10ca"] },
  { name = "vfio-pci", ids = ["*:* override_only"], managed_dma = true, needs_group = true },
  { name = "pci-stub", managed_dma = true },
]
device = [
  { address = "0000:01:00.0", id = "1b36:0010", class = "010802", total_vfs = 4, group = 6 },
  { address = "0000:03:00.0", id = "8086:10c9", class = "020000", total_vfs = 7, vf_offset = 384, vf_stride = 2, vf_device = "10ca", group = 7 },
  { address = "0000:04:10.0", id = "8086:10ca", class = "020000", physfn = "0000:03:00.0", group = 20, present = false },
]
)";

class Sriov : public MachineTest {
 protected:
  Sriov() {
    core_ = DriverCore(load(kSriovMachine));
    (void)core_.take_uevents();
  }
  int numvfs(const std::string& pf, std::string_view text) { return dev(pf, "sriov_numvfs", text); }
  std::string numvfs(const std::string& pf) {
    return read("bus/pci/devices/" + pf + "/sriov_numvfs");
  }
  std::string override_of(const std::string& device) {
    return read("bus/pci/devices/" + device + "/driver_override");
  }
  const std::string disk_ = "0000:01:00.0";
  const std::string disk_vf_ = "0000:01:00.1";
  const std::string nic_ = "0000:03:00.0";
};

TEST_F(Sriov, NumvfsTakesANumberOfSixteenBits) {
  for (const char* text : {"x", "-1", "1 ", "70000", "0x", "\n"}) {
    EXPECT_EQ(numvfs(disk_, text), EINVAL) << text;
  }
  EXPECT_EQ(numvfs(disk_, "99"), ERANGE);
  EXPECT_EQ(numvfs(disk_, "5"), ERANGE);
  EXPECT_EQ(numvfs(disk_, "0x2"), 0);
  EXPECT_EQ(numvfs(disk_), "2\n");
  EXPECT_EQ(numvfs(disk_, "2"), 0) << "nothing to do";
  EXPECT_EQ(numvfs(disk_, "1"), EBUSY) << "only through 0";
  EXPECT_EQ(numvfs(disk_, "0"), 0);
  EXPECT_EQ(numvfs(disk_, "0"), 0);
  EXPECT_EQ(numvfs(disk_), "0\n");
  EXPECT_EQ(driver_of(disk_vf_), "absent");
}

TEST_F(Sriov, WantsADriverThatCanDoIt) {
  ASSERT_EQ(drv("nvme", "unbind", disk_), 0);
  EXPECT_EQ(numvfs(disk_, "0"), 0) << "as many as there are";
  EXPECT_EQ(numvfs(disk_, "1"), ENOENT);
  EXPECT_EQ(numvfs(disk_, "5"), ERANGE) << "asked before the driver";
  ASSERT_EQ(dev(disk_, "driver_override", "pci-stub"), 0);
  ASSERT_EQ(drv("pci-stub", "bind", disk_), 0);
  EXPECT_EQ(numvfs(disk_, "1"), ENOENT);
}

TEST_F(Sriov, AVirtualFunctionIsMadeFromItsPhysicalOne) {
  ASSERT_EQ(numvfs(disk_, "2"), 0);
  const std::string path = "bus/pci/devices/" + disk_vf_ + "/";
  EXPECT_EQ(read(path + "modalias"), read("bus/pci/devices/" + disk_ + "/modalias"));
  EXPECT_EQ(link(path + "physfn"), "../" + disk_);
  EXPECT_EQ(link("bus/pci/devices/" + disk_ + "/virtfn0"), "../" + disk_vf_);
  EXPECT_EQ(link("bus/pci/devices/" + disk_ + "/virtfn1"), "../0000:01:00.2");
  EXPECT_EQ(link("bus/pci/devices/" + disk_ + "/virtfn01"), "ENOENT");
  EXPECT_EQ(link(path + "iommu_group"), "../../../kernel/iommu_groups/0") << "its own, a free one";
  EXPECT_EQ(link("bus/pci/devices/0000:01:00.2/iommu_group"), "../../../kernel/iommu_groups/1");
  EXPECT_EQ(dev(disk_vf_, "remove", "1"), ENOENT) << "it goes as it came";
  EXPECT_EQ(dev(disk_vf_, "sriov_numvfs", "1"), ENOENT);
  EXPECT_EQ(driver_of(disk_vf_), "nvme");
}

TEST_F(Sriov, AddressesFollowOffsetAndStride) {
  ASSERT_EQ(numvfs(nic_, "3"), 0);
  EXPECT_EQ(link("bus/pci/devices/" + nic_ + "/virtfn2"), "../0000:04:10.4");
  EXPECT_EQ(driver_of("0000:04:10.4"), "igbvf") << "by its own device id";
  EXPECT_EQ(link("bus/pci/devices/0000:04:10.0/iommu_group"), "../../../kernel/iommu_groups/20")
      << "as the machine file describes it";
  const Device last{.name = "0000:ff:1f.6", .vf_offset = 1};
  EXPECT_EQ(vf_address(last, 0), "0000:ff:1f.7");
  EXPECT_EQ(vf_address(last, 1), std::nullopt);
}

TEST_F(Sriov, EventsComeInTheKernelsOrder) {
  ASSERT_EQ(numvfs(disk_, "2"), 0);
  EXPECT_THAT(events(), ElementsAre("add " + disk_vf_, "change " + disk_vf_, "bind " + disk_vf_,
                                    "add 0000:01:00.2", "change 0000:01:00.2", "bind 0000:01:00.2",
                                    "change " + disk_));
  ASSERT_EQ(numvfs(disk_, "0"), 0);
  EXPECT_THAT(events(), ElementsAre("unbind " + disk_vf_, "remove " + disk_vf_,
                                    "unbind 0000:01:00.2", "remove 0000:01:00.2"));
}

TEST_F(Sriov, WithVfAutoprobeOffTheyStayFree) {
  ASSERT_EQ(dev(disk_, "sriov_drivers_autoprobe", "n"), 0);
  ASSERT_EQ(numvfs(disk_, "1"), 0);
  EXPECT_EQ(driver_of(disk_vf_), "");
  EXPECT_EQ(drv("nvme", "bind", disk_vf_), ENODEV);
  EXPECT_EQ(dev(disk_, "sriov_drivers_autoprobe", "y"), 0);
  EXPECT_EQ(drv("nvme", "bind", disk_vf_), 0);
}

TEST_F(Sriov, TheBusesAutoprobeDoesNotHoldThemBack) {
  ASSERT_EQ(bus("drivers_autoprobe", "0"), 0);
  ASSERT_EQ(numvfs(disk_, "1"), 0);
  EXPECT_EQ(driver_of(disk_vf_), "nvme") << "[E8b]";
}

TEST_F(Sriov, SomeDriversLeaveThemBehind) {
  ASSERT_EQ(numvfs(disk_, "2"), 0);
  ASSERT_EQ(drv("nvme", "unbind", disk_), 0);
  EXPECT_EQ(driver_of(disk_vf_), "nvme");
  EXPECT_EQ(numvfs(disk_), "2\n");
  EXPECT_EQ(numvfs(disk_, "0"), ENOENT) << "not without a driver";
  EXPECT_EQ(numvfs(disk_, "2"), 0);
  ASSERT_EQ(drv("nvme", "bind", disk_), 0);
  EXPECT_EQ(numvfs(disk_, "0"), 0);
}

TEST_F(Sriov, OthersTakeThemAlong) {
  ASSERT_EQ(numvfs(nic_, "2"), 0);
  (void)core_.take_uevents();
  ASSERT_EQ(drv("igb", "unbind", nic_), 0);
  EXPECT_THAT(events(),
              ElementsAre("unbind 0000:04:10.0", "remove 0000:04:10.0", "unbind 0000:04:10.2",
                          "remove 0000:04:10.2", "unbind " + nic_));
  EXPECT_EQ(numvfs(nic_), "0\n");
  ASSERT_EQ(drv("igb", "bind", nic_), 0);
  EXPECT_EQ(numvfs(nic_, "2"), 0);
  EXPECT_EQ(link("bus/pci/devices/0000:04:10.0/iommu_group"), "../../../kernel/iommu_groups/20");
}

TEST_F(Sriov, OfAVfioDriverBelongToIt) {
  ASSERT_EQ(drv("nvme", "unbind", disk_), 0);
  ASSERT_EQ(dev(disk_, "driver_override", "vfio-pci"), 0);
  ASSERT_EQ(drv("vfio-pci", "bind", disk_), 0);
  EXPECT_EQ(numvfs(disk_, "1"), ENOENT) << "enable_sriov is off";
  EXPECT_EQ(read("module/vfio_pci/parameters/enable_sriov"), "N\n");
  ASSERT_EQ(write("module/vfio_pci/parameters/enable_sriov", "1"), 0);
  EXPECT_EQ(read("module/vfio_pci/parameters/enable_sriov"), "Y\n");
  ASSERT_EQ(numvfs(disk_, "2"), 0);
  EXPECT_EQ(driver_of(disk_vf_), "vfio-pci");
  EXPECT_EQ(override_of(disk_vf_), "vfio-pci\n");
  (void)core_.take_uevents();
  ASSERT_EQ(drv("vfio-pci", "unbind", disk_), 0);
  EXPECT_EQ(driver_of(disk_vf_), "absent") << "it takes them along";
  EXPECT_EQ(events().front(), "remove vfio1") << "before it lets go of its own";
}

TEST_F(Sriov, AVfioDriverRefusesAPhysicalFunctionWithVirtualOnes) {
  ASSERT_EQ(numvfs(disk_, "1"), 0);
  ASSERT_EQ(drv("nvme", "unbind", disk_), 0);
  ASSERT_EQ(dev(disk_, "driver_override", "vfio-pci"), 0);
  EXPECT_EQ(drv("vfio-pci", "bind", disk_), EBUSY);
}

TEST_F(Sriov, ThoseOfARemovedPhysicalFunctionAreNobodys) {
  ASSERT_EQ(numvfs(disk_, "1"), 0);
  ASSERT_EQ(dev(disk_, "remove", "1"), 0);
  EXPECT_EQ(driver_of(disk_vf_), "nvme");
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(numvfs(disk_), "0\n");
  EXPECT_EQ(numvfs(disk_, "1"), ENOENT) << "their addresses are taken";
}

TEST_F(Sriov, PullingTheCardTakesAll) {
  ASSERT_EQ(numvfs(disk_, "2"), 0);
  (void)core_.take_uevents();
  ASSERT_TRUE(core_.unplug(disk_));
  EXPECT_THAT(events(),
              ElementsAre("unbind 0000:01:00.2", "remove 0000:01:00.2", "unbind " + disk_vf_,
                          "remove " + disk_vf_, "unbind " + disk_, "remove " + disk_));
  ASSERT_TRUE(core_.hot_add("0000:01:00"));
  EXPECT_EQ(numvfs(disk_), "0\n");
  EXPECT_EQ(driver_of(disk_vf_), "absent") << "only enabling brings them";
  EXPECT_EQ(numvfs(disk_, "1"), 0);
}

TEST_F(Sriov, WithoutRoomBehindTheLastBusThereAreNone) {
  core_ = DriverCore(load(R"(
    driver = [{ name = "d", ids = ["1:1"], sriov = "leaves" }]
    device = [{ address = "ff:1f.6", id = "1:1", total_vfs = 2 }])"));
  EXPECT_EQ(numvfs("0000:ff:1f.6", "2"), ENOMEM);
  EXPECT_EQ(numvfs("0000:ff:1f.6", "1"), 0);
}

TEST_F(Sriov, AListenerOnTheAddEventCanSetTheOverride) {
  core_.set_on_step([&](const KernelStep& step) {
    if (step.kind != Kind::kAddEvent) return;
    EXPECT_EQ(link("bus/pci/devices/" + disk_vf_ + "/physfn"), "ENOENT") << "comes with change";
    EXPECT_EQ(dev(disk_vf_, "driver_override", "none"), 0);
  });
  ASSERT_EQ(numvfs(disk_, "1"), 0);
  EXPECT_EQ(driver_of(disk_vf_), "") << "[E8b]";
}

TEST_F(Sriov, WhoWouldWaitForTheWriteIsToldSo) {
  std::vector<std::string> answers;
  at_step(Kind::kVfsEnabled, disk_, [&] {
    answers = {numvfs(disk_), Errno{numvfs(disk_, "0")}.name(),
               Errno{drv("nvme", "unbind", disk_)}.name(), Errno{bus("rescan", "1")}.name(),
               Errno{drv("nvme", "unbind", disk_vf_)}.name()};
  });
  ASSERT_EQ(numvfs(disk_, "1"), 0);
  EXPECT_THAT(answers, ElementsAre("EDEADLK", "EDEADLK", "EDEADLK", "EDEADLK", Errno{0}.name()));
}

TEST_F(Sriov, ComesBackFromAFile) {
  ASSERT_EQ(numvfs(disk_, "2"), 0);
  ASSERT_EQ(numvfs(nic_, "1"), 0);
  ASSERT_EQ(numvfs(nic_, "0"), 0);
  ASSERT_EQ(write("module/vfio_pci/parameters/enable_sriov", "y"), 0);
  EXPECT_EQ(load(save_machine(core_.state())), core_.state());
}

}  // namespace
}  // namespace anybind::drivercore
