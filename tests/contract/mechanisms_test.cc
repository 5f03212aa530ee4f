// What the thread proposed, each statement on the one kernel that has it, and what was there when
// the thread was written (docs/mechanisms.md). Statements about what all kernels share are in the
// other files; these kernels run them too.
#include <cerrno>

#include "contract.h"

namespace anybind::contract {
namespace {

// ---- sysfs_bind_only: vfio-pci has a wildcard id and the flag

constexpr HoldsOn kBindOnly = has<Mechanism::kSysfsBindOnly>;
using SysfsBindOnly = Contract;

STATEMENT(kBindOnly, SysfsBindOnly, BindTakesADeviceOfAnyType) {
  EXPECT_EQ(drv("vfio-pci", "bind", kEduA), 0);
  EXPECT_EQ(driver_of(kEduA), "vfio-pci");
}

STATEMENT(kBindOnly, SysfsBindOnly, BindOfABoundDeviceIsEbusy) {
  EXPECT_EQ(drv("vfio-pci", "bind", kNicA), EBUSY);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

STATEMENT(kBindOnly, SysfsBindOnly, UnbindAndBindMoveADevice) {
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  EXPECT_EQ(drv("vfio-pci", "bind", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "vfio-pci");
}

STATEMENT(kBindOnly, SysfsBindOnly, DriversProbeDoesNotReachIt) {
  EXPECT_EQ(bus("drivers_probe", kEduA), 0);
  EXPECT_EQ(driver_of(kEduA), "");
}

STATEMENT(kBindOnly, SysfsBindOnly, LoadingItTakesNothing) {
  ASSERT_TRUE(target->unload("vfio-pci"));
  ASSERT_TRUE(target->load("vfio-pci"));
  EXPECT_EQ(driver_of(kEduA), "");
  EXPECT_EQ(driver_of(kEduB), "");
}

STATEMENT(kBindOnly, SysfsBindOnly, ADeviceThatIsAddedOrFoundByARescanIsNotTaken) {
  ASSERT_EQ(dev(kEduA, "remove", "1"), 0);
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(driver_of(kEduA), "");
  ASSERT_EQ(dev(kNicA, "remove", "1"), 0);
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

STATEMENT(kBindOnly, SysfsBindOnly, NewIdIsADuplicateOfTheWildcardAndTakesNothing) {
  EXPECT_EQ(drv("vfio-pci", "new_id", "1234 11e8"), EEXIST);
  EXPECT_EQ(drv("vfio-pci", "new_id", "1234 11e8 ffffffff ffffffff 0 0 0"), 0);
  EXPECT_EQ(driver_of(kEduA), "");
  EXPECT_EQ(drv("vfio-pci", "remove_id", "1234 11e8"), 0);
}

STATEMENT(kBindOnly, SysfsBindOnly, ADeviceThatWasUnboundStaysFreeOfIt) {
  ASSERT_EQ(drv("vfio-pci", "bind", kEduA), 0);
  ASSERT_EQ(drv("vfio-pci", "unbind", kEduA), 0);
  EXPECT_EQ(bus("drivers_probe", kEduA), 0);
  EXPECT_EQ(driver_of(kEduA), "");
}

STATEMENT(kBindOnly, SysfsBindOnly, OtherDriversAreProbedAsEver) {
  make_free(kNicA);
  EXPECT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

STATEMENT(kBindOnly, SysfsBindOnly, ThereIsNoOtherFile) {
  EXPECT_EQ(dev(kNicA, "driver_override", "x"), ENOENT);
  EXPECT_EQ(drv("vfio-pci", "sysfs_bind_only", "0"), ENOENT);
}

// ---- vfio_bind: the driver's own bind file

constexpr HoldsOn kPrivateFile = has<Mechanism::kVfioBind>;
using VfioBind = Contract;

STATEMENT(kPrivateFile, VfioBind, TakesADeviceThatNoIdMatches) {
  EXPECT_EQ(drv("vfio-pci", "bind", kEduA), ENODEV);
  EXPECT_EQ(drv("vfio-pci", "vfio_bind", kEduA), 0);
  EXPECT_EQ(driver_of(kEduA), "vfio-pci");
  EXPECT_EQ(drv("vfio-pci", "unbind", kEduA), 0);
  EXPECT_EQ(driver_of(kEduA), "");
}

STATEMENT(kPrivateFile, VfioBind, OfABoundDeviceIsEbusy) {
  EXPECT_EQ(drv("vfio-pci", "vfio_bind", kNicA), EBUSY);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

STATEMENT(kPrivateFile, VfioBind, OfAnUnknownDeviceIsEnodev) {
  EXPECT_EQ(drv("vfio-pci", "vfio_bind", kNobody), ENODEV);
  EXPECT_EQ(drv("vfio-pci", "vfio_bind", "\n"), ENODEV);
}

STATEMENT(kPrivateFile, VfioBind, OnlyAVfioDriverHasItAndNobodyReadsIt) {
  EXPECT_EQ(drv("e1000e", "vfio_bind", kEduA), ENOENT);
  EXPECT_EQ(drv("pci-stub", "vfio_bind", kEduA), ENOENT);
  EXPECT_EQ(read_error("bus/pci/drivers/vfio-pci/vfio_bind"), EACCES);
}

STATEMENT(kPrivateFile, VfioBind, LeavesNoTraceThatAProbeGoesBy) {
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  ASSERT_EQ(drv("vfio-pci", "vfio_bind", kNicA), 0);
  ASSERT_EQ(dev(kNicA, "remove", "1"), 0);
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e") << "the host driver has what comes back";
}

// ---- autoprobe: a flag per driver

constexpr HoldsOn kFlag = has<Mechanism::kAutoprobeFlag>;
class AutoprobeFlag : public Contract {
 protected:
  void TearDown() override {
    for (const char* driver : {"pci-stub", "vfio-pci"}) {
      for (const char* id : {"1234 11e8", "8086 10d3", "ffffffff ffffffff"}) {
        drv(driver, "remove_id", id);
      }
    }
    drv("pci-stub", "autoprobe", "1");
    drv("e1000e", "autoprobe", "1");
    Contract::TearDown();
  }
};

STATEMENT(kFlag, AutoprobeFlag, IsOnUnlessTheDriverItselfOptedOut) {
  EXPECT_EQ(read("bus/pci/drivers/e1000e/autoprobe"), "1\n");
  EXPECT_EQ(read("bus/pci/drivers/vfio-pci/autoprobe"), "0\n");
}

STATEMENT(kFlag, AutoprobeFlag, IsReadAsTheOneOfTheBusIs) {
  for (const char* on : {"1", "junk", "off", "\n"}) {
    ASSERT_EQ(drv("pci-stub", "autoprobe", "0"), 0);
    EXPECT_EQ(read("bus/pci/drivers/pci-stub/autoprobe"), "0\n");
    EXPECT_EQ(drv("pci-stub", "autoprobe", on), 0);
    EXPECT_EQ(read("bus/pci/drivers/pci-stub/autoprobe"), "1\n") << on;
  }
}

STATEMENT(kFlag, AutoprobeFlag, OffNewIdTakesNothing) {
  EXPECT_EQ(drv("vfio-pci", "new_id", "1234 11e8"), 0);
  EXPECT_EQ(driver_of(kEduA), "");
  EXPECT_EQ(bus("drivers_probe", kEduA), 0);
  EXPECT_EQ(driver_of(kEduA), "");
}

STATEMENT(kFlag, AutoprobeFlag, OffBindWorksWhereAnIdMatches) {
  EXPECT_EQ(drv("vfio-pci", "bind", kEduA), ENODEV);
  ASSERT_EQ(drv("vfio-pci", "new_id", "1234 11e8"), 0);
  EXPECT_EQ(drv("vfio-pci", "bind", kEduA), 0);
  EXPECT_EQ(driver_of(kEduA), "vfio-pci");
  EXPECT_EQ(driver_of(kEduB), "") << "of the same type, and not asked for";
}

STATEMENT(kFlag, AutoprobeFlag, OffMakesAWildcardIdHarmless) {
  EXPECT_EQ(drv("vfio-pci", "new_id", "ffffffff ffffffff"), 0);
  EXPECT_EQ(driver_of(kEduA), "");
  EXPECT_EQ(driver_of("0000:00:00.0"), "");
  ASSERT_EQ(dev(kEduA, "remove", "1"), 0);
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(driver_of(kEduA), "");
  EXPECT_EQ(drv("vfio-pci", "bind", kEduA), 0);
  EXPECT_EQ(driver_of(kEduA), "vfio-pci");
}

STATEMENT(kFlag, AutoprobeFlag, TurningItOnProbesNothingByItself) {
  ASSERT_EQ(drv("pci-stub", "autoprobe", "0"), 0);
  ASSERT_EQ(drv("pci-stub", "new_id", "1234 11e8"), 0);
  ASSERT_EQ(drv("pci-stub", "autoprobe", "1"), 0);
  EXPECT_EQ(driver_of(kEduA), "");
  EXPECT_EQ(bus("drivers_probe", kEduA), 0);
  EXPECT_EQ(driver_of(kEduA), "pci-stub");
}

STATEMENT(kFlag, AutoprobeFlag, HoldsBackAHostDriverToo) {
  ASSERT_EQ(drv("e1000e", "autoprobe", "0"), 0);
  ASSERT_EQ(dev(kNicA, "remove", "1"), 0);
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(driver_of(kNicA), "");
  EXPECT_EQ(driver_of(kNicB), "e1000e") << "what is bound stays";
  EXPECT_EQ(drv("e1000e", "bind", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

STATEMENT(kFlag, AutoprobeFlag, StartsAgainWithTheDriver) {
  ASSERT_EQ(drv("vfio-pci", "autoprobe", "1"), 0);
  ASSERT_TRUE(target->unload("vfio-pci"));
  ASSERT_TRUE(target->load("vfio-pci"));
  EXPECT_EQ(read("bus/pci/drivers/vfio-pci/autoprobe"), "0\n");
}

// ---- preferred_driver

constexpr HoldsOn kPreferred = has<Mechanism::kPreferredDriver>;
class PreferredDriver : public Contract {
 protected:
  std::string preferred(const std::string& device) {
    return read("bus/pci/devices/" + device + "/preferred_driver");
  }
};

STATEMENT(kPreferred, PreferredDriver, TheLinesOfTheThreadBindAndGiveBack) {
  ASSERT_EQ(dev(kNicA, "preferred_driver", "vfio-pci\n"), 0);
  ASSERT_EQ(dev(kNicA, "driver/unbind", kNicA + "\n"), 0);
  ASSERT_EQ(bus("drivers_probe", kNicA + "\n"), 0);
  EXPECT_EQ(driver_of(kNicA), "vfio-pci");
  ASSERT_EQ(dev(kNicA, "preferred_driver", "\n"), 0);
  ASSERT_EQ(dev(kNicA, "driver/unbind", kNicA + "\n"), 0);
  ASSERT_EQ(bus("drivers_probe", kNicA + "\n"), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

STATEMENT(kPreferred, PreferredDriver, ReadsBackAndIsClearedByAnEmptyLine) {
  EXPECT_EQ(preferred(kNicA), "(null)\n");
  ASSERT_EQ(dev(kNicA, "preferred_driver", "some thing"), 0);
  EXPECT_EQ(preferred(kNicA), "some thing\n");
  ASSERT_EQ(dev(kNicA, "preferred_driver", "\n"), 0);
  EXPECT_EQ(preferred(kNicA), "(null)\n");
}

STATEMENT(kPreferred, PreferredDriver, ANameThatNoDriverHasKeepsAllAway) {
  ASSERT_EQ(dev(kNicA, "preferred_driver", "nobody-at-all"), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e") << "it is not unbound by this";
  make_free(kNicA);
  EXPECT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(drv("e1000e", "bind", kNicA), ENODEV);
  EXPECT_EQ(drv("pci-stub", "new_id", "8086 10d3"), 0);
  EXPECT_EQ(driver_of(kNicA), "");
  EXPECT_EQ(drv("pci-stub", "remove_id", "8086 10d3"), 0);
}

STATEMENT(kPreferred, PreferredDriver, IsExclusiveAndNotAWish) {
  load_test_drivers();
  ASSERT_EQ(dev(kEduA, "preferred_driver", "td2"), 0);
  target->set_probe(2, EIO);
  EXPECT_EQ(bus("drivers_probe", kEduA), 0);
  EXPECT_EQ(driver_of(kEduA), "") << "td0 and td1 match by id and are not asked";
}

STATEMENT(kPreferred, PreferredDriver, GivesTheProbeTheIdThatMatches) {
  load_test_drivers();
  ASSERT_EQ(dev(kEduA, "preferred_driver", "td2"), 0);
  ASSERT_EQ(bus("drivers_probe", kEduA), 0);
  EXPECT_EQ(target->probed_id(2), "1234:11e8 7");
}

STATEMENT(kPreferred, PreferredDriver, GivesTheProbeAnIdOfTheDevicesOwnWhereNoneMatches) {
  load_test_drivers();
  make_free(kNicA);
  ASSERT_EQ(dev(kNicA, "preferred_driver", "td1"), 0);
  ASSERT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "td1");
  EXPECT_EQ(target->probed_id(1), "8086:10d3 0");
  EXPECT_EQ(drv("td1", "unbind", kNicA), 0);
}

STATEMENT(kPreferred, PreferredDriver, DiesWithTheDevice) {
  ASSERT_EQ(dev(kNicA, "preferred_driver", "vfio-pci"), 0);
  ASSERT_EQ(dev(kNicA, "remove", "1"), 0);
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(preferred(kNicA), "(null)\n");
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

STATEMENT(kPreferred, PreferredDriver, IsNotCalledDriverOverrideYet) {
  EXPECT_EQ(dev(kNicA, "driver_override", "vfio-pci"), ENOENT);
}

// ---- driver_probe_id

constexpr HoldsOn kProbeId = has<Mechanism::kDriverProbeId>;
class DriverProbeId : public Contract {
 protected:
  void TearDown() override {
    for (int i = 0; i < 2; ++i) drv("vfio-pci", "remove_id", "1dead beef");
    Contract::TearDown();
  }
  std::string probe_id(const std::string& device) {
    return read("bus/pci/devices/" + device + "/driver_probe_id");
  }
};

STATEMENT(kProbeId, DriverProbeId, IsAtFirstTheIdThatTheBusHas) {
  EXPECT_EQ(probe_id(kNicA), "8086 10d3\n");
}

STATEMENT(kProbeId, DriverProbeId, IsReadAsNewIdReadsIt) {
  EXPECT_EQ(dev(kEduA, "driver_probe_id", "0x8086 10D3\n"), 0);
  EXPECT_EQ(probe_id(kEduA), "8086 10d3\n");
  for (const char* text : {"8086", "junk", "dead:beef", "-1 1"}) {
    EXPECT_EQ(dev(kEduA, "driver_probe_id", text), EINVAL) << text;
  }
  EXPECT_EQ(probe_id(kEduA), "8086 10d3\n");
  EXPECT_EQ(dev(kEduA, "driver_probe_id", "1 2 3 4 20000 5 6"), 0);
  EXPECT_EQ(probe_id(kEduA), "0001 0002 0003 0004 20000\n");
}

STATEMENT(kProbeId, DriverProbeId, AnEmptyLineGivesTheOwnIdBack) {
  ASSERT_EQ(dev(kNicA, "driver_probe_id", "dead beef"), 0);
  ASSERT_EQ(dev(kNicA, "driver_probe_id", "\n"), 0);
  EXPECT_EQ(probe_id(kNicA), "8086 10d3\n");
}

STATEMENT(kProbeId, DriverProbeId, TheDeviceMatchesOnlyWhatTheNewIdMatches) {
  make_free(kNicA);
  ASSERT_EQ(dev(kNicA, "driver_probe_id", "8086 100e"), 0);
  EXPECT_EQ(drv("e1000e", "bind", kNicA), ENODEV);
  EXPECT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000");
}

STATEMENT(kProbeId, DriverProbeId, AnIdThatNobodyHasKeepsAllAwayAlsoThoseByClass) {
  make_free(kNvme);
  ASSERT_EQ(dev(kNvme, "driver_probe_id", "dead beef"), 0);
  EXPECT_EQ(bus("drivers_probe", kNvme), 0);
  EXPECT_EQ(driver_of(kNvme), "");
  ASSERT_EQ(dev(kNvme, "driver_probe_id", "dead beef 0 0 010802"), 0);
  EXPECT_EQ(bus("drivers_probe", kNvme), 0);
  EXPECT_EQ(driver_of(kNvme), "nvme");
}

STATEMENT(kProbeId, DriverProbeId, WithANewIdThatNoHardwareHasTakesOneDeviceAndNoOther) {
  ASSERT_EQ(drv("vfio-pci", "new_id", "1dead beef"), 0);
  ASSERT_EQ(dev(kNicA, "driver_probe_id", "1dead beef"), 0);
  ASSERT_EQ(dev(kNicA, "driver/unbind", kNicA), 0);
  ASSERT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "vfio-pci");
  ASSERT_EQ(dev(kNicB, "remove", "1"), 0);
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(driver_of(kNicB), "e1000e") << "a card of the same type that comes meanwhile";
}

STATEMENT(kProbeId, DriverProbeId, ChangesNothingElseThatCanBeSeen) {
  const std::string modalias = read("bus/pci/devices/" + kNicA + "/modalias");
  ASSERT_EQ(dev(kNicA, "driver_probe_id", "dead beef"), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e") << "it is not unbound by this";
  EXPECT_EQ(read("bus/pci/devices/" + kNicA + "/modalias"), modalias);
  EXPECT_EQ(read("bus/pci/devices/" + kNicA + "/vendor"), "0x8086\n");
}

STATEMENT(kProbeId, DriverProbeId, DiesWithTheDevice) {
  ASSERT_EQ(dev(kNicA, "driver_probe_id", "dead beef"), 0);
  ASSERT_EQ(dev(kNicA, "remove", "1"), 0);
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(probe_id(kNicA), "8086 10d3\n");
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

// ---- new_id of the platform bus

constexpr HoldsOn kPlatform = has<Mechanism::kPlatformNewId>;
const std::string kPlat = "anybind-test.0";
class PlatformNewId : public Contract {
 protected:
  void SetUp() override {
    Contract::SetUp();
    load_test_drivers();
  }
  void TearDown() override {
    while (plat("remove_id", "anybind-test") == 0) {
    }
    plat("unbind", kPlat);
    Contract::TearDown();
  }
  int plat(const std::string& file, std::string_view text) {
    return write("bus/platform/drivers/tdplat/" + file, text);
  }
  std::string plat_driver() { return link_of("bus/platform/devices/" + kPlat + "/driver"); }
};

STATEMENT(kPlatform, PlatformNewId, TakesTheDriverlessDevicesOfThatNameAtOnce) {
  EXPECT_EQ(plat("bind", kPlat), ENODEV);
  EXPECT_EQ(plat("new_id", "anybind-test\n"), 0);
  EXPECT_EQ(plat_driver(), "tdplat");
}

STATEMENT(kPlatform, PlatformNewId, RefusesDuplicatesAndWhatIsNoName) {
  ASSERT_EQ(plat("new_id", "anybind-test"), 0);
  EXPECT_EQ(plat("new_id", "anybind-test"), EEXIST);
  EXPECT_EQ(plat("new_id", "anybind-nobody"), EEXIST) << "in its static table";
  EXPECT_EQ(plat("new_id", "\n"), EINVAL);
  EXPECT_EQ(plat("new_id", std::string(19, 'x')), 0);
  EXPECT_EQ(plat("remove_id", std::string(19, 'x')), 0);
  EXPECT_EQ(plat("new_id", std::string(20, 'x')), EINVAL);
}

STATEMENT(kPlatform, PlatformNewId, RemoveIdNeverUnbindsAndOfAnAbsentOneIsEnodev) {
  EXPECT_EQ(plat("remove_id", "anybind-test"), ENODEV);
  ASSERT_EQ(plat("new_id", "anybind-test"), 0);
  EXPECT_EQ(plat("remove_id", "anybind-test"), 0);
  EXPECT_EQ(plat_driver(), "tdplat");
  ASSERT_EQ(plat("unbind", kPlat), 0);
  EXPECT_EQ(plat("bind", kPlat), ENODEV);
}

STATEMENT(kPlatform, PlatformNewId, IsLeftAsItIsForPci) {
  EXPECT_EQ(drv("pci-stub", "new_id", "dead beef"), 0);
  EXPECT_EQ(drv("pci-stub", "remove_id", "dead beef"), 0);
}

// ---- Linux 3.14: unbind and bind, new_id, drivers_autoprobe and drivers_probe

bool is_314(const KernelProfile& kernel) {
  return kernel.name == "linux-3.14";
}
using Linux314 = Contract;

STATEMENT(is_314, Linux314, NoDeviceNamesItsDriver) {
  for (const char* file : {"driver_override", "preferred_driver", "driver_probe_id"}) {
    EXPECT_EQ(dev(kNicA, file, "vfio-pci"), ENOENT) << file;
  }
}

STATEMENT(is_314, Linux314, BindSaysEnodevWhateverIsInTheWay) {
  EXPECT_EQ(drv("e1000e", "bind", kNicA), ENODEV);
  load_test_drivers();
  for (const int error : {EIO, EBUSY, 517}) {
    target->set_probe(0, error);
    EXPECT_EQ(drv("td0", "bind", kEduA), ENODEV) << error;
  }
}

STATEMENT(is_314, Linux314, BindQueuesADeferredProbe) {
  load_test_drivers();
  target->set_probe(0, 517);
  ASSERT_EQ(drv("td0", "bind", kEduA), ENODEV);
  target->set_probe(0, 0);
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  ASSERT_EQ(drv("e1000e", "bind", kNicA), 0);
  EXPECT_EQ(driver_of(kEduA), "td0");
}

STATEMENT(is_314, Linux314, NewIdTakesTheSameIdTwice) {
  ASSERT_EQ(drv("pci-stub", "new_id", "dead beef"), 0);
  EXPECT_EQ(drv("pci-stub", "new_id", "dead beef"), 0);
  EXPECT_EQ(drv("pci-stub", "remove_id", "dead beef"), 0);
  EXPECT_EQ(drv("pci-stub", "remove_id", "dead beef"), 0);
  EXPECT_EQ(drv("pci-stub", "remove_id", "dead beef"), ENODEV);
}

STATEMENT(is_314, Linux314, NewIdUnbindBindRemoveIdMoveADevice) {
  ASSERT_EQ(drv("vfio-pci", "new_id", "8086 10d3"), 0);
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  EXPECT_EQ(drv("vfio-pci", "bind", kNicA), 0);
  EXPECT_EQ(drv("vfio-pci", "remove_id", "8086 10d3"), 0);
  EXPECT_EQ(driver_of(kNicA), "vfio-pci");
}

}  // namespace
}  // namespace anybind::contract
