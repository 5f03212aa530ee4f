#pragma once

#include <chrono>
#include <optional>

#include "base/error.h"
#include "binding/origins.h"
#include "binding/patient_writer.h"
#include "binding/transaction.h"
#include "host/sysfs.h"
#include "inventory/device.h"

namespace anybind {

/// How many virtual functions the device, held open in `dir`, has; nullopt: it can have none.
[[nodiscard]] Result<std::optional<unsigned>> read_functions(Sysfs& dir, const DeviceId& device);

/// What the device, held open in `dir`, has by the driver of `binding`. kFailed, kNotPermitted: it
/// could not be read.
[[nodiscard]] Result<Belongings> read_belongings(Sysfs& dir, const DeviceId& device,
                                                 const Binding& binding);

/// Is the device all that `origin` says, or gone? False for what cannot be read.
[[nodiscard]] bool is_as_it_was(Sysfs& root, const DeviceId& device, const Origin& origin);

/// Makes its virtual functions again, when their driver has removed them and has it back.
[[nodiscard]] Result<> make_functions_again(Sysfs& root, const DeviceId& device,
                                            const Origin& origin, Listener& listener,
                                            const PatientWriter& writer);

/// Sets its network interfaces up that were, once the driver of `origin` has it: those of the same
/// names, for which it waits as long as the options say, as udev may rename them; else the only
/// one. What does not come of that is a warning.
void set_up_again(Sysfs& root, const DeviceId& device, const Origin& origin, Listener& listener,
                  const PatientWriter& writer);

}  // namespace anybind
