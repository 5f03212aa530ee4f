#include "drivercore/core/kernel_profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

namespace anybind::drivercore {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(KernelProfileTest, OfARunningKernelIsThatOfItsVersion) {
  const auto name = [](const char* release) { return profile_of_release(release).name; };
  EXPECT_EQ(name("6.13.1"), "linux-6.13");
  EXPECT_EQ(name("6.12.90-amd64"), "linux-6.12");
  EXPECT_EQ(name("6.1.0-40-amd64"), "linux-6.1");
  EXPECT_EQ(name("3.16"), "linux-3.16");
  EXPECT_EQ(name("3.10.0-1160.el7.x86_64"), "linux-3.14") << "the oldest there is";
  EXPECT_EQ(name("7.4.1"), "linux-7.3") << "the newest there is";
  EXPECT_EQ(name("8.0-rc1"), "linux-7.3");
  EXPECT_EQ(name("odd"), "linux-3.14");
}

TEST(KernelProfileTest, AnyVersionHasAName) {
  EXPECT_EQ(find_profile("linux-6.17")->version, (KernelVersion{6, 17}));
  EXPECT_EQ(find_profile("linux-4.9")->name, "linux-4.9");
  for (const char* name : {"linux-3.13", "linux-7.4", "linux-6", "linux-6.12.3", "linux-06.12",
                           "linux-6.012", "linux-", "", "6.12"}) {
    const auto none = find_profile(name);
    ASSERT_FALSE(none) << name;
    EXPECT_EQ(none.error().kind, ErrorKind::kUsage);
    EXPECT_THAT(none.error().advice.plain(), HasSubstr("every other linux-X.Y from 3.14 to 7.3"));
  }
}

/// What the versions around each change have.
std::vector<bool> has(Change change, std::initializer_list<const char*> versions) {
  std::vector<bool> out;
  for (const char* version : versions)
    out.push_back(find_profile(std::string("linux-") + version)->has(change));
  return out;
}

TEST(KernelProfileTest, AChangeIsThereFromItsVersionOn) {
  EXPECT_THAT(has(Change::kDriverOverride, {"3.14", "3.15", "3.16", "7.3"}),
              ElementsAre(false, false, true, true));
  EXPECT_THAT(has(Change::kBindEvents, {"4.13", "4.14"}), ElementsAre(false, true));
  EXPECT_THAT(has(Change::kBindReportsProbeErrno, {"5.13", "5.14"}), ElementsAre(false, true));
  EXPECT_THAT(has(Change::kDmaOwnership, {"5.18", "5.19"}), ElementsAre(false, true));
  EXPECT_THAT(has(Change::kAddAsksSyncDriversFirst, {"6.16", "6.17"}), ElementsAre(false, true));
  EXPECT_THAT(has(Change::kFauxBus, {"6.13", "6.14"}), ElementsAre(false, true));
  EXPECT_THAT(has(Change::kTellsVfioDevice, {"6.17", "6.18"}), ElementsAre(false, true));
  EXPECT_THAT(has(Change::kPciAddHonoursAutoprobe, {"6.12", "6.18", "6.19", "7.3"}),
              ElementsAre(false, false, true, true));
  EXPECT_THAT(has(Change::kOverrideTakesNoLock, {"6.1", "6.12", "6.13", "6.19", "7.0"}),
              ElementsAre(false, true, false, false, true))
      << "the series 6.12 got it too";
  EXPECT_THAT(has(Change::kUeventTakesNoLock, {"6.1", "6.12", "6.13", "6.15"}),
              ElementsAre(false, true, false, true));
  EXPECT_EQ(find_profile("linux-3.15")->mechanism, std::nullopt);
  EXPECT_EQ(find_profile("linux-3.16")->mechanism, Mechanism::kDriverOverride);
}

TEST(KernelProfileTest, TheTableHasARowForEachChangeAndSaysWhere) {
  std::size_t at = 0;
  for (const ChangeSince& row : changes()) {
    EXPECT_EQ(static_cast<std::size_t>(row.change), at++);
    EXPECT_GE(row.since, (KernelVersion{3, 16}));
    EXPECT_LE(row.since, kNewestKernel);
    EXPECT_THAT(row.where, HasSubstr("drivers/"));
  }
  EXPECT_EQ(at, static_cast<std::size_t>(Change::kBuiltInPlatformModules) + 1);
}

/// The rows of a table of docs/fidelity.md: "6.17 source".
std::vector<std::string> rows_of_the_page() {
  std::ifstream page(ANYBIND_SOURCE_DIR "/docs/fidelity.md");
  std::vector<std::string> out;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("## ")) inside = line.starts_with("## What changed in Linux");
    const auto end = line.rfind(" |");
    if (!inside || !line.starts_with("| ") || line.starts_with("| since")) continue;
    const auto known = line.rfind("| ", end - 1) + 2;
    const std::string version = line.substr(2, line.find_first_of(", |", 2) - 2);
    out.push_back(version + " " + line.substr(known, end - known));
  }
  return out;
}

TEST(KernelProfileTest, ThePageHasTheTable) {
  std::vector<std::string> rows;
  for (const ChangeSince& row : changes()) {
    using Known = ChangeSince::Known;
    const std::string before =
        row.known == Known::kMeasured
            ? KernelVersion{.major = row.since.major, .minor = row.since.minor - 1}.str()
            : "6.1";
    rows.push_back(row.since.str() + (row.known == Known::kSource ? " source"
                                      : row.known == Known::kMeasured
                                          ? " measured on " + before + " and this"
                                          : " measured on " + before + " and this, not between"));
  }
  EXPECT_EQ(rows_of_the_page(), rows);
}

TEST(KernelProfileTest, AProposalIsLinux612ButForItsMechanism) {
  const auto proposal = find_profile("vfio-bind");
  ASSERT_TRUE(proposal);
  EXPECT_EQ(proposal->version, (KernelVersion{6, 12}));
  EXPECT_TRUE(proposal->has(Mechanism::kVfioBind));
  EXPECT_FALSE(proposal->device_names_driver());
}

TEST(KernelProfileTest, AMechanismCanBeHadOnAnyKernelButDriverOverrideBeforeThereWasOne) {
  const auto proposal = profile_with({3, 14}, Mechanism::kVfioBind);
  ASSERT_TRUE(proposal);
  EXPECT_EQ(proposal->name, "vfio-bind");
  EXPECT_EQ(proposal->version, (KernelVersion{3, 14}));
  EXPECT_TRUE(proposal->has(Mechanism::kVfioBind));
  EXPECT_FALSE(proposal->has(Change::kBindEvents));
  EXPECT_EQ(profile_with({3, 14}, Mechanism::kDriverOverride), std::nullopt);
  EXPECT_EQ(profile_with({7, 3}, Mechanism::kDriverOverride), *find_profile("linux-7.3"));
}

}  // namespace
}  // namespace anybind::drivercore
