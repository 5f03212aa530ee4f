#include "lab/commands.h"

#include <gtest/gtest.h>

#include <optional>

#include "drivercore/file/machine.h"

namespace anybind::lab {
namespace {

constexpr std::string_view kMachine = R"(
driver = [
  { name = "e1000e", module = "e1000e", ids = ["8086:10d3"] },
  { name = "vfio-pci", module = "vfio_pci", loaded = false, managed_dma = true, needs_group = true, ids = ["*:* override_only"] },
  { name = "mlx5-vfio-pci", module = "mlx5_vfio_pci", loaded = false, managed_dma = true, needs_group = true, ids = ["8086:1572 override_only"] },
  { name = "i40e", module = "i40e", loaded = false, ids = ["8086:1572"] },
]
device = [
  { address = "0000:03:00.0", id = "8086:10d3", class = "020000", group = 3 },
  { address = "0000:04:00.0", id = "8086:1572", class = "020000", group = 4 },
]
)";

constexpr std::optional<ErrorKind> kNone;

class CommandsTest : public testing::Test {
 protected:
  CommandsTest() : machine_(drivercore::load_machine(kMachine, "test").value()) {}

  /// Of the error that came of it; kNone for success.
  std::optional<ErrorKind> kind(const std::vector<std::string>& words) {
    const auto done = run_command(machine_, words);
    return done ? kNone : std::optional(done.error().kind);
  }
  std::string driver_of(const std::string& address) {
    return machine_.look([&](drivercore::DriverCore& core) {
      const auto* device = core.find("pci", address);
      if (device == nullptr) return std::string("gone");
      return device->driver ? core.state().drivers.at(*device->driver).name : std::string();
    });
  }
  bool is_loaded(const std::string& driver) {
    return machine_.look(
        [&](drivercore::DriverCore& core) { return core.find_driver("pci", driver) != nullptr; });
  }

  Machine machine_;
};

TEST_F(CommandsTest, WantTheirNumberOfWords) {
  EXPECT_EQ(kind({"remove", "03:00.0", "04:00.0"}), ErrorKind::kUsage);
  EXPECT_EQ(driver_of("0000:03:00.0"), "e1000e");
  EXPECT_EQ(kind({"remove"}), ErrorKind::kUsage);
  EXPECT_EQ(kind({"save", "now"}), ErrorKind::kUsage);
  EXPECT_EQ(kind({}), ErrorKind::kUsage);
  EXPECT_EQ(kind({"remove", "03:00.0"}), kNone);
  EXPECT_EQ(driver_of("0000:03:00.0"), "gone");
}

TEST_F(CommandsTest, AModaliasLoadsWhatMatchesByItselfAndNoVariantOfVfio) {
  EXPECT_EQ(kind({"load", "pci:v00008086d00001572sv00000000sd00000000bc02sc00i00"}), kNone);
  EXPECT_EQ(driver_of("0000:04:00.0"), "i40e");
  EXPECT_FALSE(is_loaded("mlx5-vfio-pci"));
  EXPECT_FALSE(is_loaded("vfio-pci"));
}

TEST_F(CommandsTest, IdsOfALoadAreThoseOfItsDriver) {
  EXPECT_EQ(kind({"load", "vfio_pci", "ids=8086:9999,8086:1572"}), kNone);
  EXPECT_EQ(driver_of("0000:04:00.0"), "vfio-pci");
  EXPECT_EQ(driver_of("0000:03:00.0"), "e1000e");
}

TEST_F(CommandsTest, AGroupIsHeldOrFreeAndNothingElse) {
  ASSERT_EQ(kind({"load", "vfio_pci", "ids=8086:1572"}), kNone);
  EXPECT_EQ(kind({"set", "group", "4", "held"}), kNone);
  EXPECT_EQ(kind({"set", "group", "4", "hold"}), ErrorKind::kUsage);
  EXPECT_EQ(kind({"set", "group", "4", "held"}), ErrorKind::kRefused) << "it is held still";
  EXPECT_EQ(kind({"set", "group", "4", "free"}), kNone);
  EXPECT_EQ(kind({"set", "group", "4", "held"}), kNone);
}

TEST_F(CommandsTest, ADeviceIsOpenOnlyInAGroupThatIsHeldAndKeepsIt) {
  ASSERT_EQ(kind({"load", "vfio_pci", "ids=8086:1572"}), kNone);
  EXPECT_EQ(kind({"set", "device", "04:00.0", "open"}), ErrorKind::kRefused)
      << "nobody has its group";
  ASSERT_EQ(kind({"set", "group", "4", "held"}), kNone);
  EXPECT_EQ(kind({"set", "device", "04:00.0", "opened"}), ErrorKind::kUsage);
  EXPECT_EQ(kind({"set", "device", "03:00.0", "open"}), ErrorKind::kRefused) << "not on VFIO";
  EXPECT_EQ(kind({"set", "device", "04:00.0", "closed"}), ErrorKind::kRefused);
  EXPECT_EQ(kind({"set", "device", "04:00.0", "open"}), kNone);
  EXPECT_EQ(kind({"set", "device", "04:00.0", "open"}), ErrorKind::kRefused) << "it is open";
  EXPECT_EQ(kind({"set", "group", "4", "free"}), ErrorKind::kRefused) << "its device is open";
  EXPECT_EQ(kind({"set", "device", "pci/0000:04:00.0", "closed"}), kNone);
  EXPECT_EQ(kind({"set", "group", "4", "free"}), kNone);
}

TEST_F(CommandsTest, AProbeTakesAnHourAtMost) {
  EXPECT_EQ(kind({"set", "probe-time", "e1000e", "3600000"}), kNone);
  EXPECT_EQ(kind({"set", "probe-time", "e1000e", "3600001"}), ErrorKind::kUsage);
  EXPECT_EQ(kind({"set", "probe-time", "nosuch", "1"}), ErrorKind::kNotFound);
  EXPECT_EQ(kind({"set", "probe-time", "e1000e", "1s"}), ErrorKind::kUsage);
}

}  // namespace
}  // namespace anybind::lab
