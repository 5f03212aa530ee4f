#include "drivercore/core/driver_lookup.h"

#include <limits>
#include <string_view>

#include "base/check.h"
#include "drivercore/core/bus_type.h"

namespace anybind::drivercore {

void DriverLookup::add(OfBus& lookup, const Driver& driver, DriverKey key) {
  const auto [at, is_new] = lookup.places.try_emplace(key, lookup.last_place + 1);
  if (is_new) ++lookup.last_place;
  for (const std::uint64_t mark : bus_type(driver.bus).driver_marks(driver)) {
    lookup.by_mark[mark].emplace(at->second, key);
  }
}

bool DriverLookup::serves(const State& state, const Bus& bus) {
  if (off_ || bus_type(bus.name).driver_marks == nullptr) return false;
  if (buses_.contains(bus.name)) return true;
  if (bus.drivers.size() < kWorthIt) return false;
  OfBus& lookup = buses_[bus.name];
  for (const DriverKey key : bus.drivers) add(lookup, state.drivers.at(key), key);
  return true;
}

DriverKey DriverLookup::next(const Device& device, DriverKey last) const {
  const auto of_bus = buses_.find(device.bus);
  CHECK(of_bus != buses_.end(), "serves() said that the bus has a look-up");
  const OfBus& lookup = of_bus->second;
  std::uint32_t behind = 0;
  if (last != 0) {
    const auto place = lookup.places.find(last);
    if (place == lookup.places.end()) return 0;
    behind = place->second;
  }
  std::pair<std::uint32_t, DriverKey> first(std::numeric_limits<std::uint32_t>::max(), 0);
  for (const std::uint64_t mark : bus_type(device.bus).device_marks(device)) {
    const auto found = lookup.by_mark.find(mark);
    if (found == lookup.by_mark.end()) continue;
    const auto at = found->second.lower_bound({behind + 1, 0});
    if (at != found->second.end()) first = std::min(first, *at);
  }
  return first.second;
}

void DriverLookup::add(const State& state, DriverKey key) {
  const Driver& driver = state.drivers.at(key);
  const auto found = buses_.find(driver.bus);
  if (found != buses_.end()) add(found->second, driver, key);
}

void DriverLookup::forget_marks(const State& state, DriverKey key) {
  const Driver& driver = state.drivers.at(key);
  const auto found = buses_.find(driver.bus);
  if (found == buses_.end()) return;
  OfBus& lookup = found->second;
  const auto place = lookup.places.find(key);
  if (place == lookup.places.end()) return;
  for (const std::uint64_t mark : bus_type(driver.bus).driver_marks(driver)) {
    const auto drivers = lookup.by_mark.find(mark);
    if (drivers == lookup.by_mark.end()) continue;
    drivers->second.erase({place->second, key});
    if (drivers->second.empty()) lookup.by_mark.erase(drivers);
  }
}

void DriverLookup::remove(const State& state, DriverKey key) {
  forget_marks(state, key);
  const auto found = buses_.find(state.drivers.at(key).bus);
  if (found != buses_.end()) found->second.places.erase(key);
}

}  // namespace anybind::drivercore
