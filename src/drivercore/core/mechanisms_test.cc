// Where a proposal meets the rest of the driver core; what each does by itself is in
// tests/contract/mechanisms_test.cc.
#include "drivercore/core/machine_ids.h"
#include "drivercore/machine_fixture.h"

namespace anybind::drivercore {
namespace {

class Mechanisms : public MachineTest {
 protected:
  /// The kernel of this name, on which everything was booted.
  void use(const char* profile, std::string_view toml = kMachine) {
    std::string text = "kernel = \"" + std::string(profile) + "\"\n";
    core_ = DriverCore(load(text.append(toml)));
  }
};

constexpr std::string_view kVirtual = R"(
driver = [
  { name = "nvme", ids = ["class:010802"] },
  { name = "vfio-pci", ids = ["*:* override_only"], managed_dma = true, needs_group = true },
]
device = [
  { address = "0000:01:00.0", id = "1b36:0010", class = "010802", group = 1, total_vfs = 4, vf_autoprobe = false },
  { address = "0000:01:00.1", id = "1b36:0010", class = "010802", group = 2, physfn = "0000:01:00.0" },
]
)";
const std::string kVf = "0000:01:00.1";

TEST_F(Mechanisms, PreferredDriverOpensTheGateOfAVirtualFunctionAsItsSuccessorDoes) {
  use("preferred-driver", kVirtual);
  EXPECT_EQ(drv("nvme", "bind", kVf), ENODEV);
  ASSERT_EQ(dev(kVf, "preferred_driver", "vfio-pci"), 0);
  EXPECT_EQ(bus("drivers_probe", kVf), 0);
  EXPECT_EQ(driver_of(kVf), "vfio-pci");
}

TEST_F(Mechanisms, VfioBindAndSysfsBindOnlyKeepTheGateOfAVirtualFunction) {
  use("vfio-bind", kVirtual);
  EXPECT_EQ(drv("vfio-pci", "vfio_bind", kVf), ENODEV);
  use("sysfs-bind-only", kVirtual);
  EXPECT_EQ(drv("vfio-pci", "bind", kVf), ENODEV);
  ASSERT_EQ(dev("0000:01:00.0", "sriov_drivers_autoprobe", "1"), 0);
  EXPECT_EQ(drv("vfio-pci", "bind", kVf), 0);
}

TEST_F(Mechanisms, PreferredDriverMakesAnIdOfTheWholeDevice) {
  use("preferred-driver");
  ASSERT_EQ(dev(kNicA, "preferred_driver", "nvme"), 0);
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  ASSERT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "nvme");
  EXPECT_EQ(format_pci_id(*core_.find_driver("pci", "nvme")->probed_id),
            "8086:10d3:8086:0000 class=020000");
}

TEST_F(Mechanisms, VfioBindGivesTheProbeWildcardsUnlessAnIdMatches) {
  use("vfio-bind");
  const auto given = [&] {
    return format_pci_id(*core_.find_driver("pci", "vfio-pci")->probed_id);
  };
  ASSERT_EQ(drv("vfio-pci", "vfio_bind", kEduA), 0);
  EXPECT_EQ(given(), "*:*");
  ASSERT_EQ(drv("vfio-pci", "new_id", "1234 11e8 1af4 1100"), 0);
  EXPECT_EQ(driver_of(kEduB), "vfio-pci");
  ASSERT_EQ(drv("vfio-pci", "unbind", kEduA), 0);
  ASSERT_EQ(drv("vfio-pci", "vfio_bind", kEduA), 0);
  EXPECT_EQ(given(), "1234:11e8:1af4:1100");
}

TEST_F(Mechanisms, VfioBindOfADeferredProbeIsEagainAndNotQueued) {
  use("vfio-bind");
  core_.set_probe("vfio-pci", -517);
  EXPECT_EQ(drv("vfio-pci", "vfio_bind", kEduA), EAGAIN);
  EXPECT_TRUE(core_.state().deferred.empty());
  core_.set_probe("vfio-pci", -EIO);
  EXPECT_EQ(drv("vfio-pci", "vfio_bind", kEduA), EIO);
}

TEST_F(Mechanisms, VfioBindOfADeviceThatIsStillBeingAddedIsEagain) {
  use("vfio-bind");
  ASSERT_EQ(dev(kEduA, "remove", "1"), 0);
  int answer = 0;
  core_.set_on_step([&](const KernelStep& step) {
    // The card is listed, its event is out, and no probe takes it yet.
    const Device* device = core_.find(step.device);
    if (step.kind == KernelStep::Kind::kAddEvent && device->name == kEduA) {
      answer = drv("vfio-pci", "vfio_bind", kEduA);
    }
  });
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(answer, EAGAIN);
  EXPECT_EQ(driver_of(kEduA), "");
}

