// The core of binding, after drivers/base/dd.c and bus.c of Linux 6.12.
//
// Two kinds of failure must be kept apart, as the kernel does by their sign. What goes wrong before
// probe() runs (the device is gone or has a driver, the IOMMU group belongs to user space) is
// negative, and ends the walk over the drivers. What probe() itself answers is turned positive: the
// walk goes on to the next driver. `bind` makes both an errno; `drivers_probe` reports only the
// first kind, as EINVAL.
//
// A deferred probe puts the device on a list that is retried after any successful bind, by one
// worker. There is no second thread here: the worker runs at the end of the operation that
// triggered it.
#include "drivercore/driver_core.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "drivercore/match.h"

namespace anybind::drivercore {
namespace {

constexpr int kProbeDefer = 517;

Reply<void> error(int value) {
  return std::unexpected(Errno{value});
}

/// The text of a name as sysfs_streq sees it: up to a NUL, without one newline.
std::string_view as_name(std::string_view text) {
  return trim_newline(text.substr(0, text.find('\0')));
}

template <class T>
void drop(std::vector<T>& list, const T& value) {
  std::erase(list, value);
}

}  // namespace

// ---- looking up

const Device* DriverCore::find(DeviceKey key) const {
  const auto found = state_.devices.find(key);
  return found == state_.devices.end() || found->second.dead ? nullptr : &found->second;
}

Device* DriverCore::device(DeviceKey key) {
  return const_cast<Device*>(find(key));
}

DeviceKey DriverCore::named(const std::string& bus, std::string_view text) const {
  const auto at = state_.buses.find(bus);
  if (at == state_.buses.end()) return 0;
  const auto found = at->second.device_names.find(std::string(as_name(text)));
  return found == at->second.device_names.end() ? 0 : found->second;
}

const Device* DriverCore::find(const std::string& bus, const std::string& name) const {
  return find(named(bus, name));
}

const Driver* DriverCore::find_driver(const std::string& bus, const std::string& name) const {
  const auto at = state_.buses.find(bus);
  if (at == state_.buses.end()) return nullptr;
  const auto found = at->second.driver_names.find(name);
  return found == at->second.driver_names.end() ? nullptr : &state_.drivers.at(found->second);
}

void DriverCore::step(KernelStep::Kind kind, DeviceKey device, DriverKey driver) {
  if (on_step_) on_step_({.kind = kind, .device = device, .driver = driver});
}

// ---- probing (dd.c)

int DriverCore::call_probe(DeviceKey key, DriverKey driver_key) {
  Driver& driver = state_.drivers.at(driver_key);
  Device& dev = *device(key);
  ++dev.probes;
  if (dev.bus == "pci") {
    // __pci_device_probe looks again, under the lock; virtual functions wait for leave of their PF.
    const auto id = pci_match(dev, driver);
    const Device* pf = dev.physfn.empty() ? nullptr : find("pci", dev.physfn);
    const bool gated = pf != nullptr && !pf->vf_autoprobe && !dev.driver_override;
    if (!id || gated) return ENODEV;
    driver.probed_id = id;
  }
  if (driver.needs_group && !dev.group) return EINVAL;
  const auto special = driver.probe.per_device.find(dev.name);
  return -(special == driver.probe.per_device.end() ? driver.probe.result : special->second);
}

int DriverCore::really_probe(DeviceKey key, DriverKey driver_key) {
  Device* dev = device(key);
  if (dev == nullptr || dev->dead) return -ENODEV;
  if (!dev->ready_to_probe) return -kProbeDefer;
  if (dev->driver) return -EBUSY;
  const bool counts = !state_.drivers.at(driver_key).managed_dma && dev->group.has_value();
  if (counts && state_.groups[*dev->group].held) return -EBUSY;
  if (counts) ++state_.groups[*dev->group].in_use;
  dev->counted = counts;
  dev->driver = driver_key;
  dev->driver_link = true;
  step(KernelStep::Kind::kProbeBegins, key, driver_key);
  const int result = call_probe(key, driver_key);
  step(KernelStep::Kind::kProbeEnds, key, driver_key);
  dev = device(key);
  if (result != 0) {
    dev->driver.reset();
    dev->driver_link = false;
    if (std::exchange(dev->counted, false)) --state_.groups[*dev->group].in_use;
    return result;
  }
  if (std::exchange(dev->deferred, false)) std::erase(state_.deferred, key);
  state_.drivers.at(driver_key).bound.push_back(key);
  trigger_ = true;
  send("bind", *dev);
  step(KernelStep::Kind::kBound, key, driver_key);
  return 0;
}

int DriverCore::driver_probe_device(DeviceKey key, DriverKey driver_key) {
  const int result = really_probe(key, driver_key);
  Device* dev = device(key);
  if ((result == kProbeDefer || result == -kProbeDefer) && dev != nullptr && !dev->deferred) {
    dev->deferred = true;
    state_.deferred.push_back(key);
  }
  return result;
}

/// __device_attach: every driver of the bus gets a try, in order of registration. 1: bound.
int DriverCore::device_attach(DeviceKey key) {
  const Device* dev = find(key);
  if (dev == nullptr) return 0;
  if (dev->driver) return 1;
  const std::vector<DriverKey> drivers = bus_of(*dev).drivers;
  for (const DriverKey driver : drivers) {
    dev = find(key);
    if (dev == nullptr) return 0;
    const auto known = state_.drivers.find(driver);
    if (!known->second.registered || !matches(*dev, known->second)) continue;
    step(KernelStep::Kind::kMatched, key, driver);
    const int result = driver_probe_device(key, driver);
    if (result < 0) return result;
    if (result == 0) return 1;
  }
  return 0;
}

void DriverCore::initial_probe(DeviceKey key) {
  const Device* dev = find(key);
  if (dev != nullptr && bus_of(*dev).autoprobe) (void)device_attach(key);
}

/// driver_attach: the driver gets a try at every device of the bus, in order of addition; errors
/// are nobody's business.
void DriverCore::driver_attach(DriverKey driver_key) {
  const std::vector<DeviceKey> devices = state_.buses.at(state_.drivers.at(driver_key).bus).devices;
  for (const DeviceKey key : devices) {
    const Device* dev = find(key);
    const Driver& driver = state_.drivers.at(driver_key);
    if (dev == nullptr || dev->driver || !driver.registered || !matches(*dev, driver)) continue;
    step(KernelStep::Kind::kMatched, key, driver_key);
    (void)driver_probe_device(key, driver_key);
  }
}

void DriverCore::release_driver(DeviceKey key) {
  Device* dev = device(key);
  if (dev == nullptr || !dev->driver) return;
  const DriverKey driver = *dev->driver;
  dev->driver_link = false;
  step(KernelStep::Kind::kLinkOff, key, driver);
  step(KernelStep::Kind::kRemoveEnds, key, driver);
  dev = device(key);
  if (std::exchange(dev->counted, false)) --state_.groups[*dev->group].in_use;
  dev->driver.reset();
  drop(state_.drivers.at(driver).bound, key);
  send("unbind", *dev);
  step(KernelStep::Kind::kUnbound, key, driver);
}

/// deferred_probe_work_func: everything on the list goes once through the normal path, with the
/// override and the drivers of now. While autoprobe is off it is taken from the list all the same,
/// and lost.
void DriverCore::retry_deferred() {
  if (std::exchange(retrying_, true)) return;
  while (std::exchange(trigger_, false)) {
    for (const DeviceKey key : std::exchange(state_.deferred, {})) {
      Device* dev = device(key);
      if (dev == nullptr || !dev->deferred) continue;
      dev->deferred = false;
      step(KernelStep::Kind::kRetry, key);
      initial_probe(key);
    }
  }
  retrying_ = false;
}

// ---- files of a bus and its drivers (bus.c)

Reply<void> DriverCore::bind(const std::string& bus, const std::string& driver,
                             std::string_view text) {
  const DeviceKey key = named(bus, text);
  const Device* dev = find(key);
  const auto driver_key = state_.buses.at(bus).driver_names.at(driver);
  if (dev == nullptr || !matches(*dev, state_.drivers.at(driver_key))) return error(ENODEV);
  step(KernelStep::Kind::kMatched, key, driver_key);
  // device_driver_attach: straight to the probe, so a deferral is not queued.
  const int result = std::abs(really_probe(key, driver_key));
  retry_deferred();
  if (result == kProbeDefer) return error(EAGAIN);
  return result == 0 ? Reply<void>() : error(result);
}

Reply<void> DriverCore::unbind(const std::string& bus, const std::string& driver,
                               std::string_view text) {
  const DeviceKey key = named(bus, text);
  const Device* dev = find(key);
  const auto driver_key = state_.buses.at(bus).driver_names.at(driver);
  if (dev == nullptr || dev->driver != driver_key) return error(ENODEV);
  release_driver(key);
  return {};
}

Reply<void> DriverCore::drivers_probe(const std::string& bus, std::string_view text) {
  const DeviceKey key = named(bus, text);
  if (find(key) == nullptr) return error(ENODEV);
  const int result = device_attach(key);
  retry_deferred();
  return result < 0 ? error(EINVAL) : Reply<void>();
}

Reply<void> DriverCore::drivers_autoprobe(const std::string& bus, std::string_view text) {
  state_.buses.at(bus).autoprobe = !text.starts_with('0');
  return {};
}

// ---- files of a device

Reply<void> DriverCore::driver_override(DeviceKey key, std::string_view text) {
  constexpr std::size_t kTooLong = 4095;
  if (text.size() >= kTooLong) return error(EINVAL);
  text = text.substr(0, text.find('\0'));
  text = text.substr(0, text.find('\n'));
  Device& dev = *device(key);
  dev.driver_override = text.empty() ? std::nullopt : std::optional(std::string(text));
  return {};
}

Reply<void> DriverCore::sriov_drivers_autoprobe(DeviceKey key, std::string_view text) {
  static constexpr std::string_view kOn = "1yYtT";
  static constexpr std::string_view kOff = "0nNfF";
  if (text.empty()) return error(EINVAL);
  const bool on = kOn.contains(text[0]) || text.starts_with("on") || text.starts_with("ON");
  const bool off = kOff.contains(text[0]) || text.starts_with("of") || text.starts_with("OF");
  if (!on && !off) return error(EINVAL);
  device(key)->vf_autoprobe = on;
  return {};
}

// ---- the world

bool DriverCore::load_module(const std::string& module) {
  bool known = false;
  std::vector<DriverKey> keys;
  for (const auto& [key, driver] : state_.drivers) {
    if (driver.module == module && !driver.built_in) keys.push_back(key);
  }
  for (const DriverKey key : keys) {
    known = true;
    if (!state_.drivers.at(key).registered) register_driver(key);
  }
  retry_deferred();
  return known;
}

bool DriverCore::unload_module(const std::string& module) {
  std::vector<DriverKey> keys;
  for (const auto& [key, driver] : state_.drivers) {
    if (driver.module == module && !driver.built_in && driver.registered) keys.push_back(key);
  }
  std::ranges::reverse(keys);
  for (const DriverKey key : keys) unregister_driver(key);
  return !keys.empty();
}

/// bus_add_driver: listed last, then offered every device while autoprobe is on.
void DriverCore::register_driver(DriverKey key) {
  Driver& driver = state_.drivers.at(key);
  Bus& bus = state_.buses.at(driver.bus);
  driver.registered = true;
  bus.drivers.push_back(key);
  bus.driver_names.emplace(driver.name, key);
  if (bus.autoprobe) driver_attach(key);
}

/// bus_remove_driver: its devices are left to nobody, last bound first; its dynamic ids die with
/// it.
void DriverCore::unregister_driver(DriverKey key) {
  Driver& driver = state_.drivers.at(key);
  Bus& bus = state_.buses.at(driver.bus);
  drop(bus.drivers, key);
  bus.driver_names.erase(driver.name);
  driver.registered = false;
  while (!state_.drivers.at(key).bound.empty()) release_driver(state_.drivers.at(key).bound.back());
  state_.drivers.at(key).dynamic_ids.clear();
}

bool DriverCore::set_probe(const std::string& driver, int result) {
  bool found = false;
  for (auto& [key, known] : state_.drivers) {
    if (known.name != driver) continue;
    known.probe.result = result;
    found = true;
  }
  return found;
}

bool DriverCore::hold_group(unsigned group, bool held) {
  const auto found = state_.groups.find(group);
  if (found == state_.groups.end() || (held && found->second.in_use > 0)) return false;
  found->second.held = held;
  return true;
}

void DriverCore::boot(const std::vector<DeviceKey>& devices) {
  for (const DeviceKey key : devices) (void)device_attach(key);
  retry_deferred();
}

}  // namespace anybind::drivercore
