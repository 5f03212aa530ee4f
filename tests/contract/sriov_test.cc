// Virtual functions, with nvme as a driver that leaves them where they are and vfio-pci as one that
// takes them along. They are kept free of nvme, which some kernels cannot bind to QEMU's.
#include <cerrno>

#include "contract.h"

namespace anybind::contract {
namespace {

class Sriov : public Contract {
 protected:
  void SetUp() override {
    Contract::SetUp();
    ASSERT_EQ(dev(kPf, "sriov_drivers_autoprobe", "0"), 0);
  }
  void TearDown() override {
    if (driver_of(kPf).empty() || driver_of(kPf) == "pci-stub") reset_device(kPf, "nvme");
    dev(kPf, "sriov_numvfs", "0");
    Contract::TearDown();
  }
  int numvfs(std::string_view text) { return dev(kPf, "sriov_numvfs", text); }
  std::string numvfs() { return read("bus/pci/devices/" + kPf + "/sriov_numvfs"); }
  std::string of_pf(const std::string& name) { return "bus/pci/devices/" + kPf + "/" + name; }
};

bool has_vf_autoprobe(const KernelProfile& kernel) {
  return kernel.version >= KernelVersion{4, 12};
}
bool names_drivers(const KernelProfile& kernel) {
  return kernel.version >= KernelVersion{4, 12} && kernel.has(Mechanism::kDriverOverride);
}

STATEMENT(has_vf_autoprobe, Sriov, NumvfsTakesANumberOfSixteenBits) {
  for (const char* bad : {"x", "-1", "1 ", "70000", "\n"}) EXPECT_EQ(numvfs(bad), EINVAL) << bad;
  EXPECT_EQ(numvfs("5"), ERANGE);
  EXPECT_EQ(numvfs("65535"), ERANGE);
  EXPECT_EQ(numvfs("0x1\n"), 0);
  EXPECT_EQ(numvfs(), "1\n");
  EXPECT_EQ(numvfs("+1"), 0);
  EXPECT_EQ(numvfs("01"), 0);
}

STATEMENT(has_vf_autoprobe, Sriov, AreChangedOnlyThroughNone) {
  EXPECT_EQ(numvfs("2"), 0);
  EXPECT_EQ(numvfs("2"), 0);
  EXPECT_EQ(numvfs("1"), EBUSY);
  EXPECT_EQ(numvfs("3"), EBUSY);
  EXPECT_EQ(numvfs(), "2\n");
  EXPECT_EQ(numvfs("0"), 0);
  EXPECT_EQ(driver_of(kVf), "absent");
}

STATEMENT(names_drivers, Sriov, WantADriverThatCanDoIt) {
  make_free(kPf);
  EXPECT_EQ(numvfs("0"), 0);
  EXPECT_EQ(numvfs("1"), ENOENT);
  EXPECT_EQ(numvfs("5"), ERANGE);
  ASSERT_EQ(dev(kPf, "driver_override", "pci-stub"), 0);
  ASSERT_EQ(drv("pci-stub", "bind", kPf), 0);
  EXPECT_EQ(numvfs("1"), ENOENT);
  EXPECT_EQ(numvfs("0"), 0);
}

STATEMENT(has_vf_autoprobe, Sriov, AreLinkedWithTheirPhysicalFunction) {
  ASSERT_EQ(numvfs("2"), 0);
  EXPECT_EQ(link_of(of_pf("virtfn0")), kVf);
  EXPECT_EQ(link_of(of_pf("virtfn1")), "0000:02:00.2");
  EXPECT_EQ(link_of(of_pf("virtfn2")), "");
  EXPECT_EQ(link_of("bus/pci/devices/" + kVf + "/physfn"), kPf);
  EXPECT_EQ(read("bus/pci/devices/" + kVf + "/modalias"), read(of_pf("modalias")));
  EXPECT_NE(group_of(kVf), "");
  EXPECT_NE(group_of(kVf), group_of(kPf));
  EXPECT_NE(group_of(kVf), group_of("0000:02:00.2"));
}

STATEMENT(names_drivers, Sriov, HaveTheFilesOfTheirKind) {
  ASSERT_EQ(numvfs("1"), 0);
  EXPECT_EQ(dev(kVf, "remove", "1"), ENOENT) << "they go as they came";
  EXPECT_EQ(dev(kVf, "rescan", "1"), ENOENT);
  EXPECT_EQ(dev(kVf, "sriov_numvfs", "1"), ENOENT);
  EXPECT_EQ(read(of_pf("sriov_totalvfs")), "4\n");
  EXPECT_EQ(read(of_pf("sriov_offset")), "1\n");
  EXPECT_EQ(read(of_pf("sriov_stride")), "1\n");
  EXPECT_EQ(read(of_pf("sriov_vf_device")), "10\n");
  EXPECT_EQ(read_error("bus/pci/devices/" + kNicA + "/sriov_numvfs"), ENOENT);
}

STATEMENT(has_vf_autoprobe, Sriov, AutoprobeTakesABool) {
  for (const char* bad : {"junk", "2", "\n"}) {
    EXPECT_EQ(dev(kPf, "sriov_drivers_autoprobe", bad), EINVAL) << bad;
  }
  EXPECT_EQ(dev(kPf, "sriov_drivers_autoprobe", "on"), 0);
  EXPECT_EQ(read(of_pf("sriov_drivers_autoprobe")), "1\n");
  EXPECT_EQ(dev(kPf, "sriov_drivers_autoprobe", "n"), 0);
  EXPECT_EQ(read(of_pf("sriov_drivers_autoprobe")), "0\n");
}

STATEMENT(honours_autoprobe, Sriov, AreHeldBackByTheBusesAutoprobeToo) {
  ASSERT_EQ(dev(kPf, "sriov_drivers_autoprobe", "1"), 0);
  ASSERT_EQ(bus("drivers_autoprobe", "0"), 0);
  EXPECT_EQ(numvfs("1"), 0);
  EXPECT_EQ(driver_of(kVf), "");
  ASSERT_EQ(bus("drivers_autoprobe", "1"), 0);
  EXPECT_EQ(driver_of(kVf), "");
}

STATEMENT(names_drivers, Sriov, WithAutoprobeOffOnlyAnOverrideBinds) {
  ASSERT_EQ(numvfs("1"), 0);
  EXPECT_EQ(driver_of(kVf), "");
  EXPECT_EQ(drv("nvme", "bind", kVf), ENODEV);
  EXPECT_EQ(bus("drivers_probe", kVf), 0);
  EXPECT_EQ(driver_of(kVf), "");
  ASSERT_EQ(drv("pci-stub", "new_id", "1b36 0010 ffffffff ffffffff 0 0 0"), 0);
  EXPECT_EQ(driver_of(kVf), "");
  EXPECT_EQ(drv("pci-stub", "bind", kVf), ENODEV);
  ASSERT_EQ(drv("pci-stub", "remove_id", "1b36 0010"), 0);
  ASSERT_EQ(dev(kVf, "driver_override", "pci-stub"), 0);
  EXPECT_EQ(drv("pci-stub", "bind", kVf), 0);
  EXPECT_EQ(driver_of(kVf), "pci-stub");
}

STATEMENT(names_drivers, Sriov, StayWhenADriverLeavesThem) {
  ASSERT_EQ(numvfs("2"), 0);
  ASSERT_EQ(drv("nvme", "unbind", kPf), 0);
  EXPECT_EQ(driver_of(kVf), "");
  EXPECT_EQ(numvfs(), "2\n");
  EXPECT_EQ(numvfs("2"), 0);
  EXPECT_EQ(numvfs("0"), ENOENT);
  EXPECT_EQ(numvfs("1"), ENOENT);
  ASSERT_EQ(dev(kPf, "driver_override", "vfio-pci"), 0);
  EXPECT_EQ(drv("vfio-pci", "bind", kPf), EBUSY) << "it would not know who uses them";
  ASSERT_EQ(dev(kPf, "driver_override", "\n"), 0);
  ASSERT_EQ(drv("nvme", "bind", kPf), 0);
  EXPECT_EQ(numvfs("0"), 0);
}

STATEMENT(names_drivers, Sriov, OfAVfioDriverAreItsOwn) {
  const std::string parameter = "module/vfio_pci/parameters/enable_sriov";
  ASSERT_EQ(drv("nvme", "unbind", kPf), 0);
  ASSERT_EQ(dev(kPf, "driver_override", "vfio-pci"), 0);
  ASSERT_EQ(drv("vfio-pci", "bind", kPf), 0);
  ASSERT_EQ(write(parameter, "0"), 0);
  EXPECT_EQ(read(parameter), "N\n");
  EXPECT_EQ(numvfs("1"), ENOENT);
  EXPECT_EQ(write(parameter, "junk"), EINVAL);
  ASSERT_EQ(write(parameter, "1"), 0);
  EXPECT_EQ(read(parameter), "Y\n");
  ASSERT_EQ(numvfs("1"), 0);
  EXPECT_EQ(override_of(kVf), "vfio-pci\n");
  EXPECT_EQ(driver_of(kVf), "vfio-pci") << "an override opens the gate";
  ASSERT_EQ(write(parameter, "0"), 0);
  EXPECT_EQ(numvfs("2"), EBUSY) << "the bus asks whether there are any before it asks the driver";
  EXPECT_EQ(numvfs("0"), ENOENT);
  ASSERT_EQ(write(parameter, "1"), 0);
  ASSERT_EQ(drv("vfio-pci", "unbind", kPf), 0);
  EXPECT_EQ(driver_of(kVf), "absent") << "it takes them along";
  EXPECT_EQ(numvfs(), "0\n");
  ASSERT_EQ(write(parameter, "0"), 0);
  ASSERT_EQ(dev(kPf, "driver_override", "\n"), 0);
  ASSERT_EQ(drv("nvme", "bind", kPf), 0);
}

}  // namespace
}  // namespace anybind::contract
