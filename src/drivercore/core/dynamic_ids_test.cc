// new_id and remove_id (kernel-facts 2.3), with the lines of experiment E2 in its order.
#include "drivercore/core/machine_ids.h"
#include "drivercore/machine_fixture.h"

namespace anybind::drivercore {
namespace {

using NewId = MachineTest;
using RemoveId = MachineTest;

struct Case {
  const char* driver;
  const char* file;
  const char* text;
  int error;
};

TEST_F(NewId, AnswersAsInExperimentE2) {
  const std::vector<Case> rows = {
      {"pci-stub", "new_id", "\n", EINVAL},
      {"pci-stub", "new_id", "8086", EINVAL},
      {"pci-stub", "new_id", "junk", EINVAL},
      {"pci-stub", "new_id", "8086 zz", EINVAL},
      {"pci-stub", "new_id", "0xdead 0xbeef", 0},
      {"pci-stub", "new_id", "DEAD BEEF", EEXIST},
      {"pci-stub", "new_id", "dead beef", EEXIST},
      {"pci-stub", "new_id", "1dead beef", 0},
      {"pci-stub", "new_id", "dead:beee", EINVAL},
      {"pci-stub", "new_id", "dead  beed junk", 0},
      {"pci-stub", "new_id", "dead beec 1 2 3 4 5 6 7", 0},
      {"pci-stub", "new_id", "dead beec 1 2 3 4 5", 0},
      {"pci-stub", "new_id", "dead beec", 0},
      {"pci-stub", "new_id", "dead beeb ffffffff ffffffff 0 0 7", 0},
      {"pci-stub", "new_id", "dead beea 8086 1", 0},
      {"pci-stub", "new_id", "dead beea", 0},
      {"pci-stub", "new_id", "-1 -1 0 0 0 0", EINVAL},
      {"pci-stub", "new_id", "123456789 1", 0},
      {"pci-stub", "remove_id", "dead", EINVAL},
      {"pci-stub", "remove_id", "dead 1111", ENODEV},
      {"pci-stub", "remove_id", "dead beef", 0},
      {"pci-stub", "remove_id", "dead beef", ENODEV},
      {"pci-stub", "remove_id", "0xdead beed", 0},
      {"pci-stub", "remove_id", "dead beea 9999", ENODEV},
      {"pci-stub", "remove_id", "dead beea", 0},
      {"pci-stub", "remove_id", "dead beec", 0},
      {"pci-stub", "remove_id", "dead beec", 0},
      {"pci-stub", "remove_id", "dead beec", 0},
      {"e1000e", "new_id", "8086 10d3", EEXIST},
      {"e1000e", "new_id", "8086 10d3 1 2 3 4 0", 0},
      {"e1000e", "new_id", "aaaa bbbb 1 2 3 4 ffff", EINVAL},
      {"e1000e", "new_id", "aaaa bbbb 1 2 3 4 1", 0},
      {"vfio-pci", "new_id", "aaaa bbbb 1 2 3 4 1", EINVAL},
      {"vfio-pci", "new_id", "aaaa bbbb", 0},
      {"vfio-pci", "new_id", "aaaa bbbb", EEXIST},
      {"vfio-pci", "remove_id", "aaaa bbbb", 0},
  };
  for (const Case& row : rows) {
    EXPECT_EQ(drv(row.driver, row.file, row.text), row.error)
        << row.driver << " " << row.file << " <- " << row.text;
  }
}

TEST_F(NewId, ABroadOneMakesANarrowOneADuplicateAndNotTheOtherWayRound) {
  ASSERT_EQ(drv("pci-stub", "new_id", "dead beef 8086 1"), 0);
  EXPECT_EQ(drv("pci-stub", "new_id", "dead beef"), 0);
  EXPECT_EQ(drv("pci-stub", "new_id", "dead beef 8086 2"), EEXIST);
}

TEST_F(NewId, ProbesAtOnceAlsoWithAutoprobeOff) {
  ASSERT_EQ(bus("drivers_autoprobe", "0"), 0);
  EXPECT_EQ(drv("pci-stub", "new_id", "1234 11e8"), 0);
  EXPECT_EQ(driver_of(kEduA), "pci-stub");
  EXPECT_EQ(driver_of(kEduB), "pci-stub");
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

TEST_F(NewId, OffersAgainEveryDriverlessDeviceThatTheDriverMatches) {
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  ASSERT_EQ(dev(kEduA, "driver_override", "e1000e"), 0);
  EXPECT_EQ(drv("e1000e", "new_id", "dead beef"), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e") << "by its static table, though it was unbound on purpose";
  EXPECT_EQ(driver_of(kEduA), "e1000e") << "by its override";
}

TEST_F(NewId, SucceedsWhateverItsProbesAnswer) {
  core_.set_probe("pci-stub", -EIO);
  EXPECT_EQ(drv("pci-stub", "new_id", "1234 11e8"), 0);
  EXPECT_EQ(driver_of(kEduA), "");
}

TEST_F(NewId, AllOnesAreAWildcardThatTakesEveryDriverlessFunction) {
  EXPECT_EQ(drv("pci-stub", "new_id", "ffffffff ffffffff"), 0);
  EXPECT_EQ(driver_of("0000:00:00.0"), "pci-stub") << "the host bridge included [E12]";
  EXPECT_EQ(driver_of(kEduA), "pci-stub");
  EXPECT_EQ(driver_of(kSharedEdu), "pci-stub");
}

TEST_F(NewId, IsWhatTheProbeIsGiven) {
  ASSERT_TRUE(core_.load_module("tdrv"));
  ASSERT_EQ(drv("td0", "unbind", kEduA), 0);
  ASSERT_EQ(drv("td1", "new_id", "1234 11e8 1af4 1100 0 0 7"), 0);
  EXPECT_EQ(driver_of(kEduA), "td1");
  EXPECT_EQ(format_pci_id(*core_.find_driver("pci", "td1")->probed_id),
            "1234:11e8:1af4:1100 data=7");
}

TEST_F(RemoveId, NeverUnbindsAndDiesWithTheDriver) {
  ASSERT_EQ(drv("pci-stub", "new_id", "1234 11e8"), 0);
  EXPECT_EQ(drv("pci-stub", "remove_id", "1234 11e8"), 0);
  EXPECT_EQ(driver_of(kEduA), "pci-stub");
  ASSERT_EQ(drv("pci-stub", "new_id", "dead beef"), 0);
  ASSERT_TRUE(core_.unload_module("pci-stub"));
  ASSERT_TRUE(core_.load_module("pci-stub"));
  EXPECT_EQ(drv("pci-stub", "remove_id", "dead beef"), ENODEV);
}

TEST_F(RemoveId, ComparesTheClassUnderTheMaskThatIsWritten) {
  ASSERT_EQ(drv("pci-stub", "new_id", "dead beef ffffffff ffffffff 020000 ff0000"), 0);
  EXPECT_EQ(drv("pci-stub", "remove_id", "dead beef ffffffff ffffffff 030000 ff0000"), ENODEV);
  EXPECT_EQ(drv("pci-stub", "remove_id", "dead beef ffffffff ffffffff 02ff00 ff0000"), 0);
}

}  // namespace
}  // namespace anybind::drivercore
