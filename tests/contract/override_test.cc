// driver_override: what may be written, what it reads as, what it does and does not do
// (kernel-facts 2.4, 3).
#include <cerrno>

#include "contract.h"

namespace anybind::contract {
namespace {

using Override = Contract;

TEST_F(Override, UnsetReadsAsNullInParentheses) {
  EXPECT_EQ(override_of(kNicA), "(null)\n");
}

TEST_F(Override, ReadsBackWithOneNewline) {
  ASSERT_EQ(dev(kNicA, "driver_override", "vfio-pci"), 0);
  EXPECT_EQ(override_of(kNicA), "vfio-pci\n");
  ASSERT_EQ(dev(kNicA, "driver_override", "pci-stub\n"), 0);
  EXPECT_EQ(override_of(kNicA), "pci-stub\n");
}

TEST_F(Override, KeepsBlanks) {
  ASSERT_EQ(dev(kEduA, "driver_override", " a b "), 0);
  EXPECT_EQ(override_of(kEduA), " a b \n");
}

TEST_F(Override, EndsAtTheFirstNewline) {
  ASSERT_EQ(dev(kEduA, "driver_override", "nosuch\nsecond"), 0);
  EXPECT_EQ(override_of(kEduA), "nosuch\n");
}

TEST_F(Override, EndsAtTheFirstNul) {
  ASSERT_EQ(dev(kEduA, "driver_override", std::string_view("x\0y", 3)), 0);
  EXPECT_EQ(override_of(kEduA), "x\n");
}

TEST_F(Override, NewlineClearsIt) {
  ASSERT_EQ(dev(kEduA, "driver_override", "none"), 0);
  ASSERT_EQ(dev(kEduA, "driver_override", "\n"), 0);
  EXPECT_EQ(override_of(kEduA), "(null)\n");
  ASSERT_EQ(dev(kEduA, "driver_override", "none"), 0);
  ASSERT_EQ(dev(kEduA, "driver_override", "\nfoo"), 0);
  EXPECT_EQ(override_of(kEduA), "(null)\n");
}

TEST_F(Override, NulClearsIt) {
  ASSERT_EQ(dev(kEduA, "driver_override", "none"), 0);
  ASSERT_EQ(dev(kEduA, "driver_override", std::string_view("\0", 1)), 0);
  EXPECT_EQ(override_of(kEduA), "(null)\n");
}

TEST_F(Override, TakesAtMost4094Bytes) {
  EXPECT_EQ(dev(kEduA, "driver_override", std::string(4094, 'a')), 0);
  ASSERT_EQ(dev(kEduA, "driver_override", "kept"), 0);
  EXPECT_EQ(dev(kEduA, "driver_override", std::string(4095, 'a')), EINVAL);
  EXPECT_EQ(dev(kEduA, "driver_override", std::string(5000, 'a')), EINVAL);
  EXPECT_EQ(dev(kEduA, "driver_override", std::string(4094, 'b') + "\n"), EINVAL);
  EXPECT_EQ(override_of(kEduA), "kept\n");
}

TEST_F(Override, IsNotCheckedAgainstTheDriversThatExist) {
  EXPECT_EQ(dev(kNicA, "driver_override", "no-such-driver"), 0);
  EXPECT_EQ(override_of(kNicA), "no-such-driver\n");
}

TEST_F(Override, DoesNotUnbind) {
  ASSERT_EQ(dev(kNicA, "driver_override", "vfio-pci"), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
  EXPECT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

TEST_F(Override, DoesNotProbe) {
  make_free(kNicA);
  ASSERT_EQ(dev(kNicA, "driver_override", "vfio-pci"), 0);
  EXPECT_EQ(driver_of(kNicA), "");
}

TEST_F(Override, MakesADriverMatchADeviceThatItHasNoIdFor) {
  ASSERT_EQ(dev(kEduA, "driver_override", "pci-stub"), 0);
  EXPECT_EQ(drv("pci-stub", "bind", kEduA), 0);
  EXPECT_EQ(driver_of(kEduA), "pci-stub");
}

TEST_F(Override, IsWhatDriversProbeGoesBy) {
  make_free(kNicA);
  ASSERT_EQ(dev(kNicA, "driver_override", "vfio-pci"), 0);
  EXPECT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "vfio-pci");
}

TEST_F(Override, KeepsTheDriverThatMatchesByIdAway) {
  make_free(kNicA);
  ASSERT_EQ(dev(kNicA, "driver_override", "none"), 0);
  EXPECT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "");
  EXPECT_EQ(drv("e1000e", "bind", kNicA), ENODEV);
  EXPECT_EQ(driver_of(kNicA), "");
}

TEST_F(Override, ToTheDriverThatMatchesAnywayChangesNothing) {
  make_free(kNicA);
  ASSERT_EQ(dev(kNicA, "driver_override", "e1000e"), 0);
  EXPECT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

TEST_F(Override, ToADriverThatIsNotLoadedLeavesTheDeviceDriverlessInSilence) {
  ASSERT_EQ(dev(kEduA, "driver_override", "td2"), 0);
  EXPECT_EQ(bus("drivers_probe", kEduA), 0);
  EXPECT_EQ(driver_of(kEduA), "");
}

TEST_F(Override, IsHonouredWhenTheNamedDriverLoads) {
  ASSERT_EQ(dev(kEduA, "driver_override", "td2"), 0);
  ASSERT_TRUE(target->load("anybind_test"));
  EXPECT_EQ(driver_of(kEduA), "td2");
  EXPECT_EQ(driver_of(kEduB), "td0");
  EXPECT_TRUE(target->unload("anybind_test"));
}

TEST_F(Override, OutlivesTheDriver) {
  ASSERT_EQ(dev(kEduA, "driver_override", "td2"), 0);
  ASSERT_TRUE(target->load("anybind_test"));
  ASSERT_TRUE(target->unload("anybind_test"));
  EXPECT_EQ(override_of(kEduA), "td2\n");
  EXPECT_EQ(driver_of(kEduA), "");
}

TEST_F(Override, DiesWithTheDevice) {
  ASSERT_EQ(dev(kEduA, "driver_override", "pci-stub"), 0);
  ASSERT_EQ(dev(kEduA, "remove", "1"), 0);
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(override_of(kEduA), "(null)\n");
  EXPECT_EQ(driver_of(kEduA), "");
}

TEST_F(Override, ClearedWhileBoundLeavesTheDriver) {
  ASSERT_EQ(dev(kEduA, "driver_override", "pci-stub"), 0);
  ASSERT_EQ(drv("pci-stub", "bind", kEduA), 0);
  ASSERT_EQ(dev(kEduA, "driver_override", "\n"), 0);
  EXPECT_EQ(driver_of(kEduA), "pci-stub");
  ASSERT_EQ(drv("pci-stub", "unbind", kEduA), 0);
  EXPECT_EQ(drv("pci-stub", "bind", kEduA), ENODEV);
}

TEST_F(Override, GivesTheProbeTheStaticIdWhereOneMatches) {
  load_test_drivers();
  ASSERT_EQ(dev(kEduA, "driver_override", "td2"), 0);
  ASSERT_EQ(drv("td2", "bind", kEduA), 0);
  EXPECT_EQ(target->probed_id(2), "1234:11e8 7");
}

TEST_F(Override, GivesTheProbeAWildcardWithoutDataWhereNoIdMatches) {
  load_test_drivers();
  make_free(kNicA);
  ASSERT_EQ(dev(kNicA, "driver_override", "td1"), 0);
  ASSERT_EQ(drv("td1", "bind", kNicA), 0);
  EXPECT_EQ(target->probed_id(1), "ffffffff:ffffffff 0");
  EXPECT_EQ(drv("td1", "unbind", kNicA), 0);
}

}  // namespace
}  // namespace anybind::contract
