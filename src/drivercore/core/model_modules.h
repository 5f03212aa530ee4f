#pragma once

#include <memory>

#include "drivercore/core/driver_core.h"
#include "host/modules.h"

namespace anybind::drivercore {

/// The modules of a modelled kernel: those that bring its drivers. Nothing forbids one. Refers to
/// `core`.
[[nodiscard]] std::unique_ptr<ModuleLoader> model_modules(DriverCore& core);

}  // namespace anybind::drivercore
