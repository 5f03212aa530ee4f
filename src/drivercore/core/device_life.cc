// Devices that come and go, after drivers/base/core.c and
// drivers/pci/{probe,bus,remove,pci-sysfs}.c of Linux 6.12.
//
// A PCI device is added in two parts. A scan finds functions and adds each: it can be seen, its
// event is out, but nothing matches it. When the scan is through, each is set free to match and
// probed, whatever drivers_autoprobe says (kernel-facts 1.3). Removing has two parts as well: first
// all drivers are released, then all devices deleted. Both happen under pci_rescan_remove_lock.
#include <algorithm>
#include <cerrno>
#include <map>
#include <ranges>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/ids.h"
#include "base/try.h"
#include "drivercore/core/bus_type.h"
#include "drivercore/core/kernel_text.h"
#include "drivercore/core/operation.h"

namespace anybind::drivercore {
namespace {

constexpr int kMaxDepth = 64;  ///< of bridges behind bridges

/// What is left of a device that was deleted: the card.
void forget_life(Device& device) {
  device.gone = true;
  device.driver_override.reset();
  device.probe_id.clear();
  device.kept_awake.reset();
  device.async_for.reset();
  device.ready_to_probe = device.match_driver = device.locked = false;
  device.vf_autoprobe = true;
  device.vf_linked = false;
  device.num_vfs = 0;
  device.reset_off = false;
}

/// Whether `wanted` names this card: by its name, its slot ("0000:03:00"), or as BUS/NAME.
bool is_named(const Device& card, const std::string& wanted) {
  if (card.bus == "pci" && (card.name == wanted || card.name.starts_with(wanted + ".")))
    return true;
  return card.bus + "/" + card.name == wanted;
}

}  // namespace

// ---- adding

bool DriverCore::is_alone(const Device& device) const {
  const DeviceKey bridge = Index::parent_of(state_, device);
  return bridge != 0 && index_.children(bridge).size() == 1;
}

void DriverCore::device_add(DeviceKey key) {
  Device& dev = the_device(key);
  Bus& bus = state_.buses.at(dev.bus);
  CHECK(bus.devices.empty() || bus.devices.back() < key,
        "a bus lists its devices in the order of addition, once each");
  bus.devices.push_back(key);
  bus.device_names.emplace(dev.name, key);
  if (dev.group) state_.groups.try_emplace(*dev.group);
  index_.add(state_, key);
  if (dev.bus_reset) dev.can_reset = is_alone(dev);  // drivers/pci/pci.c:pci_init_reset_methods
  step(KernelStep::Kind::kAdded, key);
  send("add", the_device(key));
  step(KernelStep::Kind::kAddEvent, key);
  the_device(key).ready_to_probe = true;
  if (bus_type(bus.name).two_part_add) return;
  the_device(key).match_driver = true;
  step(KernelStep::Kind::kReady, key);
  initial_probe(key);
}

void DriverCore::pci_bus_add_device(DeviceKey key) {
  Device* dev = device(key);
  if (dev == nullptr) return;
  dev->match_driver = true;
  step(KernelStep::Kind::kReady, key);
  if (state_.profile.has(Change::kPciAddHonoursAutoprobe)) return initial_probe(key);
  const bool sync_first = state_.profile.has(Change::kAddAsksSyncDriversFirst);
  [[maybe_unused]] const auto attached =
      device_attach(key, sync_first ? Pass::kSyncOnly : Pass::kAll);
}

/// The same card as a new device: another instance, with nothing of what the old one was told. What
/// belongs below it is plugged in with it.
DeviceKey DriverCore::renew(DeviceKey card) {
  auto node = state_.devices.extract(card);
  Device dev = std::move(node.mapped());
  const bool plugged_in = !dev.present;
  dev.dead = dev.gone = false;
  dev.present = true;
  const DeviceKey key = state_.next_key++;
  state_.devices.emplace(key, std::move(dev));
  if (plugged_in) plug_in_below(state_.devices.at(key));
  return key;
}

/// Takes out of the drawer those of the cards that can be added now: their slot is free, what is
/// above them is there or comes first, and so is whoever makes them.
std::vector<DeviceKey> DriverCore::bring_in(const std::vector<DeviceKey>& cards) {
  std::vector<DeviceKey> out;
  std::set<std::string> coming;
  for (const DeviceKey card : cards) {
    const Device& dev = state_.devices.at(card);
    const bool follows =
        coming.contains(dev.parent) && bus_type(dev.bus).maker(dev, dev.parent).empty();
    if (!follows && !can_be_there(dev)) continue;
    if (key_of(dev.bus, dev.name) != 0 || !coming.insert(dev.name).second) continue;
    out.push_back(card);
  }
  for (const DeviceKey card : out) index_.take_out(state_.devices.at(card), card);
  const std::set<DeviceKey> taken(out.begin(), out.end());
  std::erase_if(state_.drawer, [&](DeviceKey card) { return taken.contains(card); });
  return out;
}

/// In the order of the addresses, so that a bridge comes before what is behind it.
void DriverCore::add_all(const std::vector<DeviceKey>& cards) {
  set_free(start_to_add(cards));
}

/// The first of the two parts.
std::vector<DeviceKey> DriverCore::start_to_add(const std::vector<DeviceKey>& cards) {
  std::vector<DeviceKey> added = bring_in(cards);
  for (DeviceKey& key : added) {
    key = renew(key);
    device_add(key);
  }
  return added;
}

/// The second.
void DriverCore::set_free(const std::vector<DeviceKey>& added) {
  for (const DeviceKey key : added) {
    if (bus_type(state_.devices.at(key).bus).two_part_add) pci_bus_add_device(key);
  }
}

/// In their slots, below the bridge of this name, or anywhere for "". Virtual functions answer no
/// scan.
std::vector<DriverCore::Found> DriverCore::found_by_scan(const std::string& below) const {
  std::map<std::string, DeviceKey> cards;
  for (const DeviceKey key : state_.drawer) {
    const Device& card = state_.devices.at(key);
    if (card.present && card.bus == "pci" && card.physfn.empty()) cards.emplace(card.name, key);
  }
  const auto parent_of = [&](const std::string& name) -> std::string {
    if (const Device* dev = find("pci", name)) return dev->parent;
    const auto in_drawer = cards.find(name);
    return in_drawer == cards.end() ? "" : state_.devices.at(in_drawer->second).parent;
  };
  std::vector<Found> out;
  for (const auto& [name, key] : cards) {
    std::string first = name;
    std::string above = state_.devices.at(key).parent;
    for (int depth = 0; !above.empty() && above != below && depth < kMaxDepth; ++depth) {
      first = std::exchange(above, parent_of(above));
    }
    if (above == below || below.empty()) out.push_back({.card = key, .first = std::move(first)});
  }
  return out;
}

Reply<void> DriverCore::rescan(std::string_view text, DeviceKey beside) {
  const Device* dev = find(beside);
  return scan(text, dev == nullptr ? "" : dev->parent);
}

Reply<void> DriverCore::rescan_behind(std::string_view text, DeviceKey bridge) {
  const Device* dev = find(bridge);
  return scan(text, dev == nullptr ? "" : dev->name);
}

Reply<void> DriverCore::scan(std::string_view text, const std::string& below) {
  Operation operation(*this);
  const auto number = TRY(kstrtoul(text));
  if (number == 0) return {};
  {
    const auto lock = TRY(RescanLock::take(*this));
    std::vector<DeviceKey> cards;
    for (const Found& found : found_by_scan(below)) cards.push_back(found.card);
    add_all(cards);
  }
  return operation.done(Reply<void>());
}

/// acpiphp_glue.c:hotplug_event. Told of a slot, the kernel looks into all slots of that bus, and
/// so finds again what somebody has removed there through sysfs. What is new in the slot itself
/// comes first; it is set free with what the first slot brings that is not empty.
void DriverCore::look_into_slots(const std::string& bridge, std::vector<DeviceKey> added) {
  std::map<unsigned, std::vector<DeviceKey>> slots;
  const auto slot_of = [](const std::string& name) {
    const auto address = PciAddress::parse(name);
    return address ? address->slot : 0U;
  };
  for (const auto& [name, key] : index_.children(key_of("pci", bridge))) slots[slot_of(name)];
  for (const Found& found : found_by_scan(bridge))
    slots[slot_of(found.first)].push_back(found.card);
  for (const auto& [slot, cards] : slots) {
    std::ranges::copy(start_to_add(cards), std::back_inserter(added));
    set_free(std::exchange(added, {}));
  }
}

bool DriverCore::hot_add(const std::string& name) {
  Operation operation(*this);
  std::map<std::string, DeviceKey> cards;
  for (const DeviceKey key : state_.drawer) {
    const Device& card = state_.devices.at(key);
    if (is_named(card, name) && card.physfn.empty()) cards.emplace(card.name, key);
  }
  bool added = false;
  {
    const auto lock = RescanLock::take(*this);
    if (!lock) return false;
    const auto keys = cards | std::views::values;
    std::vector<DeviceKey> plugged = start_to_add({keys.begin(), keys.end()});
    added = !plugged.empty();
    const std::string bridge = added ? state_.devices.at(plugged[0]).parent : "";
    if (key_of("pci", bridge) != 0)
      look_into_slots(bridge, std::move(plugged));
    else
      set_free(plugged);
  }
  return operation.done(added);
}

// ---- removing

/// What is behind a device, and itself, which comes last; siblings in the order of addition, which
/// is that of the keys, or the last first.
std::vector<DeviceKey> DriverCore::subtree(DeviceKey key, bool last_first) const {
  std::vector<DeviceKey> out;
  const auto visit = [&](const auto& self, DeviceKey at) -> void {
    const auto keys = index_.children(at) | std::views::values;
    std::vector<DeviceKey> below(keys.begin(), keys.end());
    std::ranges::sort(below);
    if (last_first) std::ranges::reverse(below);
    for (const DeviceKey each : below) self(self, each);
    out.push_back(at);
  };
  visit(visit, key);
  return out;
}

/// pci_stop_and_remove_bus_device; for another bus the same in one part.
Reply<void> DriverCore::stop_and_remove(DeviceKey key) {
  for (const DeviceKey each : subtree(key, true)) {
    const Device* dev = find(each);
    if (dev != nullptr && bus_type(dev->bus).two_part_add) TRY(release_driver(each));
  }
  return remove_with_all_below(key);
}

Reply<void> DriverCore::device_del(DeviceKey key) {
  if (find(key) == nullptr) return {};
  {
    const auto lock = TRY(DeviceLock::take(*this, key));
    if (std::exchange(the_device(key).dead, true)) return {};  // another one is at it
  }
  step(KernelStep::Kind::kDead, key);
  TRY(drop_all_below(key));
  Bus& bus = state_.buses.at(the_device(key).bus);
  const auto at = std::ranges::lower_bound(bus.devices, key);
  if (at != bus.devices.end() && *at == key) bus.devices.erase(at);
  bus.device_names.erase(the_device(key).name);
  step(KernelStep::Kind::kUnlisted, key);
  TRY(release_driver(key));
  undefer(key);
  send("remove", the_device(key));
  step(KernelStep::Kind::kRemoveEvent, key);
  orphan_vfs(key);
  index_.remove(state_, key);
  const auto group = the_device(key).group;
  if (group && index_.members(*group).empty()) state_.groups.at(*group).type = Group::kUsualType;
  forget_life(the_device(key));
  state_.drawer.push_back(key);
  index_.put_away(state_.devices.at(key), key);
  return {};
}

Reply<void> DriverCore::remove(DeviceKey key, std::string_view text) {
  const auto number = TRY(kstrtoul(text));
  if (number == 0) return {};
  const auto lock = TRY(RescanLock::take(*this));
  if (find(key) == nullptr) return {};  // another write was first
  return stop_and_remove(key);
}

/// The devices that are there of this name (is_named()), in the order of addition. Looks nowhere
/// else: there may be a hundred thousand.
std::vector<DeviceKey> DriverCore::named(const std::string& name) const {
  std::vector<DeviceKey> out;
  const auto& pci = state_.buses.at("pci").device_names;
  for (auto at = pci.lower_bound(name); at != pci.end() && at->first.starts_with(name); ++at) {
    if (is_named(state_.devices.at(at->second), name)) out.push_back(at->second);
  }
  const auto slash = name.find('/');
  if (slash != std::string::npos) {
    const DeviceKey key = key_of(name.substr(0, slash), name.substr(slash + 1));
    if (key != 0) out.push_back(key);
  }
  std::ranges::sort(out);
  return out;
}

/// The cards of this name that lie in their slots and are no device now: somebody removed them.
std::vector<DeviceKey> DriverCore::removed_cards(const std::string& name) const {
  std::vector<DeviceKey> out;
  std::ranges::copy_if(state_.drawer, std::back_inserter(out), [&](DeviceKey key) {
    const Device& card = state_.devices.at(key);
    return card.present && card.physfn.empty() && is_named(card, name);
  });
  return out;
}

/// With all that belongs below it, there or not.
void DriverCore::take_out_of_slot(DeviceKey card) {
  state_.devices.at(card).present = false;
  for (const DeviceKey below : index_.away_below(state_.devices.at(card))) take_out_of_slot(below);
}

bool DriverCore::unplug(const std::string& name) {
  const auto lock = RescanLock::take(*this);
  if (!lock) return false;
  std::vector<DeviceKey> keys;
  for (const DeviceKey key : named(name)) {
    keys.push_back(key);
    std::ranges::copy(index_.virtual_functions(key) | std::views::values, std::back_inserter(keys));
  }
  const std::vector<DeviceKey> removed = removed_cards(name);
  for (const DeviceKey key : keys | std::views::reverse) {
    if (find(key) == nullptr) continue;
    if (!stop_and_remove(key)) return false;
    take_out_of_slot(key);
  }
  for (const DeviceKey key : removed) take_out_of_slot(key);
  return !keys.empty() || !removed.empty();
}

}  // namespace anybind::drivercore
