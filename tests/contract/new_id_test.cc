// PCI new_id and remove_id (kernel-facts 2.3).
#include <cerrno>

#include "contract.h"

namespace anybind::contract {
namespace {

/// Uses ids of a vendor that nobody has; whatever a statement added is removed again.
class NewId : public Contract {
 protected:
  void TearDown() override {
    for (const char* id :
         {"dead beef", "dead beed", "dead beec", "1dead beef", "1234 11e8", "8086 10d3"}) {
      for (const char* driver : {"pci-stub", "vfio-pci"}) {
        for (int i = 0; i < 8 && drv(driver, "remove_id", id) == 0; ++i) {
        }
      }
    }
    Contract::TearDown();
  }
};
using RemoveId = NewId;

TEST_F(NewId, WantsAtLeastVendorAndDevice) {
  for (const char* text : {"\n", "8086", "junk", "8086 zz", "dead:beee"}) {
    EXPECT_EQ(drv("pci-stub", "new_id", text), EINVAL) << text;
  }
}

STATEMENT(refuses_duplicates, NewId, TakesHexInEitherCaseWithOrWithoutPrefix) {
  EXPECT_EQ(drv("pci-stub", "new_id", "0xdead 0xbeef"), 0);
  EXPECT_EQ(drv("pci-stub", "new_id", "DEAD BEEF"), EEXIST);
}

TEST_F(NewId, StopsSilentlyAtJunk) {
  EXPECT_EQ(drv("pci-stub", "new_id", "dead beed junk"), 0);
}

TEST_F(NewId, DoesNotCheckTheRange) {
  EXPECT_EQ(drv("pci-stub", "new_id", "1dead beef"), 0);
}

STATEMENT(refuses_duplicates, NewId, RefusesADuplicateOfADynamicId) {
  ASSERT_EQ(drv("pci-stub", "new_id", "dead beef"), 0);
  EXPECT_EQ(drv("pci-stub", "new_id", "dead beef"), EEXIST);
}

STATEMENT(refuses_duplicates, NewId, RefusesANarrowerIdThanADynamicOne) {
  ASSERT_EQ(drv("pci-stub", "new_id", "dead beef"), 0);
  EXPECT_EQ(drv("pci-stub", "new_id", "dead beef 8086 1"), EEXIST);
}

TEST_F(NewId, TakesABroaderIdThanADynamicOne) {
  ASSERT_EQ(drv("pci-stub", "new_id", "dead beef 8086 1"), 0);
  EXPECT_EQ(drv("pci-stub", "new_id", "dead beef"), 0);
}

STATEMENT(refuses_duplicates, NewId, RefusesADuplicateOfAStaticId) {
  EXPECT_EQ(drv("e1000e", "new_id", "8086 10d3"), EEXIST);
}

TEST_F(NewId, WithAllSevenFieldsIsNotCheckedForDuplicates) {
  EXPECT_EQ(drv("pci-stub", "new_id", "dead beec ffffffff ffffffff 0 0 0"), 0);
  EXPECT_EQ(drv("pci-stub", "new_id", "dead beec ffffffff ffffffff 0 0 0"), 0);
  EXPECT_EQ(drv("pci-stub", "remove_id", "dead beec"), 0);
  EXPECT_EQ(drv("pci-stub", "remove_id", "dead beec"), 0);
  EXPECT_EQ(drv("pci-stub", "remove_id", "dead beec"), ENODEV);
}

TEST_F(NewId, WantsTheDriverDataOfSomeStaticEntry) {
  EXPECT_EQ(drv("e1000e", "new_id", "aaaa bbbb 1 2 3 4 ffff"), EINVAL);
}

STATEMENT(has_override, NewId, CountsTheEntriesForAnOverrideAmongThoseWithDriverData) {
  EXPECT_EQ(drv("vfio-pci", "new_id", "dead beef 1 2 3 4 1"), EINVAL);
}

TEST_F(NewId, ProbesTheDriverlessDevicesThatMatchAtOnce) {
  EXPECT_EQ(drv("pci-stub", "new_id", "1234 11e8"), 0);
  EXPECT_EQ(driver_of(kEduA), "pci-stub");
  EXPECT_EQ(driver_of(kEduB), "pci-stub");
}

TEST_F(NewId, IgnoresThatAutoprobeIsOff) {
  ASSERT_EQ(bus("drivers_autoprobe", "0"), 0);
  EXPECT_EQ(drv("pci-stub", "new_id", "1234 11e8"), 0);
  EXPECT_EQ(driver_of(kEduA), "pci-stub");
}

TEST_F(NewId, LeavesBoundDevicesAlone) {
  EXPECT_EQ(drv("pci-stub", "new_id", "8086 10d3"), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

STATEMENT(has_override, NewId, RespectsAnOverrideForAnotherDriver) {
  ASSERT_EQ(dev(kEduA, "driver_override", "none"), 0);
  EXPECT_EQ(drv("pci-stub", "new_id", "1234 11e8"), 0);
  EXPECT_EQ(driver_of(kEduA), "");
  EXPECT_EQ(driver_of(kEduB), "pci-stub");
}

STATEMENT(has_override, NewId, OffersAgainWhatTheDriverMatchesForAnyReason) {
  ASSERT_EQ(dev(kEduA, "driver_override", "pci-stub"), 0);
  EXPECT_EQ(drv("pci-stub", "new_id", "dead beef"), 0);
  EXPECT_EQ(driver_of(kEduA), "pci-stub");
}

STATEMENT(has_override, NewId, MakesBindWork) {
  make_free(kNicA);
  ASSERT_EQ(dev(kNicA, "driver_override", "none"), 0);
  ASSERT_EQ(drv("vfio-pci", "new_id", "8086 10d3"), 0);
  ASSERT_EQ(dev(kNicA, "driver_override", "\n"), 0);
  EXPECT_EQ(drv("vfio-pci", "bind", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "vfio-pci");
}

STATEMENT(has_override, NewId, DoesNotMoveADeviceAheadOfTheDriverThatRegisteredFirst) {
  make_free(kNicA);
  ASSERT_EQ(dev(kNicA, "driver_override", "none"), 0);
  ASSERT_EQ(drv("vfio-pci", "new_id", "8086 10d3"), 0);
  ASSERT_EQ(dev(kNicA, "driver_override", "\n"), 0);
  EXPECT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

STATEMENT(has_override, NewId, GivesTheProbeTheDynamicIdEvenUnderAnOverride) {
  load_test_drivers();
  ASSERT_EQ(dev(kEduA, "driver_override", "td1"), 0);
  ASSERT_EQ(dev(kEduB, "driver_override", "none"), 0);
  ASSERT_EQ(drv("td1", "new_id", "1234 11e8 ffffffff ffffffff 0 0 6"), 0);
  EXPECT_EQ(driver_of(kEduA), "td1");
  EXPECT_EQ(target->probed_id(1), "1234:11e8 6");
}

TEST_F(RemoveId, WantsAtLeastVendorAndDevice) {
  EXPECT_EQ(drv("pci-stub", "remove_id", "dead"), EINVAL);
  EXPECT_EQ(drv("pci-stub", "remove_id", "\n"), EINVAL);
}

TEST_F(RemoveId, OfAnAbsentIdIsEnodev) {
  EXPECT_EQ(drv("pci-stub", "remove_id", "dead 1111"), ENODEV);
  ASSERT_EQ(drv("pci-stub", "new_id", "dead beef"), 0);
  EXPECT_EQ(drv("pci-stub", "remove_id", "dead beef"), 0);
  EXPECT_EQ(drv("pci-stub", "remove_id", "dead beef"), ENODEV);
}

TEST_F(RemoveId, OfAStaticIdIsEnodev) {
  EXPECT_EQ(drv("e1000e", "remove_id", "8086 10d3"), ENODEV);
}

TEST_F(RemoveId, DoesNotUnbind) {
  ASSERT_EQ(drv("pci-stub", "new_id", "1234 11e8"), 0);
  ASSERT_EQ(drv("pci-stub", "remove_id", "1234 11e8"), 0);
  EXPECT_EQ(driver_of(kEduA), "pci-stub");
}

}  // namespace
}  // namespace anybind::contract
