#pragma once

#include <optional>
#include <string>

#include "drivercore/core/driver_core.h"

namespace anybind::drivercore {

/// The 256 bytes of a function's configuration space: the part of a type 0 or type 1 header that
/// says who it is, and for a bridge which buses are behind it. The rest is zero.
[[nodiscard]] std::string pci_config(const DriverCore& core, DeviceKey device);

/// The bus behind a bridge, "0000:03", by what is there or would be plugged in. nullopt: nothing
/// is, or it is no bridge.
[[nodiscard]] std::optional<std::string> bus_behind(const DriverCore& core, DeviceKey bridge);

struct BusNumbers {
  unsigned secondary = 0;
  unsigned subordinate = 0;  ///< the last one behind it
};
[[nodiscard]] BusNumbers bus_numbers(const DriverCore& core, DeviceKey bridge);

}  // namespace anybind::drivercore
