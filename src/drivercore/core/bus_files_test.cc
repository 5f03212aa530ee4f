// bind, unbind, drivers_probe, drivers_autoprobe, driver_override and the common rules of writing,
// as in the tables of kernel-facts 2.
#include "drivercore/machine_fixture.h"

namespace anybind::drivercore {
namespace {

using Writes = MachineTest;
using Bind = MachineTest;
using Unbind = MachineTest;
using DriversProbe = MachineTest;
using DriverOverride = MachineTest;
using VirtualFunctions = MachineTest;

// ---- 2.1

TEST_F(Writes, AnEmptyOneReachesNoStore) {
  EXPECT_EQ(dev(kNicA, "driver_override", "none"), 0);
  EXPECT_EQ(sysfs_->write("bus/pci/devices/" + kNicA + "/driver_override", "").value_or(9), 0U);
  EXPECT_EQ(read("bus/pci/devices/" + kNicA + "/driver_override"), "none\n");
  EXPECT_EQ(drv("e1000e", "bind", ""), 0);
}

TEST_F(Writes, AreCutAtAPageAndSaySo) {
  const std::string long_text = "0" + std::string(5000, 'x');
  EXPECT_EQ(sysfs_->write("bus/pci/drivers_autoprobe", long_text).value_or(0), 4096U);
}

TEST_F(Writes, FollowTheModeOfTheFileAlsoForRoot) {
  for (const char* file :
       {"drivers_probe", "rescan", "uevent", "drivers/e1000e/bind", "drivers/e1000e/unbind",
        "drivers/e1000e/new_id", "drivers/e1000e/remove_id", "devices/0000:00:03.0/remove"}) {
    EXPECT_EQ(read(std::string("bus/pci/") + file), "EACCES") << file;
  }
  for (const char* file : {"vendor", "class", "modalias", "resource"}) {
    EXPECT_EQ(dev(kNicA, file, "x"), EACCES) << file;
  }
  EXPECT_EQ(dev(kNicA, "config", "x"), 0);
}

TEST_F(Writes, WantTheWholeNameAndAtMostOneNewline) {
  struct Row {
    std::string text;
    int error;
  };
  const std::vector<Row> rows = {
      {kNicA, 0},
      {kNicA + "\n", 0},
      {kNicA + std::string("\0junk", 5), 0},
      {kNicA + "\n\n", ENODEV},
      {" " + kNicA, ENODEV},
      {kNicA + " ", ENODEV},
      {"00:03.0", ENODEV},
      {kNicA + " " + kNicB, ENODEV},
      {kNicA + "\n" + kNicB, ENODEV},
      {"\n", ENODEV},
      {"junk", ENODEV},
      {kNobody, ENODEV},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(bus("drivers_probe", row.text), row.error) << row.text;
  }
}

// ---- 2.2

TEST_F(Bind, AnswersAsTheTableSays) {
  ASSERT_TRUE(core_.load_module("tdrv"));
  struct Row {
    const char* what;
    std::string driver;
    std::string device;
    int error;
  };
  const std::vector<Row> rows = {
      {"an unknown device", "e1000e", kNobody, ENODEV},
      {"bound to this driver", "e1000e", kNicA, EBUSY},
      {"no match, driverless", "e1000e", "0000:00:00.0", ENODEV},
      {"no match, bound elsewhere", "nvme", kNicA, ENODEV},
      {"an override_only entry without an override", "vfio-pci", kNicA, ENODEV},
      {"a match, bound elsewhere", "td1", kEduA, EBUSY},
  };
  for (const Row& row : rows) {
    const std::string before = driver_of(row.device);
    EXPECT_EQ(drv(row.driver, "bind", row.device), row.error) << row.what;
    EXPECT_EQ(driver_of(row.device), before) << row.what;
  }
}

TEST_F(Bind, PassesTheErrnoOfTheProbeOn) {
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  for (const int error : {EIO, EINVAL, ENOMEM, EPERM, EBUSY, ENODEV, EINTR, EAGAIN, 512}) {
    core_.set_probe("e1000e", -error);
    EXPECT_EQ(drv("e1000e", "bind", kNicA), error);
    EXPECT_EQ(driver_of(kNicA), "");
  }
  core_.set_probe("e1000e", -517);
  EXPECT_EQ(drv("e1000e", "bind", kNicA), EAGAIN);
  EXPECT_TRUE(core_.state().deferred.empty()) << "the bind file does not queue [E10]";
  core_.set_probe("e1000e", 0);
  EXPECT_EQ(drv("e1000e", "bind", kNicA), 0);
}

TEST_F(Bind, AProbeCanFailForOneDeviceOnly) {
  core_.set_probe("e1000e", -EIO, kNicB);
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  ASSERT_EQ(drv("e1000e", "unbind", kNicB), 0);
  EXPECT_EQ(drv("e1000e", "bind", kNicA), 0);
  EXPECT_EQ(drv("e1000e", "bind", kNicB), EIO);
}

TEST_F(Bind, AProbeFailsForNoDeviceThatAMachineFileCannotName) {
  for (const char* name : {"0000:\xC8:00.0", "a/b", "\x1b[31m"}) {
    EXPECT_FALSE(core_.set_probe("e1000e", -EIO, name));
  }
  EXPECT_TRUE(core_.set_probe("e1000e", -EIO, "0000:7f:00.0"));
  EXPECT_TRUE(load_machine(save_machine(core_.state()), "saved.toml"));
}

TEST_F(Bind, HasNoFileWhereTheDriverSuppressesIt) {
  core_ = DriverCore(load(R"(
    driver = [{ name = "byt_gpio", bus = "platform", suppress_bind = true }]
  )"));
  EXPECT_EQ(list("bus/platform/drivers/byt_gpio"), (std::vector<std::string>{"module", "uevent"}));
  EXPECT_EQ(write("bus/platform/drivers/byt_gpio/bind", "x"), ENOENT);
}

TEST_F(Bind, BeforeLinux514SaidOnlyEnodev) {
  State old = core_.state();
  old.profile = *find_profile("linux-5.13");
  core_ = DriverCore(old);
  EXPECT_EQ(drv("e1000e", "bind", kNicA), ENODEV);
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  core_.set_probe("e1000e", -EIO);
  EXPECT_EQ(drv("e1000e", "bind", kNicA), ENODEV);
}

TEST_F(Unbind, WantsTheDriverThatHasTheDevice) {
  EXPECT_EQ(drv("e1000e", "unbind", kNobody), ENODEV);
  EXPECT_EQ(drv("nvme", "unbind", kNicA), ENODEV);
  EXPECT_EQ(drv("e1000e", "unbind", kEduA), ENODEV);
  EXPECT_EQ(drv("e1000e", "unbind", kNicA + "\n"), 0);
  EXPECT_EQ(driver_of(kNicA), "");
  EXPECT_EQ(driver_of(kNicB), "e1000e");
  EXPECT_EQ(drv("e1000e", "unbind", kNicA), ENODEV);
}

TEST_F(DriversProbe, SucceedsAlsoWhenNothingIsBound) {
  ASSERT_TRUE(core_.load_module("tdrv"));
  for (const char* driver : {"td0", "td1", "td2"}) core_.set_probe(driver, -EIO);
  ASSERT_EQ(drv("td0", "unbind", kEduA), 0);
  EXPECT_EQ(bus("drivers_probe", "0000:00:00.0"), 0) << "nothing matches";
  EXPECT_EQ(bus("drivers_probe", kNicA), 0) << "bound already";
  EXPECT_EQ(bus("drivers_probe", kEduA), 0) << "all probes fail";
  EXPECT_EQ(driver_of(kEduA), "");
  EXPECT_EQ(dev(kEduA, "driver_override", "no-such-driver"), 0);
  EXPECT_EQ(bus("drivers_probe", kEduA), 0) << "an override to a driver that is not there";
}

TEST_F(DriversProbe, TriesTheDriversInTheOrderOfRegistrationPastFailures) {
  ASSERT_TRUE(core_.load_module("tdrv"));
  std::vector<std::string> tried;
  ASSERT_EQ(drv("td0", "unbind", kEduA), 0);
  core_.set_on_step([&](const KernelStep& step) {
    if (step.kind == KernelStep::Kind::kProbeBegins)
      tried.push_back(core_.find_driver(step.driver)->name);
  });
  core_.set_probe("td0", -EIO);
  core_.set_probe("td1", -ENODEV);
  EXPECT_EQ(bus("drivers_probe", kEduA), 0);
  EXPECT_EQ(tried, (std::vector<std::string>{"td0", "td1", "td2"}));
  EXPECT_EQ(driver_of(kEduA), "td2");
}

TEST_F(DriversProbe, TakesTheOrderOfRegistrationAndNotThatOfTheNames) {
  ASSERT_TRUE(core_.load_module("tdrv"));
  ASSERT_TRUE(core_.unload_module("e1000e"));
  ASSERT_EQ(drv("pci-stub", "new_id", "8086 10d3"), 0);
  ASSERT_EQ(driver_of(kNicA), "pci-stub");
  ASSERT_TRUE(core_.load_module("e1000e"));
  ASSERT_EQ(drv("pci-stub", "unbind", kNicA), 0);
  EXPECT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "pci-stub") << "e1000e registered again, and so last";
}

TEST_F(DriversProbe, AutoprobeIsOffOnlyForALeadingZero) {
  for (const char* text : {"1", "junk", "off", "-1", "\n", " 0"}) {
    ASSERT_EQ(bus("drivers_autoprobe", "0"), 0);
    EXPECT_EQ(read("bus/pci/drivers_autoprobe"), "0\n");
    EXPECT_EQ(bus("drivers_autoprobe", text), 0);
    EXPECT_EQ(read("bus/pci/drivers_autoprobe"), "1\n") << text;
  }
  EXPECT_EQ(bus("drivers_autoprobe", "00x"), 0);
  EXPECT_EQ(read("bus/pci/drivers_autoprobe"), "0\n");
}

// ---- 2.4

TEST_F(DriverOverride, KeepsWhatWasWritten) {
  struct Row {
    std::string text;
    int error;
    std::string reads;
  };
  const std::string longest(4094, 'a');
  const std::vector<Row> rows = {
      {"vfio-pci", 0, "vfio-pci\n"},
      {"vfio-pci\n", 0, "vfio-pci\n"},
      {"a b", 0, "a b\n"},
      {" x", 0, " x\n"},
      {"nosuch\nsecond", 0, "nosuch\n"},
      {"\nfoo", 0, "(null)\n"},
      {std::string("x\0y", 3), 0, "x\n"},
      {std::string("\0", 1), 0, "(null)\n"},
      {"none", 0, "none\n"},
      {longest, 0, longest + "\n"},
      {longest + "a", EINVAL, longest + "\n"},
      {std::string(5000, 'a'), EINVAL, longest + "\n"},
      {std::string(4094, 'b') + "\n", EINVAL, longest + "\n"},
      {"\n", 0, "(null)\n"},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(dev(kEduA, "driver_override", row.text), row.error) << row.text.substr(0, 20);
    EXPECT_EQ(read("bus/pci/devices/" + kEduA + "/driver_override"), row.reads);
  }
}

TEST_F(DriverOverride, NeitherUnbindsNorProbesNorTellsAnybody) {
  (void)core_.take_uevents();
  ASSERT_EQ(dev(kNicA, "driver_override", "vfio-pci"), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
  EXPECT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
  EXPECT_EQ(drv("vfio-pci", "bind", kNicA), EBUSY);
  EXPECT_EQ(drv("e1000e", "bind", kNicA), ENODEV);
  EXPECT_EQ(events(), std::vector<std::string>{});
}

TEST_F(DriverOverride, BindsAPlatformDeviceToADriverThatDoesNotMatch) {
  const std::string device = "bus/platform/devices/pcspkr";
  EXPECT_EQ(link(device + "/driver"), "../../../bus/platform/drivers/pcspkr");
  ASSERT_EQ(write("bus/platform/drivers/pcspkr/unbind", "pcspkr"), 0);
  ASSERT_EQ(write(device + "/driver_override", "serial8250"), 0);
  EXPECT_EQ(write("bus/platform/drivers_probe", "pcspkr"), 0);
  EXPECT_EQ(link(device + "/driver"), "../../../bus/platform/drivers/serial8250");
  EXPECT_EQ(read(device + "/driver_override"), "serial8250\n");
}

TEST_F(DriverOverride, IsNotThereOnAKernelBefore316) {
  State old = core_.state();
  old.profile = *find_profile("linux-3.14");
  core_ = DriverCore(old);
  EXPECT_EQ(dev(kNicA, "driver_override", "x"), ENOENT);
  EXPECT_EQ(read("bus/pci/devices/" + kNicA + "/revision"), "ENOENT") << "came with 4.10";
}

// ---- sriov_drivers_autoprobe

constexpr std::string_view kPfMachine = R"(
driver = [
  { name = "nvme", ids = ["class:010802"] },
  { name = "pci-stub", managed_dma = true },
]
device = [
  { address = "0000:01:00.0", id = "1b36:0010", class = "010802", total_vfs = 4, vf_autoprobe = false },
  { address = "0000:01:00.1", id = "1b36:0010", class = "010802", physfn = "0000:01:00.0" },
  { address = "0000:01:00.2", id = "1b36:0010", class = "010802", physfn = "0000:01:00.0" },
]
)";

TEST_F(VirtualFunctions, WaitForTheLeaveOfTheirPhysicalOneOnEveryPath) {
  core_ = DriverCore(load(kPfMachine));
  const std::string vf = "0000:01:00.1";
  EXPECT_EQ(driver_of("0000:01:00.0"), "nvme");
  EXPECT_EQ(driver_of(vf), "") << "not probed at boot";
  EXPECT_EQ(drv("nvme", "bind", vf), ENODEV);
  EXPECT_EQ(bus("drivers_probe", vf), 0);
  EXPECT_EQ(driver_of(vf), "");
  EXPECT_EQ(drv("pci-stub", "new_id", "1b36 0010"), 0);
  EXPECT_EQ(driver_of(vf), "");
  ASSERT_EQ(dev(vf, "driver_override", "pci-stub"), 0);
  EXPECT_EQ(drv("pci-stub", "bind", vf), 0) << "an override opens the gate (5.3)";
  EXPECT_EQ(dev("0000:01:00.0", "sriov_drivers_autoprobe", "y"), 0);
  EXPECT_EQ(driver_of("0000:01:00.2"), "") << "opening it probes nothing";
  EXPECT_EQ(bus("drivers_probe", "0000:01:00.2"), 0);
  EXPECT_EQ(driver_of("0000:01:00.2"), "nvme");
}

TEST_F(VirtualFunctions, AreLinkedWithTheirPhysicalOne) {
  core_ = DriverCore(load(kPfMachine));
  const std::string devices = "bus/pci/devices/";
  EXPECT_EQ(link(devices + "0000:01:00.0/virtfn0"), "../0000:01:00.1");
  EXPECT_EQ(link(devices + "0000:01:00.0/virtfn1"), "../0000:01:00.2");
  EXPECT_EQ(link(devices + "0000:01:00.0/virtfn2"), "ENOENT");
  EXPECT_EQ(link(devices + "0000:01:00.2/physfn"), "../0000:01:00.0");
  EXPECT_EQ(read(devices + "0000:01:00.0/sriov_numvfs"), "2\n");
  EXPECT_EQ(read(devices + "0000:01:00.0/sriov_totalvfs"), "4\n");
  EXPECT_EQ(dev("0000:01:00.0", "sriov_drivers_autoprobe", "2"), EINVAL);
  EXPECT_EQ(read(devices + "0000:01:00.1/sriov_numvfs"), "ENOENT");
}

TEST_F(VirtualFunctions, GoWithTheirCardAndNoRescanBringsThemBack) {
  core_ = DriverCore(load(kPfMachine));
  ASSERT_TRUE(core_.unplug("0000:01:00.0"));
  EXPECT_EQ(list("bus/pci/devices"), std::vector<std::string>{});
  ASSERT_TRUE(core_.hot_add("0000:01:00.0"));
  EXPECT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(list("bus/pci/devices"), std::vector<std::string>{"0000:01:00.0"});
}

}  // namespace
}  // namespace anybind::drivercore