TEST_F(Mechanisms, ADeferredDeviceIsNotRetriedWithADriverThatOptedOutMeanwhile) {
  use("autoprobe-flag");
  core_.set_probe("pci-stub", -517);
  ASSERT_EQ(drv("pci-stub", "new_id", "1234 11e8"), 0);
  ASSERT_FALSE(core_.state().deferred.empty());
  core_.set_probe("pci-stub", 0);
  ASSERT_EQ(drv("pci-stub", "autoprobe", "0"), 0);
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  ASSERT_EQ(drv("e1000e", "bind", kNicA), 0);
  EXPECT_EQ(driver_of(kEduA), "");
  EXPECT_TRUE(core_.state().deferred.empty());
}

TEST_F(Mechanisms, ADriverThatOptedOutIsNotProbedAsynchronouslyEither) {
  use("sysfs-bind-only", R"(
driver = [ { name = "meta", bus = "spi", aliases = ["spi:*"], sysfs_bind_only = true, async = true } ]
device = [ { bus = "spi", name = "spi0.0", modalias = "spi:x" } ]
)");
  const auto driver = [&] { return link("bus/spi/devices/spi0.0/driver"); };
  EXPECT_EQ(driver(), "ENOENT");
  ASSERT_TRUE(core_.unplug("spi/spi0.0"));
  ASSERT_TRUE(core_.hot_add("spi/spi0.0"));
  EXPECT_EQ(driver(), "ENOENT");
  EXPECT_EQ(write("bus/spi/drivers/meta/bind", "spi0.0"), 0);
  EXPECT_EQ(driver(), "../../../bus/spi/drivers/meta");
}

TEST_F(Mechanisms, TheFlagInTheFileDecidesAndNotTheId) {
  use("sysfs-bind-only", R"(
driver = [
  { name = "greedy", ids = ["*:* override_only"], sysfs_bind_only = false },
  { name = "shy", ids = ["8086:10d3"], sysfs_bind_only = true },
]
device = [ { address = "0000:00:03.0", id = "8086:10d3" } ]
)");
  EXPECT_EQ(driver_of(kNicA), "greedy");
  ASSERT_EQ(drv("greedy", "unbind", kNicA), 0);
  EXPECT_EQ(drv("shy", "bind", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "shy");
}

TEST_F(Mechanisms, AnEntryForAnOverrideIsNotThereWithoutOne) {
  for (const char* profile : {"linux-3.14", "preferred-driver", "driver-probe-id"}) {
    use(profile);
    EXPECT_EQ(drv("vfio-pci", "bind", kEduA), ENODEV) << profile;
    EXPECT_EQ(drv("vfio-pci", "new_id", "dead beef 1 2 3 4 1"), 0)
        << profile << ": without a table any driver_data is taken";
  }
}

TEST_F(Mechanisms, AnOverrideInTheFileMeansNothingToAKernelWithoutOne) {
  use("linux-3.14", R"(
driver = [ { name = "e1000e", ids = ["8086:10d3"] } ]
device = [ { address = "0000:00:03.0", id = "8086:10d3", driver_override = "none", driver_probe_id = "1 1" } ]
)");
  EXPECT_EQ(driver_of(kNicA), "e1000e");
  EXPECT_FALSE(core_.find("pci", kNicA)->driver_override);
}

TEST_F(Mechanisms, OnLinux314AHostDriverIsNotKeptOutOfAGroupThatUserSpaceHolds) {
  use("linux-3.14");
  ASSERT_EQ(drv("e1000", "unbind", kSharedA), 0);
  ASSERT_EQ(drv("e1000", "unbind", kSharedB), 0);
  ASSERT_EQ(drv("vfio-pci", "new_id", "8086 100e"), 0);
  ASSERT_EQ(drv("vfio-pci", "unbind", kSharedB), 0);
  ASSERT_TRUE(core_.hold_group(6, true));
  EXPECT_EQ(drv("e1000", "bind", kSharedB), 0);
  EXPECT_EQ(driver_of(kSharedB), "e1000");
}

TEST_F(Mechanisms, OnLinux314NoBindEventsAreSent) {
  use("linux-3.14");
  (void)events();
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  ASSERT_EQ(drv("e1000e", "bind", kNicA), 0);
  for (const std::string& event : events())
    EXPECT_THAT(event, testing::Not(testing::HasSubstr("bind ")));
}

TEST(OnLinux314, TheVfioBindFileBindsToo) {
  State state = load(R"(kernel = "vfio-bind"
driver = [{ name = "vfio-pci", managed_dma = true, needs_group = true, ids = ["*:* override_only"] }]
device = [{ address = "0000:00:03.0", id = "8086:10d3", class = "020000", group = 3 }]
)");
  state.profile = *profile_with({3, 14}, Mechanism::kVfioBind);
  DriverCore core(std::move(state));
  EXPECT_TRUE(core.vfio_bind("pci", "vfio-pci", "0000:00:03.0"));
  EXPECT_TRUE(core.find("pci", "0000:00:03.0")->driver);
}

}  // namespace
}  // namespace anybind::drivercore
