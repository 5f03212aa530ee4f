#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "host/modules.h"
#include "host/sysfs.h"
#include "plan/plan.h"

namespace anybind {

/// Adds to `plan`, once, the load of the module of `driver`, which is not on `bus`, with what is to
/// be said about it. kNotFound: no module of that name, or it is loaded and brings no such driver.
/// kRefused: it must not be loaded.
[[nodiscard]] Result<> plan_load(Sysfs& root, ModuleLoader& modules, Plan& plan, const BusName& bus,
                                 const DriverName& driver);

/// Notes of the devices beside those of `plan` that its modules' drivers would take: without a
/// driver, and with an alias of the module or an override that names the driver.
void note_side_effects(Sysfs& root, ModuleLoader& modules, Plan& plan);

/// Notes of the variants of vfio-pci made for devices of `plan` that go to vfio-pci itself.
void note_variants(Sysfs& root, ModuleLoader& modules, Plan& plan);

/// Notes of the modules that match devices of `plan` which end without a driver, and are not
/// loaded.
void note_modules_left(Sysfs& root, ModuleLoader& modules, Plan& plan);

/// A module that is there ("is loaded") does not have the driver that was asked for: with the
/// drivers that it has.
[[nodiscard]] Error brings_another(Sysfs& root, const std::string& module, const BusName& bus,
                                   const DriverName& driver, std::string_view how);

}  // namespace anybind
