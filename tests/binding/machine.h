#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "change/transaction.h"
#include "drivercore/core/driver_core.h"
#include "drivercore/file/machine.h"
#include "drivercore/sysfs/model_sysfs.h"
#include "plan/planner.h"
#include "record/origins.h"

namespace anybind {

inline DeviceId pci(const std::string& name) {
  return {.bus = BusName::literal("pci"), .name = DeviceName::literal(name)};
}
inline DriverName driver(const std::string& name) {
  return DriverName::literal(name);
}

inline const DeviceId kGpu = pci("0000:03:00.0");
inline const DeviceId kGpuAudio = pci("0000:03:00.1");
inline const DeviceId kGpuPort = pci("0000:00:03.0");
inline const DeviceId kNicA = pci("0000:04:00.0");
inline const DeviceId kNicB = pci("0000:05:00.0");
inline const DeviceId kDisk = pci("0000:06:00.0");

/// Records what a run says, and can act between two steps.
class Recorder final : public Listener {
 public:
  void on_module(const ModuleLoad& load) override { lines.push_back(shell_line(load)); }
  void on_step(const DeviceId& device, const Step& step) override {
    lines.push_back(shell_line(device, step, "/sys"));
    if (before_step) before_step(lines.size());
  }
  void on_rollback(const Error& /*cause*/, std::size_t /*devices*/) override {
    lines.emplace_back("-- rollback");
  }
  [[nodiscard]] bool stop_requested() const override { return lines.size() >= stop_after; }

  std::vector<std::string> lines;
  std::function<void(std::size_t)>
      before_step;  ///< is told how many steps there were, this one included
  std::size_t stop_after = SIZE_MAX;
};

/// A kernel that says what a test wants.
class FakeLog final : public KernelLog {
 public:
  std::vector<KernelMessage> messages() override { return all; }
  std::vector<KernelMessage> all;
};

inline const char* const kMachine = "tests/binding/machine.toml";
inline const char* const kFunctions = "tests/binding/functions.toml";

/// A machine file of the repository; `profile` in the place of the file's kernel, if not empty.
inline drivercore::State read_machine(const std::string& file, const std::string& profile = "") {
  std::stringstream text;
  text << std::ifstream(ANYBIND_SOURCE_DIR "/" + file).rdbuf();
  auto state = drivercore::load_machine(text.str(), file, profile);
  EXPECT_TRUE(state) << state.error().message();
  return state.value_or(drivercore::State{});
}

/// One of those machines, modelled.
class MachineTest : public testing::Test {
 protected:
  explicit MachineTest(const std::string& machine = kMachine)
      : core_(read_machine(machine)),
        sysfs_(drivercore::model_sysfs(core_)),
        storage_(memory_storage()) {}

  Origins origins() { return *Origins::load(*storage_, "boot"); }

  /// "driver override" of a device: "igc (unset)", "none none".
  std::string state_of(const DeviceId& id) {
    const auto* device = core_.find(id.bus.str(), id.name.str());
    if (device == nullptr) return "absent";
    const std::string name = device->driver ? core_.state().drivers.at(*device->driver).name : "-";
    return name + " " + device->driver_override.value_or("(unset)");
  }
  /// Of every device, for "nothing has changed".
  std::vector<std::string> all() {
    std::vector<std::string> out;
    for (const auto& [bus, value] : core_.state().buses) {
      for (const auto& [name, key] : value.device_names) {
        const DeviceId id{.bus = BusName::literal(bus), .name = DeviceName::literal(name)};
        out.push_back(id.str() + " " + state_of(id));
      }
    }
    return out;
  }
  /// What another administrator types.
  int write(const std::string& path, std::string_view bytes) {
    const auto reply = sysfs_->write(path, bytes);
    return reply ? 0 : reply.error().value;
  }

  Result<HeldPlan> to_vfio(std::vector<DeviceId> devices, bool group = false) {
    return to_vfio(*sysfs_, std::move(devices), group);
  }
  static Result<HeldPlan> to_vfio(Sysfs& sysfs, std::vector<DeviceId> devices, bool group = false) {
    return plan_bind(
        sysfs, {.devices = std::move(devices), .driver = driver("vfio-pci"), .whole_group = group});
  }

  drivercore::DriverCore core_;
  std::unique_ptr<Sysfs> sysfs_;
  std::unique_ptr<Storage> storage_;
  Recorder recorder_;
};

}  // namespace anybind
