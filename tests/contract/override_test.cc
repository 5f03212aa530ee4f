// driver_override: what may be written, what it reads as, what it does and does not do
// (kernel-facts 2.4, 3).
#include <cerrno>

#include "contract.h"

namespace anybind::contract {
namespace {

using Override = Contract;

STATEMENT(has_override, Override, UnsetReadsAsNullInParentheses) {
  EXPECT_EQ(override_of(kNicA), "(null)\n");
}

STATEMENT(has_override, Override, ReadsBackWithOneNewline) {
  ASSERT_EQ(dev(kNicA, "driver_override", "vfio-pci"), 0);
  EXPECT_EQ(override_of(kNicA), "vfio-pci\n");
  ASSERT_EQ(dev(kNicA, "driver_override", "pci-stub\n"), 0);
  EXPECT_EQ(override_of(kNicA), "pci-stub\n");
}

STATEMENT(has_override, Override, KeepsBlanks) {
  ASSERT_EQ(dev(kEduA, "driver_override", " a b "), 0);
  EXPECT_EQ(override_of(kEduA), " a b \n");
}

STATEMENT(has_override, Override, EndsAtTheFirstNewline) {
  ASSERT_EQ(dev(kEduA, "driver_override", "nosuch\nsecond"), 0);
  EXPECT_EQ(override_of(kEduA), "nosuch\n");
}

STATEMENT(has_override, Override, EndsAtTheFirstNul) {
  ASSERT_EQ(dev(kEduA, "driver_override", std::string_view("x\0y", 3)), 0);
  EXPECT_EQ(override_of(kEduA), "x\n");
}

STATEMENT(has_override, Override, NewlineClearsIt) {
  ASSERT_EQ(dev(kEduA, "driver_override", "none"), 0);
  ASSERT_EQ(dev(kEduA, "driver_override", "\n"), 0);
  EXPECT_EQ(override_of(kEduA), "(null)\n");
  ASSERT_EQ(dev(kEduA, "driver_override", "none"), 0);
  ASSERT_EQ(dev(kEduA, "driver_override", "\nfoo"), 0);
  EXPECT_EQ(override_of(kEduA), "(null)\n");
}

STATEMENT(has_override, Override, NulClearsIt) {
  ASSERT_EQ(dev(kEduA, "driver_override", "none"), 0);
  ASSERT_EQ(dev(kEduA, "driver_override", std::string_view("\0", 1)), 0);
  EXPECT_EQ(override_of(kEduA), "(null)\n");
}

STATEMENT(has_override, Override, TakesAtMost4094Bytes) {
  EXPECT_EQ(dev(kEduA, "driver_override", std::string(4094, 'a')), 0);
  ASSERT_EQ(dev(kEduA, "driver_override", "kept"), 0);
  EXPECT_EQ(dev(kEduA, "driver_override", std::string(4095, 'a')), EINVAL);
  EXPECT_EQ(dev(kEduA, "driver_override", std::string(5000, 'a')), EINVAL);
  EXPECT_EQ(dev(kEduA, "driver_override", std::string(4094, 'b') + "\n"), EINVAL);
  EXPECT_EQ(override_of(kEduA), "kept\n");
}

STATEMENT(has_override, Override, IsNotCheckedAgainstTheDriversThatExist) {
  EXPECT_EQ(dev(kNicA, "driver_override", "no-such-driver"), 0);
  EXPECT_EQ(override_of(kNicA), "no-such-driver\n");
}

STATEMENT(has_override, Override, DoesNotUnbind) {
  ASSERT_EQ(dev(kNicA, "driver_override", "vfio-pci"), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
  EXPECT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

STATEMENT(has_override, Override, DoesNotProbe) {
  make_free(kNicA);
  ASSERT_EQ(dev(kNicA, "driver_override", "vfio-pci"), 0);
  EXPECT_EQ(driver_of(kNicA), "");
}

STATEMENT(has_override, Override, MakesADriverMatchADeviceThatItHasNoIdFor) {
  ASSERT_EQ(dev(kEduA, "driver_override", "pci-stub"), 0);
  EXPECT_EQ(drv("pci-stub", "bind", kEduA), 0);
  EXPECT_EQ(driver_of(kEduA), "pci-stub");
}

STATEMENT(has_override, Override, IsWhatDriversProbeGoesBy) {
  make_free(kNicA);
  ASSERT_EQ(dev(kNicA, "driver_override", "vfio-pci"), 0);
  EXPECT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "vfio-pci");
}

STATEMENT(has_override, Override, KeepsTheDriverThatMatchesByIdAway) {
  make_free(kNicA);
  ASSERT_EQ(dev(kNicA, "driver_override", "none"), 0);
  EXPECT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "");
  EXPECT_EQ(drv("e1000e", "bind", kNicA), ENODEV);
  EXPECT_EQ(driver_of(kNicA), "");
}

STATEMENT(has_override, Override, ToTheDriverThatMatchesAnywayChangesNothing) {
  make_free(kNicA);
  ASSERT_EQ(dev(kNicA, "driver_override", "e1000e"), 0);
  EXPECT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

STATEMENT(has_override, Override, ToADriverThatIsNotLoadedLeavesTheDeviceDriverlessInSilence) {
  ASSERT_EQ(dev(kEduA, "driver_override", "td2"), 0);
  EXPECT_EQ(bus("drivers_probe", kEduA), 0);
  EXPECT_EQ(driver_of(kEduA), "");
}

STATEMENT(has_override, Override, IsHonouredWhenTheNamedDriverLoads) {
  ASSERT_EQ(dev(kEduA, "driver_override", "td2"), 0);
  ASSERT_TRUE(target->load("anybind_test"));
  EXPECT_EQ(driver_of(kEduA), "td2");
  EXPECT_EQ(driver_of(kEduB), "td0");
  EXPECT_TRUE(target->unload("anybind_test"));
}

STATEMENT(has_override, Override, OutlivesTheDriver) {
  ASSERT_EQ(dev(kEduA, "driver_override", "td2"), 0);
  ASSERT_TRUE(target->load("anybind_test"));
  ASSERT_TRUE(target->unload("anybind_test"));
  EXPECT_EQ(override_of(kEduA), "td2\n");
  EXPECT_EQ(driver_of(kEduA), "");
}

STATEMENT(has_override, Override, DiesWithTheDevice) {
  ASSERT_EQ(dev(kEduA, "driver_override", "pci-stub"), 0);
  ASSERT_EQ(dev(kEduA, "remove", "1"), 0);
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(override_of(kEduA), "(null)\n");
  EXPECT_EQ(driver_of(kEduA), "");
}

STATEMENT(has_override, Override, ClearedWhileBoundLeavesTheDriver) {
  ASSERT_EQ(dev(kEduA, "driver_override", "pci-stub"), 0);
  ASSERT_EQ(drv("pci-stub", "bind", kEduA), 0);
  ASSERT_EQ(dev(kEduA, "driver_override", "\n"), 0);
  EXPECT_EQ(driver_of(kEduA), "pci-stub");
  ASSERT_EQ(drv("pci-stub", "unbind", kEduA), 0);
  EXPECT_EQ(drv("pci-stub", "bind", kEduA), ENODEV);
}

STATEMENT(has_override, Override, GivesTheProbeTheStaticIdWhereOneMatches) {
  load_test_drivers();
  ASSERT_EQ(dev(kEduA, "driver_override", "td2"), 0);
  ASSERT_EQ(drv("td2", "bind", kEduA), 0);
  EXPECT_EQ(target->probed_id(2), "1234:11e8 7");
}

STATEMENT(has_override, Override, GivesTheProbeAWildcardWithoutDataWhereNoIdMatches) {
  load_test_drivers();
  make_free(kNicA);
  ASSERT_EQ(dev(kNicA, "driver_override", "td1"), 0);
  ASSERT_EQ(drv("td1", "bind", kNicA), 0);
  EXPECT_EQ(target->probed_id(1), "ffffffff:ffffffff 0");
  EXPECT_EQ(drv("td1", "unbind", kNicA), 0);
}

}  // namespace
}  // namespace anybind::contract
