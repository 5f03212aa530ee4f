#pragma once

#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/sysfs.h"
#include "inventory/device.h"

namespace anybind {

/// The devices `ids`, in that order, as read_device() sees them; those that are gone by then, or
/// whose link leads nowhere, are left out. With more than one thread `root` must allow it.
/// Not a snapshot: each device is read at its own moment. Errors are those of a machine that does
/// not let itself be read (kNotPermitted, kFailed: no more descriptors).
[[nodiscard]] Result<std::vector<Device>> read_inventory(Sysfs& root,
                                                         const std::vector<DeviceId>& ids,
                                                         unsigned threads);

}  // namespace anybind
