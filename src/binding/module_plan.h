#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "binding/plan.h"
#include "binding/transaction.h"
#include "host/modules.h"
#include "host/sysfs.h"

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

/// Loads the modules of `plan` whose drivers are not there by now; `loaded` gets their names. Each
/// must then have brought its driver (kNotFound otherwise).
[[nodiscard]] Result<> load_modules(Sysfs& root, const Plan& plan, Listener& listener,
                                    const RunOptions& options, std::vector<std::string>& loaded);

}  // namespace anybind
