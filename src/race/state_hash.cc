#include "race/state_hash.h"

#include <cstring>

namespace anybind::race {
namespace {

template <class T>
void add_all(Hash& hash, const T& values) {
  hash.add(values.size());
  for (const auto& value : values) hash.add(value);
}

template <class T>
void add_optional(Hash& hash, const std::optional<T>& value) {
  hash.add(value ? 1 : 0);
  if (value) hash.add(*value);
}

/// Several flags as one number, the first the lowest.
template <class... Flags>
std::uint64_t flags(Flags... each) {
  std::uint64_t out = 1;
  ((out = out << 1U | (each ? 1U : 0U)), ...);
  return out;
}

void add_device(Hash& hash, const drivercore::Device& dev) {
  hash.add(dev.name);
  hash.add(flags(dev.kept_awake.has_value(), dev.kept_awake.value_or(false), dev.present,
                 dev.vf_autoprobe, dev.driver_link, dev.ready_to_probe, dev.match_driver,
                 dev.locked, dev.deferred, dev.dead, dev.vf_linked, dev.gone, dev.counted,
                 dev.children_shown, dev.open, dev.reset_off));
  hash.add((std::uint64_t{dev.vendor} << 48U) | (std::uint64_t{dev.device} << 32U) | dev.num_vfs);
  add_optional(hash, dev.driver_override);
  hash.add(dev.probe_id);
  add_optional(hash, dev.driver);
  add_optional(hash, dev.vfio);
  add_optional(hash, dev.async_for);
  hash.add(static_cast<std::uint64_t>(dev.numa_node));
}

void add_driver(Hash& hash, const drivercore::Driver& driver) {
  hash.add(flags(driver.registered, driver.files, driver.autoprobe, driver.enable_sriov));
  hash.add((std::uint64_t{driver.users} << 32U) | driver.registration);
  hash.add(static_cast<std::uint64_t>(driver.probe.result));
  hash.add(driver.probe.per_device.size());
  for (const auto& [name, result] : driver.probe.per_device) {
    hash.add(name);
    hash.add(static_cast<std::uint64_t>(result));
  }
  add_all(hash, driver.bound);
  add_all(hash, driver.dynamic_names);
  hash.add(driver.dynamic_ids.size());
  for (const auto& id : driver.dynamic_ids) {
    hash.add((std::uint64_t{id.vendor} << 32U) | id.device);
    hash.add((std::uint64_t{id.subvendor} << 32U) | id.subdevice);
    hash.add((std::uint64_t{id.class_code} << 32U) | id.class_mask);
    hash.add(id.data);
  }
}

}  // namespace

void Hash::add(std::string_view text) {
  add(text.size());
  for (; text.size() >= sizeof(std::uint64_t); text.remove_prefix(sizeof(std::uint64_t))) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data(), sizeof word);
    add(word);
  }
  std::uint64_t word = 0;
  std::memcpy(&word, text.data(), text.size());
  add(word);
}

Hash hash_of(const drivercore::State& state) {
  Hash hash;
  for (const auto& [key, device] : state.devices) {
    hash.add(key);
    add_device(hash, device);
  }
  for (const auto& [key, driver] : state.drivers) add_driver(hash, driver);
  for (const auto& [number, group] : state.groups) {
    hash.add((std::uint64_t{number} << 32U) | (group.in_use << 1U) | (group.held ? 1U : 0U));
    hash.add(group.type);
  }
  for (const auto& [name, bus] : state.buses) {
    hash.add(bus.autoprobe ? 1 : 0);
    add_all(hash, bus.devices);
    add_all(hash, bus.drivers);
  }
  for (const auto& [name, module] : state.modules) {
    hash.add(module.loaded ? 1 : 0);
    for (const auto& [parameter, value] : module.parameters) hash.add(value);
  }
  add_all(hash, state.drawer);
  add_all(hash, state.deferred);
  add_all(hash, state.retrying);
  add_all(hash, state.modules_coming);
  add_all(hash, state.modules_going);
  hash.add(state.async.size());
  for (const auto& probe : state.async) {
    hash.add((std::uint64_t{probe.device} << 32U) | probe.driver);
  }
  hash.add((std::uint64_t{state.next_key} << 1U) | (state.rescan_locked ? 1U : 0U));
  return hash;
}

}  // namespace anybind::race
