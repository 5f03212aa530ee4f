#include "drivercore/core/index.h"

#include <algorithm>

#include "drivercore/core/bus_type.h"

namespace anybind::drivercore {
namespace {

template <class Map>
void erase_name(Map& map, const typename Map::key_type& key, const std::string& name) {
  const auto found = map.find(key);
  if (found == map.end()) return;
  found->second.erase(name);
  if (found->second.empty()) map.erase(found);
}

/// What a device calls the one above it, as BUS/NAME.
std::string with_bus(const std::string& bus, const std::string& name) {
  return name.contains('/') ? name : bus + "/" + name;
}

}  // namespace

std::string child_name(const Child& child) {
  return child.name.substr(child.name.rfind('/') + 1);
}

std::string child_path(const Child& child) {
  return child.name.contains('/') ? child.name : child.kind + "/" + child.name;
}

std::string Index::module_name(std::string name) {
  std::ranges::replace(name, '-', '_');
  return name;
}

Index::Index(const State& state) {
  for (const auto& [key, driver] : state.drivers) {
    if (!driver.module.empty()) modules_[module_name(driver.module)].push_back(key);
  }
  for (const auto& [name, module] : state.modules) modules_.try_emplace(name);
  for (const auto& [key, device] : state.devices) {
    for (const Child& child : device.children) kinds_.insert(child.kind);
    if (device.gone) continue;
    add(state, key);
    if (device.children_shown) show(device, key);
  }
  for (const DeviceKey key : state.drawer) put_away(state.devices.at(key), key);
}

DeviceKey Index::named(const State& state, const std::string& bus, const std::string& name) {
  const auto at = state.buses.find(bus);
  if (at == state.buses.end()) return 0;
  const auto found = at->second.device_names.find(name);
  return found == at->second.device_names.end() ? 0 : found->second;
}

DeviceKey Index::parent_of(const State& state, const Device& device) {
  if (device.parent.empty()) return 0;
  if (const DeviceKey same_bus = named(state, device.bus, device.parent)) return same_bus;
  const auto slash = device.parent.find('/');
  if (slash == std::string::npos) return 0;
  return named(state, device.parent.substr(0, slash), device.parent.substr(slash + 1));
}

void Index::add(const State& state, DeviceKey key) {
  const Device& device = state.devices.at(key);
  if (const DeviceKey parent = parent_of(state, device)) {
    children_[parent][device.name] = key;
  } else {
    roots_[bus_type(device.bus).root(device)][device.name] = key;
  }
  if (device.group) members_[*device.group][device.name] = key;
  const DeviceKey pf = device.physfn.empty() ? 0 : named(state, device.bus, device.physfn);
  if (pf != 0) vfs_[pf][device.name] = key;
}

void Index::remove(const State& state, DeviceKey key) {
  const Device& device = state.devices.at(key);
  if (const DeviceKey parent = parent_of(state, device)) {
    erase_name(children_, parent, device.name);
  } else {
    erase_name(roots_, bus_type(device.bus).root(device), device.name);
  }
  if (device.group) erase_name(members_, *device.group, device.name);
  const DeviceKey pf = device.physfn.empty() ? 0 : named(state, device.bus, device.physfn);
  if (pf != 0) erase_name(vfs_, pf, device.name);
}

void Index::put_away(const Device& card, DeviceKey key) {
  if (!card.parent.empty()) away_[with_bus(card.bus, card.parent)].push_back(key);
}

void Index::take_out(const Device& card, DeviceKey key) {
  const auto found = away_.find(with_bus(card.bus, card.parent));
  if (found == away_.end()) return;
  std::erase(found->second, key);
  if (found->second.empty()) away_.erase(found);
}

const std::vector<DeviceKey>& Index::away_below(const Device& device) const {
  static const std::vector<DeviceKey> kNone;
  if (away_.empty()) return kNone;
  const auto found = away_.find(with_bus(device.bus, device.name));
  return found == away_.end() ? kNone : found->second;
}

void Index::show(const Device& device, DeviceKey key) {
  if (!device.vfio) {
    for (const Child& child : device.children) classes_[child.kind][child_name(child)] = key;
    return;
  }
  take_vfio(*device.vfio);
  if (device.group) ++vfio_groups_[*device.group];
  list_vfio(device, key);
}

void Index::hide(const Device& device) {
  if (device.vfio) {
    unlist_vfio(device);
    leave_vfio(device);
    return;
  }
  for (const Child& child : device.children) erase_name(classes_, child.kind, child_name(child));
}

void Index::list_vfio(const Device& device, DeviceKey key) {
  classes_["vfio-dev"]["vfio" + std::to_string(*device.vfio)] = key;
}

void Index::unlist_vfio(const Device& device) {
  erase_name(classes_, "vfio-dev", "vfio" + std::to_string(*device.vfio));
}

void Index::leave_vfio(const Device& device) {
  free_vfio_.insert(*device.vfio);
  const auto users = device.group ? vfio_groups_.find(*device.group) : vfio_groups_.end();
  if (users != vfio_groups_.end() && --users->second == 0) vfio_groups_.erase(users);
}

std::size_t Index::vfio_users(unsigned group) const {
  const auto found = vfio_groups_.find(group);
  return found == vfio_groups_.end() ? 0 : found->second;
}

unsigned Index::free_vfio() const {
  return free_vfio_.empty() ? next_vfio_ : *free_vfio_.begin();
}

void Index::take_vfio(unsigned number) {
  for (; next_vfio_ <= number; ++next_vfio_) free_vfio_.insert(next_vfio_);
  free_vfio_.erase(number);
}

}  // namespace anybind::drivercore
