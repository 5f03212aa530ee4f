// What the kernel tells user space: which events, in which order, with which lines.
#include <cerrno>

#include "contract.h"

namespace anybind::contract {
namespace {

const std::string kUuid = "12345678-1234-1234-1234-123456789abc";

class Told : public Contract {
 protected:
  static std::string of_edu(const std::string& action, const std::string& more,
                            const std::string& modalias, const std::string& device = kEduA) {
    return "ACTION=" + action + " DEVPATH=/devices/pci0000:00/" + device + " SUBSYSTEM=pci" + more +
           " PCI_CLASS=FF00 PCI_ID=1234:11E8 PCI_SUBSYS_ID=1AF4:1100 PCI_SLOT_NAME=" + device +
           modalias;
  }
  static std::string of_driver(const std::string& action, const std::string& driver,
                               const std::string& more = "") {
    return "ACTION=" + action + " DEVPATH=/bus/pci/drivers/" + driver + " SUBSYSTEM=drivers" + more;
  }
  static std::string of_module(const std::string& action, const std::string& more = "") {
    return "ACTION=" + action + " DEVPATH=/module/anybind_test SUBSYSTEM=module" + more;
  }
  using Events = std::vector<std::string>;
  const std::string modalias_ = " MODALIAS=pci:v00001234d000011E8sv00001AF4sd00001100bc00scFFi00";
};

bool tells_bind(const KernelProfile& kernel) {
  return kernel.has(Change::kBindEvents);
}
bool tells_bind_and_groups(const KernelProfile& kernel) {
  return kernel.has(Change::kBindEvents) && kernel.has(Mechanism::kDriverOverride);
}

STATEMENT(tells_bind, Told, BindAndUnbindWithTheirLines) {
  load_test_drivers();
  (void)target->uevents();
  ASSERT_EQ(drv("td0", "bind", kEduA), 0);
  EXPECT_EQ(target->uevents(), Events{of_edu("bind", " DRIVER=td0", modalias_)});
  ASSERT_EQ(drv("td0", "unbind", kEduA), 0);
  EXPECT_EQ(target->uevents(), Events{of_edu("unbind", "", "")}) << "no MODALIAS to load it again";
}

STATEMENT(tells_bind, Told, NothingOfWhatChangesNothing) {
  load_test_drivers();
  (void)target->uevents();
  for (int number = 0; number < 3; ++number) target->set_probe(number, EIO);
  EXPECT_EQ(drv("td0", "bind", kEduA), EIO);
  EXPECT_EQ(bus("drivers_probe", kEduA), 0);
  target->set_probe(0, 517);
  EXPECT_EQ(drv("td0", "bind", kEduA), EAGAIN);
  EXPECT_EQ(drv("pci-stub", "new_id", "dead beef"), 0);
  EXPECT_EQ(drv("pci-stub", "remove_id", "dead beef"), 0);
  EXPECT_EQ(dev(kEduA, "uevent", "junk"), EINVAL);
  EXPECT_EQ(target->uevents(), Events{});
}

STATEMENT(tells_bind, Told, RemovalOfABoundDeviceAndItsReturn) {
  load_test_drivers();
  ASSERT_EQ(drv("td0", "bind", kEduA), 0);
  (void)target->uevents();
  ASSERT_EQ(dev(kEduA, "remove", "1"), 0);
  EXPECT_EQ(target->uevents(), (Events{of_edu("unbind", "", ""), of_edu("remove", "", modalias_)}));
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(target->uevents(),
            (Events{of_edu("add", "", modalias_), of_edu("bind", " DRIVER=td0", modalias_)}));
}

STATEMENT(tells_bind, Told, LoadingAModule) {
  for (const std::string& other : {kEduB, kEduBehind}) ASSERT_EQ(dev(other, "remove", "1"), 0);
  (void)target->uevents();
  ASSERT_TRUE(target->load("anybind_test"));
  EXPECT_EQ(target->uevents(),
            (Events{of_edu("bind", " DRIVER=td0", modalias_), of_driver("add", "td0"),
                    of_driver("add", "td1"), of_driver("add", "td2"), of_module("add")}));
  ASSERT_TRUE(target->unload("anybind_test"));
  EXPECT_EQ(target->uevents(),
            (Events{of_driver("remove", "td2"), of_driver("remove", "td1"),
                    of_edu("unbind", "", ""), of_driver("remove", "td0"), of_module("remove")}));
  ASSERT_EQ(bus("rescan", "1"), 0);
}

STATEMENT(tells_bind_and_groups, Told, VfioAndItsGroup) {
  const std::string path = "/devices/pci0000:00/" + kEduA;
  const std::string group = "DEVPATH=/devices/virtual/vfio/" + group_of(kEduA) +
                            " SUBSYSTEM=vfio DEVNAME=vfio/" + group_of(kEduA);
  const std::string entry = "DEVPATH=" + path + "/vfio-dev/vfio0 SUBSYSTEM=vfio-dev";
  ASSERT_EQ(dev(kEduA, "driver_override", "vfio-pci"), 0);
  ASSERT_EQ(drv("vfio-pci", "bind", kEduA), 0);
  EXPECT_EQ(target->uevents(), (Events{"ACTION=add " + group, "ACTION=add " + entry,
                                       of_edu("bind", " DRIVER=vfio-pci", modalias_)}));
  // What udevadm trigger writes.
  ASSERT_EQ(write("class/vfio/" + group_of(kEduA) + "/uevent", "add " + kUuid), 0);
  ASSERT_EQ(dev(kEduA, "vfio-dev/vfio0/uevent", "change"), 0);
  EXPECT_EQ(dev(kEduA, "vfio-dev/vfio0/uevent", "junk"), EINVAL);
  EXPECT_EQ(target->uevents(),
            (Events{"ACTION=add DEVPATH=/devices/virtual/vfio/" + group_of(kEduA) +
                        " SUBSYSTEM=vfio SYNTH_UUID=" + kUuid + " DEVNAME=vfio/" + group_of(kEduA),
                    "ACTION=change " + entry + " SYNTH_UUID=0"}));
  ASSERT_EQ(drv("vfio-pci", "unbind", kEduA), 0);
  EXPECT_EQ(target->uevents(),
            (Events{"ACTION=remove " + entry, "ACTION=remove " + group, of_edu("unbind", "", "")}));
}

STATEMENT(tells_bind_and_groups, Told, VirtualFunctionsAndThenTheirPhysicalOne) {
  ASSERT_EQ(dev(kPf, "sriov_drivers_autoprobe", "0"), 0);
  (void)target->uevents();
  const auto of = [](const std::string& action, const std::string& device, const char* driver) {
    return "ACTION=" + action + " DEVPATH=/devices/pci0000:00/0000:00:09.0/" + device +
           " SUBSYSTEM=pci" + driver + " PCI_CLASS=10802 PCI_ID=1B36:0010 PCI_SUBSYS_ID=1AF4:1100" +
           " PCI_SLOT_NAME=" + device +
           " MODALIAS=pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02";
  };
  const std::string second = "0000:02:00.2";
  ASSERT_EQ(dev(kPf, "sriov_numvfs", "2"), 0);
  EXPECT_EQ(target->uevents(),
            (Events{of("add", kVf, ""), of("change", kVf, ""), of("add", second, ""),
                    of("change", second, ""), of("change", kPf, " DRIVER=nvme")}));
  ASSERT_EQ(dev(kPf, "sriov_numvfs", "0"), 0);
  EXPECT_EQ(target->uevents(), (Events{of("remove", kVf, ""), of("remove", second, "")}));
}

STATEMENT(tells_bind, Told, SyntheticEventsSaySo) {
  ASSERT_EQ(dev(kEduA, "uevent", "change " + kUuid + " A=1 B=2"), 0);
  ASSERT_EQ(dev(kEduA, "uevent", "unbind\n"), 0);
  ASSERT_EQ(drv("e1000e", "uevent", "add"), 0);
  EXPECT_EQ(
      target->uevents(),
      (Events{of_edu("change", " SYNTH_UUID=" + kUuid + " SYNTH_ARG_A=1 SYNTH_ARG_B=2", modalias_),
              of_edu("unbind", " SYNTH_UUID=0", ""), of_driver("add", "e1000e", " SYNTH_UUID=0")}));
}

STATEMENT(tells_bind, Told, SyntheticEventsHaveRoomForSoMuch) {
  const auto arguments = [](int count) {
    std::string out = "add " + kUuid;
    for (int i = 0; i < count; ++i) out += " K" + std::to_string(i) + "=1";
    return out;
  };
  EXPECT_EQ(dev(kEduA, "uevent", arguments(54)), 0);
  EXPECT_EQ(drv("e1000e", "uevent", arguments(59)), 0);
  // With one more the kernel warns, which no guest may; the errnos are those of uevent tests beside
  // the code.
  EXPECT_EQ(drv("e1000e", "uevent", "add " + kUuid + " A=" + std::string(1900, 'x')), 0);
}

STATEMENT(tells_bind, Told, RemovalOfADriverOnlyOnce) {
  load_test_drivers();
  ASSERT_EQ(drv("td1", "uevent", "remove"), 0);
  ASSERT_EQ(write("module/anybind_test/uevent", "remove"), 0);
  (void)target->uevents();
  ASSERT_TRUE(target->unload("anybind_test"));
  EXPECT_EQ(target->uevents(), (Events{of_driver("remove", "td2"), of_driver("remove", "td0")}));
  ASSERT_TRUE(target->load("anybind_test"));
}

STATEMENT(tells_bind, Told, RemovalOfADeviceAllTheSame) {
  ASSERT_EQ(dev(kEduA, "uevent", "remove"), 0);
  (void)target->uevents();
  ASSERT_EQ(dev(kEduA, "remove", "1"), 0);
  EXPECT_EQ(target->uevents(), Events{of_edu("remove", "", modalias_)});
  ASSERT_EQ(bus("rescan", "1"), 0);
}

}  // namespace
}  // namespace anybind::contract
