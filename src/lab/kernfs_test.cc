#include "lab/kernfs.h"

#include <fcntl.h>

#include <cerrno>

#include <gtest/gtest.h>

#include "drivercore/file/machine.h"
#include "lab/commands.h"
#include "lab/machine.h"

namespace anybind::lab {
namespace {

constexpr const char* kMachineWithFiles = R"(
driver = [{ name = "igb", ids = ["8086:1533"] }]
device = [{ address = "0000:01:00.0", id = "8086:1533" }, { address = "0000:02:00.0", id = "8086:1533" }]
)";
constexpr const char* kCard = "0000:01:00.0";
constexpr const char* kOther = "0000:02:00.0";

class KernfsTest : public testing::Test {
 protected:
  Kernfs::Number at(const std::string& device, const std::string& name) {
    return at({"devices", "pci" + device.substr(0, 7), device, name});
  }
  Kernfs::Number at(const std::vector<std::string>& parts) {
    Kernfs::Number number = Kernfs::kRoot;
    for (const std::string& part : parts) {
      const auto found = files_.lookup(number, part);
      if (!found) return 0;
      number = found->number;
    }
    return number;
  }
  /// 0 or the errno.
  int change_mode(const std::string& device, const std::string& name, mode_t mode) {
    const Kernfs::Number number = at(device, name);
    if (number == 0) return ENOENT;
    const auto changed = files_.change(number, mode, std::nullopt, std::nullopt);
    return changed ? 0 : changed.error().value;
  }
  mode_t mode_of(const std::string& device, const std::string& name) {
    return files_.status(at(device, name))->st_mode & 07777U;
  }
  bool plug(const char* word, const char* what) {
    return run_command(machine_, {word, what}).has_value();
  }

  Machine machine_{*drivercore::load_machine(kMachineWithFiles, "machine")};
  Kernfs files_{machine_, {.most_changes = 4}};
};

TEST_F(KernfsTest, WhatIsGoneTakesNoRoomForChangedModes) {
  ASSERT_EQ(change_mode(kOther, "vendor", 0400), 0);
  for (int round = 0; round < 20; ++round) {
    EXPECT_EQ(change_mode(kCard, "vendor", 0400), 0) << round;
    EXPECT_EQ(mode_of(kCard, "vendor"), 0400U);
    ASSERT_TRUE(plug("remove", kCard));
    ASSERT_TRUE(plug("add", kCard));
    EXPECT_EQ(mode_of(kCard, "vendor"), 0444U) << "a new card has what it has at first";
  }
  EXPECT_EQ(mode_of(kOther, "vendor"), 0400U) << "what is there keeps its mode";
}

TEST_F(KernfsTest, BeyondTheMostOnlyWhatIsChangedAlreadyCanBeChanged) {
  for (const char* name : {"vendor", "device", "class", "revision"}) {
    ASSERT_EQ(change_mode(kCard, name, 0400), 0) << name;
  }
  EXPECT_EQ(change_mode(kOther, "vendor", 0400), ENOSPC);
  EXPECT_EQ(change_mode(kCard, "vendor", 0440), 0);
  ASSERT_TRUE(plug("remove", kCard));
  EXPECT_EQ(change_mode(kOther, "vendor", 0400), 0);
}

TEST_F(KernfsTest, AnOwnerThatIsChangedIsSeen) {
  const Kernfs::Number number = at(kCard, "vendor");
  ASSERT_NE(number, 0U);
  ASSERT_TRUE(files_.change(number, std::nullopt, 64, 65));
  EXPECT_EQ(files_.status(number)->st_uid, 64U);
  EXPECT_EQ(files_.status(number)->st_gid, 65U);
  EXPECT_EQ(files_.status(at(kOther, "vendor"))->st_uid, 0U);
}

/// A file that is held open is of the card that was there then.
TEST_F(KernfsTest, AnAttributeOfACardThatIsGoneTakesNothing) {
  auto file = files_.open(at(kCard, "driver_override"), O_RDWR);
  ASSERT_TRUE(file);
  ASSERT_TRUE(plug("remove", kCard));
  EXPECT_EQ(files_.write(*file, "none", 0).error().value, ENODEV);
  ASSERT_TRUE(plug("add", kCard));
  EXPECT_EQ(files_.write(*file, "none", 0).error().value, ENODEV);
  EXPECT_EQ(files_.read(*file, 100, 0).error().value, ENODEV);
  auto again = files_.open(at(kCard, "driver_override"), O_RDONLY);
  ASSERT_TRUE(again);
  EXPECT_EQ(files_.read(*again, 100, 0).value_or(""), "(null)\n");
}

TEST_F(KernfsTest, AnAttributeOfADriverThatIsGoneTakesNothing) {
  auto file = files_.open(at({"bus", "pci", "drivers", "igb", "unbind"}), O_WRONLY);
  ASSERT_TRUE(file);
  ASSERT_TRUE(plug("unload", "igb"));
  EXPECT_EQ(files_.write(*file, kCard, 0).error().value, ENODEV);
  ASSERT_TRUE(plug("load", "igb"));
  EXPECT_EQ(files_.write(*file, kCard, 0).error().value, ENODEV);
  auto again = files_.open(at({"bus", "pci", "drivers", "igb", "unbind"}), O_WRONLY);
  ASSERT_TRUE(again);
  EXPECT_TRUE(files_.write(*again, kCard, 0)) << "the card is still with the driver";
}

}  // namespace
}  // namespace anybind::lab
