// The modelled kernel, with the machine that the guest has.
#include <fstream>
#include <sstream>
#include <utility>

#include "drivercore/file/machine.h"
#include "drivercore/sysfs/model_sysfs.h"
#include "target.h"

namespace anybind::contract {
namespace {

using drivercore::DriverCore;

class ModelTarget final : public Target {
 public:
  explicit ModelTarget(drivercore::State state)
      : core_(std::move(state)), sysfs_(drivercore::model_sysfs(core_)) {}

  Sysfs& sysfs() override { return *sysfs_; }
  bool load(const std::string& module) override { return core_.load_module(module); }
  bool unload(const std::string& module) override { return core_.unload_module(module); }
  void set_probe(int number, int error) override {
    core_.set_probe("td" + std::to_string(number), -error);
  }
  std::string probed_id(int number) override {
    const auto* driver = core_.find_driver("pci", "td" + std::to_string(number));
    if (driver == nullptr || !driver->probed_id) return "";
    char text[64];
    const auto& id = *driver->probed_id;
    std::snprintf(text, sizeof text, "%04x:%04x %llx", id.vendor, id.device,
                  static_cast<unsigned long long>(id.data));
    return text;
  }
  std::vector<std::string> uevents() override {
    std::vector<std::string> out;
    for (const auto& event : core_.take_uevents()) {
      if (std::string text = told(event.lines); !text.empty()) out.push_back(std::move(text));
    }
    return out;
  }
  bool hold(const std::string& device) override {
    const auto* dev = core_.find("pci", device);
    if (dev == nullptr || !dev->group || !core_.hold_group(*dev->group, true)) return false;
    held_ = device;
    return core_.open_device("pci", device, true);
  }
  void let_go() override {
    if (held_.empty()) return;
    const std::string device = std::exchange(held_, "");
    core_.open_device("pci", device, false);
    if (const auto* dev = core_.find("pci", device)) core_.hold_group(*dev->group, false);
  }
  [[nodiscard]] const drivercore::KernelProfile& kernel() const override {
    return core_.state().profile;
  }
  [[nodiscard]] std::string name() const override {
    return "model of " + core_.state().profile.name;
  }

 private:
  DriverCore core_;
  std::unique_ptr<Sysfs> sysfs_;
  std::string held_;
};

}  // namespace

std::unique_ptr<Target> model_target(const std::string& machine, const std::string& profile) {
  std::stringstream text;
  text << std::ifstream(machine).rdbuf();
  auto state = drivercore::load_machine(text.str(), machine, profile);
  if (!state) {
    std::fputs(state.error().message().c_str(), stderr);
    return nullptr;
  }
  return std::make_unique<ModelTarget>(*std::move(state));
}

}  // namespace anybind::contract
