#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "host/sysfs.h"
#include "inventory/makers.h"

namespace anybind {

/// A device of a plan to be, and the driver that it leaves.
struct Going {
  DeviceId device;
  std::optional<DriverName> leaves;  ///< nullopt: it has none, or keeps the one that it has
};

/// How the devices of a plan hang together (inventory/makers.h).
struct Family {
  /// Those that a step of the plan takes away, each with the one whose step that is.
  struct Taken {
    std::size_t by;
    Goes goes;
    friend bool operator==(const Taken&, const Taken&) = default;
  };
  std::map<std::size_t, Taken> taken;
  /// All others: as they came, but those first that may go with one that comes later.
  std::vector<std::size_t> order;
};

/// Reads nothing for less than two devices.
[[nodiscard]] Family family_of(Sysfs& root, const std::vector<Going>& devices);

/// "goes away when 0000:00:14.0 leaves xhci_hcd"
[[nodiscard]] std::string goes_with(const Going& maker, Goes goes);

}  // namespace anybind
