// Drivers and modules that come and go, after drivers/base/{bus,driver,module}.c of Linux 6.12.
#include <algorithm>
#include <ranges>
#include <utility>

#include "base/try.h"
#include "drivercore/core/kernel_text.h"
#include "drivercore/core/operation.h"

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

bool DriverCore::is_loaded(const std::string& module) const {
  const std::string name = Index::module_name(module);
  const auto drivers = index_.modules().find(name);
  if (drivers == index_.modules().end()) return false;
  if (drivers->second.empty()) return state_.modules.at(name).loaded;
  return std::ranges::any_of(drivers->second,
                             [&](DriverKey key) { return find_driver(key) != nullptr; });
}

Reply<void> DriverCore::module_parameter(const std::string& module, const std::string& name,
                                         std::string_view text) {
  std::string& value = state_.modules.at(module).parameters.at(name);
  if (value == "Y" || value == "N") {
    value = TRY(kstrtobool(text)) ? "Y" : "N";
  } else {
    value = text.substr(0, text.find('\n'));
  }
  return {};
}

/// One without drivers. False: there is none of this name, or it is not there to be unloaded.
bool DriverCore::set_plain_module(const std::string& name, bool loaded) {
  const auto found = state_.modules.find(name);
  if (found == state_.modules.end() || !index_.modules().at(name).empty()) return false;
  if (std::exchange(found->second.loaded, loaded) == loaded) return loaded;
  Uevent event = module_event(loaded ? "add" : "remove", name);
  loaded ? send(std::move(event)) : send_removed(std::move(event));
  return true;
}

/// Waits until nobody else loads or unloads it. False: it cannot.
bool DriverCore::settle_module(const std::string& name, DriverKey driver_key) {
  while (state_.modules_coming.contains(name) || state_.modules_going.contains(name)) {
    if (!wait({.by = Blocked::By::kModule, .driver = driver_key})) return false;
  }
  return true;
}

/// Registers its drivers. Those that probe asynchronously have their turn between.
bool DriverCore::init_module(const std::vector<DriverKey>& keys) {
  for (const DriverKey key : keys) {
    if (driver(key) != nullptr) continue;
    if (!register_driver(key)) return false;
    let_workers_run();
  }
  return true;
}

/// kernel/module/main.c:do_init_module. Its event comes after all of its drivers; then it waits for
/// asynchronous probes, whosever they are.
bool DriverCore::load_module(const std::string& module) {
  Operation operation(*this);
  const auto keys = drivers_of(module);
  const std::string name = Index::module_name(module);
  if (keys.empty()) return operation.done(set_plain_module(name, true));
  if (!settle_module(name, keys[0])) return operation.done(false);
  const auto registered = [&](DriverKey key) { return driver(key) != nullptr; };
  if (std::ranges::all_of(keys, registered)) return operation.done(true);
  state_.modules_coming.insert(name);
  step(KernelStep::Kind::kModuleComing, 0, keys[0]);
  const bool loaded = init_module(keys);
  state_.modules_coming.erase(name);
  if (!loaded) return operation.done(false);
  send(module_event("add", module));
  step(KernelStep::Kind::kModuleLive, 0, keys[0]);
  while (!state_.async.empty() && !workers_run_ && wait({.by = Blocked::By::kAsync})) {
  }
  return operation.done(true);
}

/// Whether user space has a device of one of these drivers open, and with it the module.
bool DriverCore::is_open(const std::vector<DriverKey>& keys) const {
  const auto open = [&](DeviceKey key) { return state_.devices.at(key).open; };
  return std::ranges::any_of(
      keys, [&](DriverKey key) { return std::ranges::any_of(state_.drivers.at(key).bound, open); });
}

/// kernel/module/main.c:delete_module. The last to register goes first.
bool DriverCore::unload_module(const std::string& module) {
  Operation operation(*this);
  auto keys = drivers_of(module);
  std::erase_if(keys, [&](DriverKey key) { return driver(key) == nullptr; });
  const std::string name = Index::module_name(module);
  const bool moving = state_.modules_coming.contains(name) || state_.modules_going.contains(name);
  if (keys.empty() && set_plain_module(name, false)) return operation.done(true);
  if (keys.empty() || moving || is_open(keys)) return operation.done(false);
  state_.modules_going.insert(name);
  step(KernelStep::Kind::kModuleGoing, 0, keys[0]);
  const auto gone = std::ranges::all_of(keys | std::views::reverse,
                                        [&](DriverKey key) { return unregister_driver(key); });
  state_.modules_going.erase(name);
  if (!gone) return operation.done(false);
  send_removed(module_event("remove", module));
  step(KernelStep::Kind::kModuleGone, 0, keys[0]);
  return operation.done(true);
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
  lookup_.add(state_, key);
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
  lookup_.remove(state_, key);
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
  send_removed(driver_event("remove", drv));
  step(KernelStep::Kind::kDriverGone, 0, key);
  return true;
}

}  // namespace anybind::drivercore
