// Devices that a driver makes below its own, on another bus: usb below a host controller, virtio
// below virtio-pci, scsi below a disk controller. They come at the end of its probe and go in its
// remove(), each away from its own driver first, and what is below them before them.
//
// Who made a device follows from where it stands, and is kept nowhere: the driver of the device
// above, if that is of another bus. What stands below a device of the same bus was made together
// with it (a target below its scsi host, a chip below its i2c adapter), but for what a bus says
// (BusType::maker). A device that is not there lies in the drawer, as any card does, until whoever
// makes it has a driver again.
#include <algorithm>
#include <ranges>
#include <utility>

#include "base/try.h"
#include "drivercore/core/bus_type.h"
#include "drivercore/core/operation.h"

namespace anybind::drivercore {
namespace {

constexpr DeviceKey kAway = 0;

/// "usb2" before "usb10".
bool comes_before(const Device& a, const Device& b) {
  return std::pair(a.name.size(), a.name) < std::pair(b.name.size(), b.name);
}

}  // namespace

/// The device whose driver makes this one, or kAway when that is not there. nullopt: no driver
/// does, or what is above it is not there.
std::optional<DeviceKey> DriverCore::maker_of(const Device& device) const {
  const DeviceKey above = Index::parent_of(state_, device);
  if (above == 0) return std::nullopt;
  const Device& parent = existing(above);
  const BusType& type = bus_type(device.bus);
  if (parent.bus != device.bus)
    return type.by_firmware(device) ? std::nullopt : std::optional(above);
  const std::string name = type.maker(device, parent.name);
  if (name.empty()) return std::nullopt;
  if (const DeviceKey maker = key_of(device.bus, name)) return maker;
  const auto is_it = [&](DeviceKey card) { return state_.devices.at(card).name == name; };
  // A file may leave the interface of a hub out: then it is the hub's own driver.
  return std::ranges::any_of(index_.away_below(parent), is_it) ? kAway : above;
}

/// Whether it has a driver that was written for it.
bool DriverCore::makes_devices(DeviceKey key) const {
  const Device* dev = find(key);
  if (dev == nullptr || !dev->driver) return false;
  return bus_type(dev->bus).made_for(*dev, state_.drivers.at(*dev->driver));
}

bool DriverCore::can_be_there(const Device& card) const {
  if (card.parent.empty()) return true;
  if (Index::parent_of(state_, card) == 0) return false;
  const auto maker = maker_of(card);
  return !maker || makes_devices(*maker);
}

/// What the driver of the device has made, but for what is going already; oldest first.
std::vector<DeviceKey> DriverCore::made_by(DeviceKey key) const {
  std::vector<DeviceKey> out;
  const auto take = [&](const Index::Names& names) {
    for (const DeviceKey each : names | std::views::values) {
      const Device& dev = existing(each);
      if (!dev.dead && maker_of(dev) == key) out.push_back(each);
    }
  };
  take(index_.children(key));
  const Device& dev = existing(key);
  if (bus_type(dev.bus).makes_beside(dev)) take(index_.children(Index::parent_of(state_, dev)));
  std::ranges::sort(out);
  return out;
}

/// Cards right below the device, or where it stands, that `maker` makes; nullopt: no driver.
std::vector<DeviceKey> DriverCore::cards_below(DeviceKey key,
                                               std::optional<DeviceKey> maker) const {
  std::vector<DeviceKey> out;
  std::ranges::copy_if(index_.away_below(existing(key)), std::back_inserter(out),
                       [&](DeviceKey card) {
                         const Device& each = state_.devices.at(card);
                         return each.present && maker_of(each) == maker;
                       });
  return out;
}

std::vector<DeviceKey> DriverCore::cards_made_by(DeviceKey key) const {
  std::vector<DeviceKey> out = cards_below(key, key);
  const Device& dev = existing(key);
  const DeviceKey above = bus_type(dev.bus).makes_beside(dev) ? Index::parent_of(state_, dev) : 0;
  if (above != 0) std::ranges::copy(cards_below(above, key), std::back_inserter(out));
  return out;
}

/// The device was plugged in, and with it all that a driver of it, or of what it makes, will find;
/// a function behind a PCI bridge is a card of its own.
void DriverCore::plug_in_below(const Device& device) {
  for (const DeviceKey card : index_.away_below(device)) {
    Device& below = state_.devices.at(card);
    const bool own_card = below.bus == "pci" && device.bus == "pci" &&
                          bus_type("pci").maker(below, device.name).empty();
    if (own_card) continue;
    below.present = true;
    plug_in_below(below);
  }
}

/// Adds them, and with each what is below it and has no other maker.
void DriverCore::bring(std::vector<DeviceKey> cards) {
  if (cards.empty()) return;
  std::ranges::sort(cards, [&](DeviceKey a, DeviceKey b) {
    const Device& one = state_.devices.at(a);
    const Device& other = state_.devices.at(b);
    return one.name == other.name ? a < b : comes_before(one, other);
  });
  std::vector<std::pair<std::string, std::string>> names;
  names.reserve(cards.size());
  for (const DeviceKey card : cards) {
    names.emplace_back(state_.devices.at(card).bus, state_.devices.at(card).name);
  }
  add_all(cards);
  for (const auto& [bus, name] : names) {
    if (const DeviceKey added = key_of(bus, name)) bring(cards_below(added, std::nullopt));
  }
}

/// Until nothing is left: more may be plugged in while the first are going.
Reply<void> DriverCore::drop_made(DeviceKey key) {
  for (auto made = made_by(key); !made.empty(); made = made_by(key)) {
    for (const DeviceKey each : made) TRY(stop_and_remove(each));
  }
  return {};
}

/// Of a device that is being deleted and is listed still: afterwards nothing names it as what is
/// above.
Reply<void> DriverCore::drop_all_below(DeviceKey key) {
  if (!made_by(key).empty()) TRY(release_driver(key));
  for (;;) {
    const auto keys = index_.children(key) | std::views::values;
    const auto left = std::ranges::find_if(keys, [&](DeviceKey each) { return !find(each)->dead; });
    if (left == keys.end()) return {};
    TRY(remove_with_all_below(*left));
  }
}

/// What was not made by its own driver goes before it.
Reply<void> DriverCore::remove_with_all_below(DeviceKey key) {
  const auto keys = index_.children(key) | std::views::values;
  std::vector<DeviceKey> below(keys.begin(), keys.end());
  std::ranges::sort(below);
  for (const DeviceKey each : below) {
    const Device* dev = find(each);
    if (dev != nullptr && maker_of(*dev) != key) TRY(remove_with_all_below(each));
  }
  return device_del(key);
}

/// A machine file may have a device below one without a driver that would make it, or below one
/// that VFIO has.
void DriverCore::drop_what_nobody_made() {
  std::vector<DeviceKey> lost;
  for (const auto& [key, device] : state_.devices) {
    if (device.gone) continue;
    const auto maker = maker_of(device);
    if (!maker) continue;
    const Device* by = find(*maker);
    const bool made = by != nullptr && by->driver && !state_.drivers.at(*by->driver).needs_group;
    if (!made) lost.push_back(key);
  }
  for (const DeviceKey key : lost) {
    if (find(key) != nullptr) (void)remove_with_all_below(key);
  }
}

}  // namespace anybind::drivercore
