#pragma once

#include <string>

#include "drivercore/core/driver_core.h"

namespace anybind::drivercore {

/// The 256 bytes of a function's configuration space: the part of a type 0 or type 1 header that
/// says who it is, and for a bridge which buses are behind it. The rest is zero.
[[nodiscard]] std::string pci_config(const DriverCore& core, DeviceKey device);

}  // namespace anybind::drivercore
