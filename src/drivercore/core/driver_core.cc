// Looking things up, steps and waiting, and taking a State over.
#include "drivercore/core/driver_core.h"

#include <algorithm>
#include <ranges>
#include <set>
#include <utility>

#include "base/check.h"
#include "drivercore/core/bus_type.h"
#include "drivercore/core/kernel_error.h"

namespace anybind::drivercore {

DriverCore::DriverCore(State state) : state_(std::move(state)), index_(State{}) {
  adopt();
}

// ---- looking up

const Device* DriverCore::find(DeviceKey key) const {
  const auto found = state_.devices.find(key);
  return found == state_.devices.end() || found->second.gone ? nullptr : &found->second;
}

Device* DriverCore::device(DeviceKey key) {
  const auto found = state_.devices.find(key);
  return found == state_.devices.end() || found->second.gone ? nullptr : &found->second;
}

const Device* DriverCore::find(const std::string& bus, const std::string& name) const {
  return find(key_of(bus, name));
}

DriverKey DriverCore::driver_key(const std::string& bus, const std::string& name) const {
  const auto at = state_.buses.find(bus);
  if (at == state_.buses.end()) return 0;
  const auto found = at->second.driver_names.find(name);
  return found == at->second.driver_names.end() ? 0 : found->second;
}

const Driver* DriverCore::find_driver(DriverKey key) const {
  const auto found = state_.drivers.find(key);
  return found == state_.drivers.end() || !found->second.registered ? nullptr : &found->second;
}

const Driver* DriverCore::find_driver(const std::string& bus, const std::string& name) const {
  return find_driver(driver_key(bus, name));
}

Driver* DriverCore::driver(DriverKey key) {
  const auto found = state_.drivers.find(key);
  return found == state_.drivers.end() || !found->second.registered ? nullptr : &found->second;
}

const Device& DriverCore::existing(DeviceKey key) const {
  const Device* found = find(key);
  CHECK(found != nullptr, "a device that lists and links name is there");
  return *found;
}

Device& DriverCore::the_device(DeviceKey key) {
  Device* found = device(key);
  CHECK(found != nullptr, "a device that an operation is about is there until it has ended");
  return *found;
}

Driver& DriverCore::the_driver(DriverKey key) {
  Driver* found = driver(key);
  CHECK(found != nullptr, "a driver that an operation uses is registered until it has ended");
  return *found;
}

bool DriverCore::listed(const Device& device, DeviceKey key) const {
  return key_of(device.bus, device.name) == key;
}

std::vector<const Device*> DriverCore::line_of(const Device& device) const {
  std::vector<const Device*> out = {&device};
  while (const Device* parent = find(Index::parent_of(state_, *out.back()))) out.push_back(parent);
  return out;
}

std::string DriverCore::devpath(const Device& device) const {
  const auto line = line_of(device);
  std::string out = "/devices/";
  out += bus_type(line.back()->bus).root(*line.back());
  for (const Device* each : line | std::views::reverse) out.append("/").append(each->name);
  return out;
}

// ---- steps and waiting

void DriverCore::step(KernelStep::Kind kind, DeviceKey device, DriverKey driver, int outcome) {
  if (on_step_) {
    on_step_({.kind = kind, .device = device, .driver = driver, .outcome = outcome});
  }
}

bool DriverCore::wait(const Blocked& blocked) {
  return on_blocked_ && on_blocked_(blocked);
}

bool DriverCore::Attempt::deferred() const {
  return kind != Kind::kBound && error == kProbeDefer;
}

// ---- taking a State over

/// What follows from the bindings that a state was made with.
void DriverCore::adopt_binding(DeviceKey key, Device& device) {
  Driver& driver = state_.drivers.at(*device.driver);
  device.driver_link = true;
  if (std::ranges::find(driver.bound, key) == driver.bound.end()) driver.bound.push_back(key);
  if (!driver.managed_dma && device.group && !device.counted) {
    device.counted = true;
    ++state_.groups[*device.group].in_use;
  }
  if (driver.needs_group && !device.vfio) device.vfio = index_.free_vfio();
  device.children_shown = device.vfio || bus_type(device.bus).made_for(device, driver);
  if (device.children_shown) index_.show(device, key);
}

/// What stands on a bus that this kernel has not is not there, nor is what stands below it.
void DriverCore::leave_out_other_buses() {
  const auto is_known = [&](const std::string& bus) {
    return has_bus(state_.profile, bus_type(bus));
  };
  if (std::ranges::all_of(state_.buses, is_known, [](const auto& bus) { return bus.first; }))
    return;
  std::set<DeviceKey> lost;
  for (const auto& [key, device] : state_.devices) {
    const auto line = line_of(device);
    if (!std::ranges::all_of(line, is_known, &Device::bus)) lost.insert(key);
  }
  const auto is_lost = [&](DeviceKey key) { return lost.contains(key); };
  std::erase_if(state_.devices, [&](const auto& it) { return is_lost(it.first); });
  std::erase_if(state_.drawer, is_lost);
  std::erase_if(state_.deferred, is_lost);
  std::erase_if(state_.drivers, [&](const auto& it) { return !is_known(it.second.bus); });
  std::erase_if(state_.buses, [&](const auto& it) { return !is_known(it.first); });
  for (auto& [key, driver] : state_.drivers) std::erase_if(driver.bound, is_lost);
  for (auto& [name, bus] : state_.buses) {
    std::erase_if(bus.devices, is_lost);
    std::erase_if(bus.device_names, [&](const auto& it) { return is_lost(it.second); });
  }
}

void DriverCore::adopt() {
  for (const auto& [name, bus] : state_.buses)
    CHECK(std::ranges::is_sorted(bus.devices), "a bus lists its devices in the order of addition");
  for (const char* always : {"pci", "platform"}) state_.buses[always].name = always;
  leave_out_other_buses();
  for (auto& [key, driver] : state_.drivers) {
    if (driver.registered && driver.registration == 0) driver.registration = state_.next_key++;
  }
  for (auto& [key, device] : state_.devices) {
    device.children_shown = false;
    if (!state_.profile.device_names_driver()) device.driver_override.reset();
    if (!state_.profile.has(Mechanism::kDriverProbeId)) device.probe_id.clear();
  }
  index_ = Index(state_);
  // Numbers that are given first, so that no other device is given one of them.
  for (const bool numbered : {true, false}) {
    for (auto& [key, device] : state_.devices) {
      const bool now = !device.gone && device.driver && device.vfio.has_value() == numbered;
      if (now && !device.children_shown) adopt_binding(key, device);
    }
  }
  adopt_vfs();
}

}  // namespace anybind::drivercore
