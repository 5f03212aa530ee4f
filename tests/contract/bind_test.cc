// bind, unbind, drivers_probe and drivers_autoprobe (kernel-facts 2.2).
#include <cerrno>

#include "contract.h"

namespace anybind::contract {
namespace {

using Bind = Contract;
using Unbind = Contract;
using DriversProbe = Contract;
class Autoprobe : public Contract {
 protected:
  void card_comes_with_it_off() {
    ASSERT_EQ(bus("drivers_autoprobe", "0"), 0);
    ASSERT_EQ(dev(kNicA, "remove", "1"), 0);
    ASSERT_EQ(bus("rescan", "1"), 0);
  }
};

TEST_F(Bind, OfAnUnknownDeviceIsEnodev) {
  EXPECT_EQ(drv("e1000e", "bind", kNobody), ENODEV);
  EXPECT_EQ(drv("e1000e", "bind", "junk"), ENODEV);
}

STATEMENT(reports_probe_errno, Bind, OfABoundDeviceIsEbusyAndChangesNothing) {
  EXPECT_EQ(drv("e1000e", "bind", kNicA), EBUSY);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

TEST_F(Bind, ToADriverThatDoesNotMatchIsEnodev) {
  EXPECT_EQ(drv("nvme", "bind", kEduA), ENODEV);
  EXPECT_EQ(driver_of(kEduA), "");
}

TEST_F(Bind, OfADeviceBoundElsewhereIsEnodevWhenTheDriverDoesNotMatch) {
  EXPECT_EQ(drv("nvme", "bind", kNicA), ENODEV);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

STATEMENT(has_override, Bind, OfADeviceBoundElsewhereIsEbusyWhenTheDriverMatches) {
  ASSERT_EQ(dev(kNicA, "driver_override", "vfio-pci"), 0);
  EXPECT_EQ(drv("vfio-pci", "bind", kNicA), EBUSY);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

STATEMENT(has_override, Bind, UnderAnOverrideForAnotherDriverIsEnodevEvenIfBoundToThatOne) {
  ASSERT_EQ(dev(kNicA, "driver_override", "vfio-pci"), 0);
  EXPECT_EQ(drv("e1000e", "bind", kNicA), ENODEV);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

TEST_F(Bind, AfterAnUnbindGivesTheDeviceBack) {
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  EXPECT_EQ(drv("e1000e", "bind", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

STATEMENT(reports_probe_errno, Bind, PassesTheErrorOfTheProbeOn) {
  load_test_drivers();
  for (const int error : {EIO, EINVAL, ENOMEM, EPERM, EBUSY, ENODEV, ENXIO}) {
    target->set_probe(0, error);
    EXPECT_EQ(drv("td0", "bind", kEduA), error) << error;
    EXPECT_EQ(driver_of(kEduA), "") << error;
  }
}

STATEMENT(reports_probe_errno, Bind, OfADeferredProbeIsEagain) {
  load_test_drivers();
  target->set_probe(0, 517);
  EXPECT_EQ(drv("td0", "bind", kEduA), EAGAIN);
  EXPECT_EQ(driver_of(kEduA), "");
}

STATEMENT(reports_probe_errno, Bind, OfADeferredProbeIsNotQueuedForARetry) {
  load_test_drivers();
  target->set_probe(0, 517);
  ASSERT_EQ(drv("td0", "bind", kEduA), EAGAIN);
  target->set_probe(0, 0);
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  ASSERT_EQ(drv("e1000e", "bind", kNicA), 0);  // any successful bind triggers the pending retries
  EXPECT_EQ(driver_of(kEduA), "");
}

STATEMENT(has_override, Bind, OfABridgeToVfioPciIsEinval) {
  make_free(kBridge);
  ASSERT_EQ(dev(kBridge, "driver_override", "vfio-pci"), 0);
  EXPECT_EQ(drv("vfio-pci", "bind", kBridge), EINVAL);
  EXPECT_EQ(driver_of(kBridge), "");
  EXPECT_EQ(dev(kBridge, "driver_override", "\n"), 0);
  EXPECT_EQ(bus("drivers_probe", kBridge), 0);
}

TEST_F(Bind, ShowsTheDeviceInTheDirectoryOfTheDriver) {
  EXPECT_EQ(link_of("bus/pci/drivers/e1000e/" + kNicA), kNicA);
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  EXPECT_EQ(link_of("bus/pci/drivers/e1000e/" + kNicA), "");
}

TEST_F(Unbind, OfAnUnknownDeviceIsEnodev) {
  EXPECT_EQ(drv("e1000e", "unbind", kNobody), ENODEV);
}

TEST_F(Unbind, OfADeviceOfAnotherDriverIsEnodev) {
  EXPECT_EQ(drv("nvme", "unbind", kNicA), ENODEV);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

TEST_F(Unbind, OfADriverlessDeviceIsEnodev) {
  EXPECT_EQ(drv("e1000e", "unbind", kEduA), ENODEV);
}

TEST_F(Unbind, LeavesTheDeviceDriverless) {
  EXPECT_EQ(drv("e1000e", "unbind", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "");
}

TEST_F(Unbind, LeavesOtherDevicesOfTheDriverAlone) {
  EXPECT_EQ(drv("e1000e", "unbind", kNicA), 0);
  EXPECT_EQ(driver_of(kNicB), "e1000e");
}

STATEMENT(has_override, Unbind, LeavesTheOverrideAlone) {
  ASSERT_EQ(dev(kNicA, "driver_override", "vfio-pci"), 0);
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  EXPECT_EQ(override_of(kNicA), "vfio-pci\n");
}

TEST_F(DriversProbe, OfAnUnknownDeviceIsEnodev) {
  EXPECT_EQ(bus("drivers_probe", kNobody), ENODEV);
  EXPECT_EQ(bus("drivers_probe", "\n"), ENODEV);
}

TEST_F(DriversProbe, SucceedsWhenNothingMatches) {
  EXPECT_EQ(bus("drivers_probe", kEduA), 0);
  EXPECT_EQ(driver_of(kEduA), "");
}

TEST_F(DriversProbe, SucceedsOnABoundDeviceAndLeavesIt) {
  EXPECT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

TEST_F(DriversProbe, BindsTheDriverThatMatches) {
  make_free(kNicA);
  EXPECT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

TEST_F(DriversProbe, SucceedsWhenTheProbeFails) {
  load_test_drivers();
  for (int number = 0; number < 3; ++number) target->set_probe(number, EIO);
  EXPECT_EQ(bus("drivers_probe", kEduA), 0);
  EXPECT_EQ(driver_of(kEduA), "");
}

TEST_F(DriversProbe, GoesOnToTheNextDriverWhenAProbeFails) {
  load_test_drivers();
  target->set_probe(0, EIO);
  target->set_probe(1, ENODEV);
  EXPECT_EQ(bus("drivers_probe", kEduA), 0);
  EXPECT_EQ(driver_of(kEduA), "td2");
}

TEST_F(DriversProbe, TakesTheDriverThatRegisteredFirst) {
  load_test_drivers();
  EXPECT_EQ(bus("drivers_probe", kEduA), 0);
  EXPECT_EQ(driver_of(kEduA), "td0");
}

TEST_F(DriversProbe, GoesOnToTheNextDriverAfterADeferral) {
  load_test_drivers();
  target->set_probe(0, 517);
  EXPECT_EQ(bus("drivers_probe", kEduA), 0);
  EXPECT_EQ(driver_of(kEduA), "td1");
}

TEST_F(DriversProbe, QueuesADeferredDeviceWhichALaterBindRetries) {
  load_test_drivers();
  for (int number = 0; number < 3; ++number) target->set_probe(number, 517);
  EXPECT_EQ(bus("drivers_probe", kEduA), 0);
  EXPECT_EQ(driver_of(kEduA), "");
  target->set_probe(0, 0);
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  ASSERT_EQ(drv("e1000e", "bind", kNicA), 0);
  for (int i = 0; i < 200 && driver_of(kEduA).empty(); ++i)
    target->load("e1000e");  // lets the worker run
  EXPECT_EQ(driver_of(kEduA), "td0");
}

TEST_F(DriversProbe, IgnoresThatAutoprobeIsOff) {
  make_free(kNicA);
  ASSERT_EQ(bus("drivers_autoprobe", "0"), 0);
  EXPECT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

TEST_F(Autoprobe, OnlyAZeroTurnsItOff) {
  for (const char* on : {"1", "junk", "off", "-1", "\n"}) {
    ASSERT_EQ(bus("drivers_autoprobe", "0"), 0);
    EXPECT_EQ(read("bus/pci/drivers_autoprobe"), "0\n");
    EXPECT_EQ(bus("drivers_autoprobe", on), 0) << on;
    EXPECT_EQ(read("bus/pci/drivers_autoprobe"), "1\n") << on;
  }
  EXPECT_EQ(bus("drivers_autoprobe", "00x"), 0);
  EXPECT_EQ(read("bus/pci/drivers_autoprobe"), "0\n");
}

bool ignores_autoprobe(const KernelProfile& kernel) {
  return !kernel.has(Change::kPciAddHonoursAutoprobe);
}

STATEMENT(ignores_autoprobe, Autoprobe, OffDoesNotHoldBackAPciDeviceThatIsAdded) {
  ASSERT_NO_FATAL_FAILURE(card_comes_with_it_off());
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

STATEMENT(honours_autoprobe, Autoprobe, OffHoldsAPciDeviceBackThatIsAddedAndOnDoesNotCatchUp) {
  ASSERT_NO_FATAL_FAILURE(card_comes_with_it_off());
  EXPECT_EQ(driver_of(kNicA), "");
  ASSERT_EQ(bus("drivers_autoprobe", "1"), 0);
  EXPECT_EQ(driver_of(kNicA), "");
  EXPECT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

STATEMENT(honours_autoprobe, Autoprobe, OffNewIdTakesWhatHasComeAllTheSame) {
  ASSERT_NO_FATAL_FAILURE(card_comes_with_it_off());
  ASSERT_EQ(driver_of(kNicA), "");
  ASSERT_EQ(drv("pci-stub", "new_id", "8086 10d3"), 0);
  EXPECT_EQ(driver_of(kNicA), "pci-stub");
  EXPECT_EQ(drv("pci-stub", "remove_id", "8086 10d3"), 0);
}

TEST_F(Autoprobe, OffKeepsADriverThatLoadsFromTakingDevices) {
  ASSERT_EQ(bus("drivers_autoprobe", "0"), 0);
  ASSERT_TRUE(target->load("anybind_test"));
  EXPECT_EQ(driver_of(kEduA), "");
  EXPECT_EQ(bus("drivers_autoprobe", "1"), 0);
  EXPECT_EQ(driver_of(kEduA), "") << "turning it on does not catch up";
  EXPECT_TRUE(target->unload("anybind_test"));
}

TEST_F(Autoprobe, OnLetsADriverThatLoadsTakeEveryDriverlessDeviceThatItMatches) {
  ASSERT_TRUE(target->load("anybind_test"));
  EXPECT_EQ(driver_of(kEduA), "td0");
  EXPECT_EQ(driver_of(kEduB), "td0");
  EXPECT_TRUE(target->unload("anybind_test"));
  EXPECT_EQ(driver_of(kEduA), "");
}

}  // namespace
}  // namespace anybind::contract
