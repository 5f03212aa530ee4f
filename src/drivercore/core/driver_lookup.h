#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "drivercore/core/state.h"

namespace anybind::drivercore {

/// Finds the drivers of a bus that may match a device by what the two have in common
/// (BusType::driver_marks, device_marks), so that a walk over the drivers looks at those only, in
/// the order of registration as ever. It is made of a bus when that has so many drivers that it
/// pays, and kept up to date from then on. No part of the State.
class DriverLookup {
 public:
  /// A walk over fewer drivers costs less than looking up.
  static constexpr std::size_t kWorthIt = 16;

  /// Whether it can be asked about this bus now.
  [[nodiscard]] bool serves(const State& state, const Bus& bus);
  /// The next driver behind `last` (0: the first) that has a mark of the device's; 0 for none.
  [[nodiscard]] DriverKey next(const Device& device, DriverKey last) const;

  /// A driver is listed last, or its ids were added to.
  void add(const State& state, DriverKey key);
  /// Its ids are about to become fewer: what is left is to be added again.
  void forget_marks(const State& state, DriverKey key);
  /// It goes from the list, with the ids that it had.
  void remove(const State& state, DriverKey key);
  /// For comparison: never serves again.
  void switch_off() { off_ = true; }

 private:
  struct OfBus {
    std::map<DriverKey, std::uint32_t> places;  ///< in the list of the bus
    std::map<std::uint64_t, std::set<std::pair<std::uint32_t, DriverKey>>> by_mark;
    std::uint32_t last_place = 0;
  };
  static void add(OfBus& lookup, const Driver& driver, DriverKey key);

  std::map<std::string, OfBus> buses_;
  bool off_ = false;
};

}  // namespace anybind::drivercore
