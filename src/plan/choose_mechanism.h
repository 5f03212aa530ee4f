#pragma once

#include <optional>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/sysfs.h"
#include "inventory/device.h"
#include "plan/mechanism.h"
#include "plan/own_ids.h"

namespace anybind {

/// The mechanisms that the tree has the files for, to give `device`, held open in `dir`, to
/// `driver`. Only looks.
[[nodiscard]] std::vector<Mechanism> offered_mechanisms(Sysfs& root, const DeviceId& device,
                                                        Sysfs& dir, const DriverName& driver);

/// `forced`, or the safest that is offered: what the device says itself; then bind, where the
/// driver matches by itself; then what takes fewest other devices along. kRefused, with the reason
/// and what can be typed instead: `forced` is not offered, or nothing is that could work.
[[nodiscard]] Result<Mechanism> choose_mechanism(Sysfs& root, const DeviceId& device, Sysfs& dir,
                                                 const DriverName& driver, ModuleLoader* modules,
                                                 std::optional<Mechanism> forced = {});

/// To take its driver from a device, or to give it back to one that had it: never by an id. The
/// first is of a device that has an override.
[[nodiscard]] Mechanism plain_mechanism(const Binding& binding);
[[nodiscard]] Mechanism plain_mechanism(const Binding& binding, Sysfs& dir);

}  // namespace anybind
