#pragma once

// For the tests of this folder.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "drivercore/core/driver_core.h"
#include "drivercore/file/machine.h"
#include "drivercore/sysfs/model_sysfs.h"

namespace anybind::drivercore {

/// The machine of most experiments (kernel-facts: E1 to E13): two network cards, a disk, two "edu"
/// cards that three test drivers match, and behind a bridge three functions that share its group.
inline constexpr std::string_view kMachine = R"(
driver = [
  { name = "pcieport", built_in = true, module = "pcieportdrv", ids = ["class:060400"], managed_dma = true },
  { name = "e1000e", ids = ["8086:10d3", "8086:10f6 data=1"] },
  { name = "e1000", ids = ["8086:100e"] },
  { name = "nvme", ids = ["class:010802"] },
  { name = "vfio-pci", ids = ["*:* override_only"], managed_dma = true, needs_group = true },
  { name = "pci-stub", managed_dma = true },
  { name = "td0", module = "tdrv", ids = ["1234:11e8 data=7"], loaded = false },
  { name = "td1", module = "tdrv", ids = ["1234:11e8 data=7"], loaded = false },
  { name = "td2", module = "tdrv", ids = ["1234:11e8 data=7"], loaded = false },
  { name = "serial8250", bus = "platform", built_in = true },
  { name = "pcspkr", bus = "platform" },
]
device = [
  { address = "0000:00:00.0", id = "8086:29c0", class = "060000", group = 0 },
  { address = "0000:00:03.0", id = "8086:10d3", subsystem = "8086:0000", class = "020000", group = 1, children = { net = ["eth0"] } },
  { address = "0000:00:04.0", id = "8086:10d3", subsystem = "8086:0000", class = "020000", group = 2, children = { net = ["eth1"] } },
  { address = "0000:00:05.0", id = "1b36:0010", class = "010802", group = 3, children = { nvme = ["nvme0"], block = ["nvme/nvme0/nvme0n1"] } },
  { address = "0000:00:06.0", id = "1234:11e8", subsystem = "1af4:1100", class = "00ff00", group = 4, reset = false },
  { address = "0000:00:07.0", id = "1234:11e8", subsystem = "1af4:1100", class = "00ff00", group = 5, reset = false },
  { address = "0000:00:08.0", id = "1b36:000e", class = "060400", group = 6 },
  { address = "0000:01:01.0", id = "8086:100e", class = "020000", group = 6, parent = "0000:00:08.0", children = { net = ["eth2"] } },
  { address = "0000:01:02.0", id = "8086:100e", class = "020000", group = 6, parent = "0000:00:08.0", children = { net = ["eth3"] } },
  { address = "0000:01:03.0", id = "1234:11e8", class = "00ff00", group = 6, parent = "0000:00:08.0" },
  { address = "0000:02:00.0", id = "8086:10d3", class = "020000", group = 7, present = false },
  { bus = "platform", name = "serial8250" },
  { bus = "platform", name = "pcspkr" },
]
)";

inline const std::string kNicA = "0000:00:03.0";
inline const std::string kNicB = "0000:00:04.0";
inline const std::string kNvme = "0000:00:05.0";
inline const std::string kEduA = "0000:00:06.0";
inline const std::string kEduB = "0000:00:07.0";
inline const std::string kBridge = "0000:00:08.0";
inline const std::string kSharedA = "0000:01:01.0";
inline const std::string kSharedB = "0000:01:02.0";
inline const std::string kSharedEdu = "0000:01:03.0";
inline const std::string kSpareNic = "0000:02:00.0";
inline const std::string kNobody = "0000:00:1d.7";

inline State load(std::string_view toml) {
  auto state = load_machine(toml, "test");
  EXPECT_TRUE(state) << state.error().message();
  return state.value_or(State{});
}

/// A machine, and what an administrator types.
class MachineTest : public testing::Test {
 protected:
  MachineTest() : core_(load(kMachine)), sysfs_(model_sysfs(core_)) {}

  /// One write(2): 0, or the errno.
  int write(const std::string& path, std::string_view bytes) {
    const auto reply = sysfs_->write(path, bytes);
    return reply ? 0 : reply.error().value;
  }
  int bus(const std::string& file, std::string_view bytes) {
    return write("bus/pci/" + file, bytes);
  }
  int drv(const std::string& driver, const std::string& file, std::string_view bytes) {
    return write("bus/pci/drivers/" + driver + "/" + file, bytes);
  }
  int dev(const std::string& device, const std::string& file, std::string_view bytes) {
    return write("bus/pci/devices/" + device + "/" + file, bytes);
  }
  /// The text, or the name of the errno.
  std::string read(const std::string& path) {
    const auto reply = sysfs_->read(path);
    return reply ? *reply : reply.error().name();
  }
  std::string link(const std::string& path) {
    const auto reply = sysfs_->read_link(path);
    return reply ? *reply : reply.error().name();
  }
  std::vector<std::string> list(const std::string& path) {
    return sysfs_->list(path).value_or(std::vector<std::string>{"(error)"});
  }
  /// By the link, as user space sees it: "" for none, "absent".
  std::string driver_of(const std::string& device) {
    if (!sysfs_->open_dir("bus/pci/devices/" + device)) return "absent";
    const auto target = sysfs_->read_link("bus/pci/devices/" + device + "/driver");
    return target ? std::string(link_name(*target)) : "";
  }
  DeviceKey key(const std::string& device) { return core_.key_of("pci", device); }
  /// "add 0000:00:03.0", in the order in which they were sent.
  std::vector<std::string> events() {
    std::vector<std::string> out;
    for (const Uevent& event : core_.take_uevents()) {
      out.push_back(event.action + " " + std::string(link_name(event.devpath)));
    }
    return out;
  }
  /// What is done once, at the first step of this kind on this device.
  void at_step(KernelStep::Kind kind, const std::string& device, std::function<void()> action) {
    core_.set_on_step(
        [kind, wanted = key(device), action = std::move(action)](const KernelStep& step) mutable {
          if (step.kind != kind || step.device != wanted || !action) return;
          const auto now = std::exchange(action, nullptr);
          now();
        });
  }

  DriverCore core_;
  std::unique_ptr<Sysfs> sysfs_;
};

}  // namespace anybind::drivercore
