// Drivers and modules that come and go, after drivers/base/{bus,driver,module}.c of Linux 6.12.
#include <algorithm>
#include <ranges>
#include <utility>

#include "drivercore/operation.h"

namespace anybind::drivercore {
namespace {

Uevent driver_event(const std::string& action, const Driver& driver) {
  return make_uevent(action, "/bus/" + driver.bus + "/drivers/" + driver.name, "drivers");
}

Uevent module_event(const std::string& action, const std::string& module) {
  return make_uevent(action, "/module/" + Index::module_name(module), "module");
}

}  // namespace

/// Those that can be loaded, in the order in which the module registers them.
std::vector<DriverKey> DriverCore::drivers_of(const std::string& module) const {
  const auto found = index_.modules().find(Index::module_name(module));
  if (found == index_.modules().end()) return {};
  std::vector<DriverKey> out = found->second;
  std::erase_if(out, [&](DriverKey key) { return state_.drivers.at(key).built_in; });
  return out;
}

bool DriverCore::load_module(const std::string& module) {
  Operation operation(*this);
  const auto keys = drivers_of(module);
  bool anything = false;
  for (const DriverKey key : keys) {
    if (driver(key) != nullptr) continue;
    if (!register_driver(key)) return operation.done(false);
    anything = true;
  }
  if (anything) send(module_event("add", module));
  return operation.done(!keys.empty());
}

/// The last to register goes first.
bool DriverCore::unload_module(const std::string& module) {
  Operation operation(*this);
  bool anything = false;
  for (const DriverKey key : drivers_of(module) | std::views::reverse) {
    if (driver(key) == nullptr) continue;
    if (!unregister_driver(key)) return operation.done(false);
    anything = true;
  }
  if (anything) send(module_event("remove", module));
  return operation.done(anything);
}

/// bus_add_driver: listed last, then offered every device while autoprobe is on; its files and its
/// event come after that.
bool DriverCore::register_driver(DriverKey key) {
  Driver& drv = state_.drivers.at(key);
  Bus& bus = state_.buses.at(drv.bus);
  drv.registered = true;
  drv.autoprobe = !drv.sysfs_bind_only;
  drv.files = false;
  drv.registration = state_.next_key++;
  bus.drivers.push_back(key);
  bus.driver_names.emplace(drv.name, key);
  const DriverUse use(*this, key);
  step(KernelStep::Kind::kDriverListed, 0, key);
  const bool attached = !bus.autoprobe || driver_attach(key).has_value();
  drv.files = true;
  send(driver_event("add", drv));
  step(KernelStep::Kind::kDriverReady, 0, key);
  return attached;
}

bool DriverCore::wait_for_users(DriverKey key) {
  const auto in_use = [&] {
    const auto waits = [&](const AsyncProbe& probe) { return probe.driver == key; };
    return state_.drivers.at(key).users > 0 || std::ranges::any_of(state_.async, waits);
  };
  while (in_use()) {
    if (!wait({.by = Blocked::By::kDriverUse, .driver = key})) return false;
  }
  return true;
}

/// bus_remove_driver: its files go, and with them whoever writes to them; then its place in the
/// list; its devices are left to nobody, last bound first; its dynamic ids die with it.
bool DriverCore::unregister_driver(DriverKey key) {
  Driver& drv = state_.drivers.at(key);
  Bus& bus = state_.buses.at(drv.bus);
  drv.files = false;
  if (!wait_for_users(key)) {
    drv.files = true;
    return false;
  }
  std::erase(bus.drivers, key);
  step(KernelStep::Kind::kDriverUnlisted, 0, key);
  while (!drv.bound.empty()) {
    if (!release_driver(drv.bound.back(), key)) return false;
  }
  bus.driver_names.erase(drv.name);
  drv.dynamic_ids.clear();
  drv.dynamic_names.clear();
  drv.registered = false;
  drv.registration = 0;
  drv.files = true;
  send(driver_event("remove", drv));
  step(KernelStep::Kind::kDriverGone, 0, key);
  return true;
}

}  // namespace anybind::drivercore
