#include "lab/capture.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "inventory/device.h"

namespace anybind::lab {
namespace {

using drivercore::DeviceKey;
using drivercore::Driver;
using drivercore::DriverKey;
using drivercore::State;

/// Drivers that manage DMA ownership themselves; sysfs does not say so.
bool manages_dma(const std::string& name) {
  return name.contains("vfio") || name == "pci-stub" || name == "pcieport";
}

class Capturer {
 public:
  explicit Capturer(Sysfs& root) : root_(root) {}

  Result<> take_bus(const BusName& bus) {
    drivercore::Bus& out = state_.buses[bus.str()];
    out.name = bus.str();
    if (const auto flag = root_.read("bus/" + bus.str() + "/drivers_autoprobe")) {
      out.autoprobe = !flag->starts_with('0');
    }
    for (const std::string& name : TRY(read_driver_names(root_, bus))) take_driver(out, name);
    for (DeviceName& name : TRY(read_device_names(root_, bus))) {
      const DeviceId id{.bus = bus, .name = std::move(name)};
      const auto dir = root_.open_dir(id.path());
      const auto seen = dir ? read_device(**dir, id) : Result<Device>(fail({}));
      if (seen) take_device(out, **dir, *seen);
    }
    return {};
  }

  State take() { return std::move(state_); }

 private:
  void take_driver(drivercore::Bus& bus, const std::string& name) {
    const std::string path = "bus/" + bus.name + "/drivers/" + name;
    const auto module = root_.read_link(path + "/module");
    Driver driver{.bus = bus.name,
                  .name = name,
                  .module = module ? std::string(link_name(*module)) : "",
                  .managed_dma = manages_dma(name),
                  .needs_group = name.contains("vfio"),
                  .registered = true};
    // A table that nothing matches: what the driver really matches is learnt from what is bound to
    // it.
    if (bus.name == "platform") driver.names = {"-"};
    const DriverKey key = next_driver_++;
    bus.drivers.push_back(key);
    bus.driver_names.emplace(name, key);
    state_.drivers.emplace(key, std::move(driver));
  }

  void take_device(drivercore::Bus& bus, Sysfs& dir, const Device& seen) {
    drivercore::Device out{.bus = bus.name, .name = seen.id.name.str()};
    if (seen.pci) {
      out.vendor = seen.pci->vendor;
      out.device = seen.pci->device;
      out.subvendor = seen.pci->subvendor;
      out.subdevice = seen.pci->subdevice;
      out.class_code = seen.pci->class_code;
    }
    if (bus.name != "pci" && bus.name != "platform") out.modalias = seen.modalias;
    out.group = seen.iommu_group;
    out.driver_override = seen.driver_override;
    if (const auto pf = dir.read_link("physfn")) out.physfn = link_name(*pf);
    out.ready_to_probe = out.match_driver = true;
    if (out.group) state_.groups.try_emplace(*out.group);
    const DeviceKey key = state_.next_key++;
    if (seen.driver) bind_as_seen(bus, out, key, seen.driver->str());
    bus.devices.push_back(key);
    bus.device_names.emplace(out.name, key);
    state_.devices.emplace(key, std::move(out));
  }

  void bind_as_seen(drivercore::Bus& bus, drivercore::Device& device, DeviceKey key,
                    const std::string& name) {
    const auto found = bus.driver_names.find(name);
    if (found == bus.driver_names.end()) return;
    Driver& driver = state_.drivers.at(found->second);
    device.driver = found->second;
    device.driver_link = true;
    device.counted = !driver.managed_dma && device.group.has_value();
    if (device.counted) ++state_.groups[*device.group].in_use;
    driver.bound.push_back(key);
    if (device.driver_override) return;  // bound by name: says nothing about ids
    if (bus.name == "pci") {
      driver.ids.push_back({.vendor = device.vendor, .device = device.device});
    } else if (bus.name != "platform") {
      driver.aliases.push_back(device.modalias);
    } else {
      driver.names.push_back(device.name.substr(0, device.name.rfind('.')));
    }
  }

  Sysfs& root_;
  State state_;
  DriverKey next_driver_ = 1;
};

}  // namespace

Result<State> capture(Sysfs& root, const std::set<BusName>& buses) {
  Capturer capturer(root);
  for (const BusName& bus : buses) TRY(capturer.take_bus(bus));
  return capturer.take();
}

}  // namespace anybind::lab
