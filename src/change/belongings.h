#pragma once

#include <chrono>
#include <optional>

#include "base/error.h"
#include "change/listener.h"
#include "change/patient_writer.h"
#include "host/sysfs.h"
#include "inventory/device.h"
#include "inventory/virtual_functions.h"
#include "plan/origin.h"

namespace anybind {

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
/// names, for which it waits two seconds where there is udev, which may rename them; else the only
/// one. What does not come of that is a warning.
void set_up_again(Sysfs& root, const DeviceId& device, const Origin& origin, Listener& listener,
                  const PatientWriter& writer);

}  // namespace anybind
