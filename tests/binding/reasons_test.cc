#include "change/diagnosis.h"

#include <gmock/gmock.h>

#include <cerrno>
#include <filesystem>

#include "inventory/test_tree.h"
#include "machine.h"

namespace anybind {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Reasons : public MachineTest {
 protected:
  Error failure_of(Sysfs& sysfs, std::vector<DeviceId> devices,
                   const std::string& to = "vfio-pci") {
    const auto plan = plan_bind(sysfs, {.devices = std::move(devices), .driver = driver(to)});
    EXPECT_TRUE(plan) << plan.error().message();
    Host host(sysfs);
    host.log = &log_;
    const auto outcome = run(host, *plan, nullptr, recorder_);
    EXPECT_FALSE(outcome);
    return outcome ? Error{} : outcome.error();
  }
  FakeLog log_;
};

TEST_F(Reasons, OfAFailedProbeAreTheErrnoInWordsAndWhatTheKernelSaid) {
  log_.all = {{.text = "igc 0000:04:00.0 eth0: down", .device = "pci:0000:04:00.0"},
              {.text = "usb 1-1: new device", .device = "+usb:1-1"},
              {.text = "probe with driver vfio-pci failed: \x1b[2J"}};
  core_.set_probe("vfio-pci", -EIO);
  const Error error = failure_of(*sysfs_, {kNicA});
  EXPECT_THAT(error.message(), HasSubstr("the probe of vfio-pci failed: Input/output error"));
  EXPECT_THAT(error.details, ElementsAre("kernel: igc 0000:04:00.0 eth0: down",
                                         "kernel: probe with driver vfio-pci failed: \\x1b[2J"));
  EXPECT_EQ(error.advice, Remark(Action::kExplain, {"0000:04:00.0", "vfio-pci"}));
}

TEST_F(Reasons, OfARollBackThatFailsAreToldToo) {
  recorder_.before_step = [&](std::size_t count) {
    if (count == 3) core_.set_probe("vfio-pci", -EIO);
    if (count == 3) core_.set_probe("igc", -EIO);
    // What is said for the first time while things are put back.
    if (count > 4) log_.all = {{.text = "igc 0000:04:00.0: no firmware"}};
  };
  const Error error = failure_of(*sysfs_, {kNicA});
  EXPECT_EQ(error.kind, ErrorKind::kIncomplete);
  EXPECT_THAT(error.details, ElementsAre("kernel: igc 0000:04:00.0: no firmware"));
}

TEST_F(Reasons, ADriverThatWasUnloadedMeanwhileHasGone) {
  recorder_.before_step = [&](std::size_t count) {
    if (count != 3) return;
    EXPECT_TRUE(core_.unload_module("vfio_pci"));
  };
  const Error error = failure_of(*sysfs_, {kNicA});
  EXPECT_THAT(error.message(), HasSubstr("vfio-pci has gone"));
  EXPECT_EQ(state_of(kNicA), "igc (unset)");
}

TEST_F(Reasons, WithoutAnIommuAVfioDriverSaysSo) {
  auto state = read_machine(kMachine);
  state.iommu = false;
  for (auto& [key, device] : state.devices) device.group.reset();
  state.groups.clear();
  drivercore::DriverCore core(std::move(state));
  const auto sysfs = drivercore::model_sysfs(core);
  const auto plan = plan_bind(*sysfs, {.devices = {kNicA}, .driver = driver("vfio-pci")});
  ASSERT_FALSE(plan) << "the driver would say it when the host driver has gone";
  EXPECT_EQ(plan.error().kind, ErrorKind::kRefused);
  EXPECT_THAT(plan.error().message(), HasSubstr("the IOMMU is off"));
  EXPECT_THAT(plan.error().advice.plain(), HasSubstr("kernel command line"));
}

TEST_F(Reasons, ADeviceThatAnotherDriverTookNamesIt) {
  ASSERT_EQ(write("bus/pci/drivers/igc/unbind", "0000:04:00.0"), 0);
  recorder_.before_step = [&](std::size_t count) {
    if (count != 2) return;
    EXPECT_EQ(write("bus/pci/devices/0000:04:00.0/driver_override", "\n"), 0);
    EXPECT_EQ(write("bus/pci/drivers/igc/bind", "0000:04:00.0"), 0);
    EXPECT_EQ(write("bus/pci/devices/0000:04:00.0/driver_override", "vfio-pci"), 0);
  };
  EXPECT_THAT(failure_of(*sysfs_, {kNicA}).message(), HasSubstr("igc took it meanwhile"));
}

TEST_F(Reasons, NothingIsLookedForWhenNobodyWantsToKnow) {
  core_.set_probe("vfio-pci", -EIO);
  log_.all = {{.text = "about 0000:04:00.0"}};
  const auto plan = to_vfio({kNicA});
  Host host(*sysfs_);
  host.log = &log_;
  const auto outcome = run(host, *plan, nullptr, recorder_, {.find_causes = false});
  EXPECT_THAT(outcome.error().details, IsEmpty());
}

/// What the model does not show: a tree made by hand.
class ReasonsInATree : public testing::Test {
 protected:
  ReasonsInATree() {
    tree_.device("pci", "devices/pci0000:00/0000:04:00.0", "");
    tree_.dir("bus/pci/drivers/drv");
  }
  Error error_with(int value, Step::Kind kind = Step::Kind::kBind,
                   const std::string& driver = "drv") {
    Error error{.err = Errno{value}, .operation = "bind", .object = device_.str()};
    const auto dir = tree_.sysfs().open_dir(device_.path());
    EXPECT_TRUE(dir);
    const Step step{.kind = kind, .value = driver, .reason = ""};
    Host host(tree_.sysfs());
    host.proc = Proc(tree_.root() + "/proc");
    host.dev = "/dev";
    host.log = &log_;
    add_reasons(error, {host, **dir, device_, step});
    return error;
  }
  TestTree tree_;
  FakeLog log_;
  const DeviceId device_ = pci("0000:04:00.0");
};

TEST_F(ReasonsInATree, ADeferredProbeTellsWhatTheKernelNoted) {
  EXPECT_THAT(error_with(EAGAIN).why, HasSubstr("something that it needs is not there yet"));
  tree_.put("kernel/debug/devices_deferred",
            "0000:04:00.1\tother\n0000:04:00.0\tdrv: waits for clock c\x1b[2J\n");
  EXPECT_EQ(error_with(EAGAIN).why, "drv deferred its probe: drv: waits for clock c\\x1b[2J");
}

TEST_F(ReasonsInATree, ADeferredProbeNamesSuppliersWithoutADriver) {
  const std::string dir = "devices/pci0000:00/0000:04:00.0/";
  tree_.put(dir + "supplier:platform:clk.0/status", "dormant\n");
  tree_.put(dir + "supplier:platform:phy.1/status", "active\n");
  EXPECT_EQ(error_with(EAGAIN).why,
            "drv deferred its probe: it needs platform:clk.0, which no driver has yet");
}

TEST_F(ReasonsInATree, ADeferredProbeKnowsOfASupplierThatIsNotThere) {
  const std::string file = "devices/pci0000:00/0000:04:00.0/waiting_for_supplier";
  tree_.put(file, "0\n");
  const Error error = error_with(EAGAIN);
  EXPECT_THAT(error.why, HasSubstr("something that it needs is not there yet"));
  EXPECT_THAT(error.advice.plain(), HasSubstr("mount -t debugfs"));
  tree_.put(file, "1\n");
  EXPECT_THAT(error_with(EAGAIN).why, HasSubstr("by what the firmware says, is not there yet"));
}

TEST_F(ReasonsInATree, UsersOfTheGroupAreFoundByEitherOfItsFiles) {
  tree_.link_to("devices/pci0000:00/0000:04:00.0/iommu_group", "kernel/iommu_groups/7");
  tree_.device("pci", "devices/pci0000:00/0000:04:00.1", "");
  tree_.link_to("kernel/iommu_groups/7/devices/0000:04:00.1", "devices/pci0000:00/0000:04:00.1");
  tree_.dir("devices/pci0000:00/0000:04:00.1/vfio-dev/vfio3");
  EXPECT_THAT(error_with(EBUSY).why, HasSubstr("or drv found busy what it needs"));
  const auto opens = [&](const std::string& pid, const std::string& comm, const std::string& node) {
    tree_.put("proc/" + pid + "/comm", comm + "\n");
    tree_.dir("proc/" + pid + "/fd");
    std::filesystem::create_symlink(node, tree_.root() + "/proc/" + pid + "/fd/5");
  };
  opens("41", "qemu", "/dev/vfio/devices/vfio3");
  EXPECT_EQ(error_with(EBUSY).why,
            "IOMMU group 7 is in use by user space: it is open in qemu (process 41)");
  opens("42", "dpdk", "/dev/vfio/7");
  EXPECT_THAT(error_with(EBUSY).why, HasSubstr("dpdk (process 42) and qemu (process 41)"));
}

TEST_F(ReasonsInATree, APhysicalFunctionWithVirtualOnesIsNotForVfio) {
  const std::string file = "devices/pci0000:00/0000:04:00.0/sriov_numvfs";
  tree_.put(file, "0\n");
  EXPECT_THAT(error_with(EBUSY, Step::Kind::kBind, "vfio-pci").why, HasSubstr("found busy"));
  tree_.put(file, "4\n");
  const Error error = error_with(EBUSY, Step::Kind::kBind, "vfio-pci");
  EXPECT_EQ(error.why, "vfio-pci does not take it while it has virtual functions: 4");
  EXPECT_EQ(error.advice, "remove them: " + Remark(Action::kMakeFunctions, {"0000:04:00.0", "0"}));
  EXPECT_THAT(error_with(EBUSY).why, HasSubstr("drv found busy what it needs"));
}

TEST_F(ReasonsInATree, BindsByOtherFilesThanBindAreExplainedToo) {
  EXPECT_EQ(error_with(EIO, Step::Kind::kVfioBind).why,
            "the probe of drv failed: Input/output error");
  EXPECT_EQ(error_with(EIO, Step::Kind::kDrvctl).why,
            "the probe of drv failed: Input/output error");
  EXPECT_EQ(error_with(EINVAL, Step::Kind::kDrvctl, "other").why,
            "other has gone: its module was unloaded meanwhile");
}

TEST_F(ReasonsInATree, ARefusedProbeOfTheBusNamesNoDriverThatNobodyNamed) {
  EXPECT_EQ(error_with(EINVAL, Step::Kind::kProbe, "").why,
            "no driver could get it: its IOMMU group is in use by user space, or its driver found "
            "busy what it needs");
}

TEST_F(ReasonsInATree, EveryStepIsExplained) {
  EXPECT_EQ(error_with(ENODEV, Step::Kind::kUnbind).why, "it is not on drv any more");
  EXPECT_EQ(error_with(ENOENT, Step::Kind::kUnbind).why,
            "drv has gone, or lets nobody unbind a device by hand");
  EXPECT_EQ(error_with(EINVAL, Step::Kind::kSetOverride).why, "the kernel takes no such name: drv");
  EXPECT_EQ(error_with(EIO, Step::Kind::kWake, "on").why,
            "the kernel refused that write: Input/output error");
}

TEST_F(ReasonsInATree, WhyVfioPciRefusesADevice) {
  tree_.dir("bus/pci/drivers/vfio-pci");
  EXPECT_THAT(error_with(EINVAL, Step::Kind::kBind, "vfio-pci").why,
              HasSubstr("vfio-pci refused it: it is in no IOMMU group"));
  tree_.put("module/vfio_pci/parameters/disable_denylist", "N\n");
  tree_.put("devices/pci0000:00/0000:04:00.0/vendor", "0x8086\n");
  tree_.put("devices/pci0000:00/0000:04:00.0/device", "0x37c9\n");
  const Error error = error_with(EINVAL, Step::Kind::kBind, "vfio-pci");
  EXPECT_THAT(error.why, HasSubstr("8086:37c9"));
  EXPECT_THAT(error.advice.plain(), HasSubstr("disable_denylist=1"));
}

class SettingReasons : public ReasonsInATree {
 protected:
  Error error_of(const std::string& path, int value, const std::string& bytes = "4") {
    Error error = from_errno(Errno{value}, "write", path);
    Setting setting{.path = path, .bytes = bytes, .undo_path = {}, .undo_bytes = {}, .reason = {}};
    if (path.ends_with("/sriov_numvfs")) setting.device = device_;
    add_reasons(error, Host(tree_.sysfs()), setting);
    EXPECT_NE(error.why, "") << path;
    return error;
  }
  const std::string number_ = "bus/pci/devices/0000:04:00.0/sriov_numvfs";
};

TEST_F(SettingReasons, EveryErrnoOfTheNumberOfVirtualFunctionsIsExplained) {
  EXPECT_EQ(error_of(number_, ENOENT).why,
            "0000:04:00.0 has no driver, which would have to make and remove them");
  tree_.link_to("devices/pci0000:00/0000:04:00.0/driver", "bus/pci/drivers/drv");
  EXPECT_EQ(error_of(number_, ENOENT).why,
            "drv, the driver of 0000:04:00.0, cannot make virtual functions: it has no SR-IOV");
  tree_.remove("devices/pci0000:00/0000:04:00.0/driver");
  tree_.link_to("devices/pci0000:00/0000:04:00.0/driver", "bus/pci/drivers/vfio-pci");
  EXPECT_THAT(error_of(number_, ENOENT).why, HasSubstr("enable_sriov"));
  EXPECT_TRUE(error_of(number_, EBUSY).advice.names(Action::kMakeFunctions));
  EXPECT_THAT(error_of(number_, ERANGE).why, HasSubstr("cannot have 4 virtual functions"));
  EXPECT_THAT(error_of(number_, ENOMEM).why, HasSubstr("no room for 4"));
  EXPECT_EQ(error_of(number_, EIO).why,
            "vfio-pci failed to make virtual functions: Input/output error");
  EXPECT_THAT(error_of(number_, EIO, "0").why, HasSubstr("failed to remove virtual functions"));
  EXPECT_THAT(error_of("bus/pci/drivers/drv/new_id", ENODEV, "1 2").why, HasSubstr("the id 1 2"));
  EXPECT_THAT(error_of("bus/pci/drivers_autoprobe", EIO, "0").why, HasSubstr("write 0 there"));
}

TEST_F(SettingReasons, WhatNobodyMayWriteIsLeftAsItIs) {
  Error error = from_errno(Errno{EPERM}, "write", number_);
  const Error before = error;
  add_reasons(error, Host(tree_.sysfs()),
              {.path = number_, .bytes = "4", .undo_path = {}, .undo_bytes = {}, .reason = {}});
  EXPECT_EQ(error.why, before.why);
}

TEST_F(ReasonsInATree, MemoryThatTheFirmwareHoldsIsNamed) {
  log_.all = {{.text = "drv 0000:04:00.0: BAR 0: can't reserve [mem 0xd0000000-0xdfffffff 64bit]"}};
  EXPECT_THAT(error_with(EBUSY).why, HasSubstr("something else holds its memory"));
  tree_.put("proc/iomem",
            "d0000000-efffffff : PCI Bus 0000:04\n"
            "  d0000000-dfffffff : 0000:04:00.0\n"
            "    d0000000-d02fffff : BOOTFB\n"
            "  e0000000-e0ffffff : 0000:05:00.0\n");
  const Error error = error_with(EBUSY);
  EXPECT_EQ(error.why, "its memory is held by BOOTFB");
  EXPECT_THAT(error.advice.plain(), HasSubstr("command line"));
  tree_.put("proc/iomem", "d0000000-dfffffff : 0000:04:00.0\n  d0000000-d00fffff : ramoops\n");
  EXPECT_EQ(error_with(EBUSY).why, "its memory is held by ramoops");
  EXPECT_THAT(error_with(EBUSY).advice.plain(), HasSubstr("/proc/iomem"));
}

TEST_F(ReasonsInATree, HostileMessagesAndFilesAreHarmless) {
  for (const char* text :
       {"can't reserve [mem 0x", "can't reserve [mem 0x-", "can't reserve [mem 0xz-1]",
        "can't reserve [mem 0x1-0xfffffffffffffffff]", "can't reserve"}) {
    log_.all = {{.text = std::string(text), .device = "pci:0000:04:00.0"}};
    tree_.put("proc/iomem", "-\n : \n1-\nfff-f : x\n0-0 : y\n : -\n0-1 : \n");
    EXPECT_THAT(error_with(EBUSY).why, HasSubstr("holds its memory")) << text;
  }
  log_.all.clear();
  tree_.put("kernel/debug/devices_deferred", std::string("\n\t\n0000:04:00.0\n\0\t", 18));
  EXPECT_THAT(error_with(EAGAIN).why, HasSubstr("not there yet"));
}

TEST_F(ReasonsInATree, AnErrnoWithoutACauseStaysInWords) {
  EXPECT_THAT(error_with(ENOMEM).why, HasSubstr("Cannot allocate memory"));
  EXPECT_THAT(error_with(ENODEV).why, HasSubstr("does not accept this device"));
  EXPECT_THAT(error_with(ENOENT).why, HasSubstr("cannot be bound by hand"));
  tree_.remove("bus/pci/drivers/drv");
  EXPECT_THAT(error_with(ENODEV).why, HasSubstr("drv has gone"));
}

}  // namespace
}  // namespace anybind
