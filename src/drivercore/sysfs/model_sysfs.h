#pragma once

#include <memory>

#include "drivercore/core/driver_core.h"
#include "host/sysfs.h"

namespace anybind::drivercore {

/// The modelled kernel's /sys. Does not own `core`, which must outlive it and all directories
/// opened through it. Not thread-safe. Names in a directory come sorted: their order says nothing,
/// as in Linux.
[[nodiscard]] std::unique_ptr<Sysfs> model_sysfs(DriverCore& core);

}  // namespace anybind::drivercore
