#pragma once

#include <optional>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/sysfs.h"

namespace anybind {

/// How many virtual functions the device, held open in `dir`, has; nullopt: it can have none.
[[nodiscard]] Result<std::optional<unsigned>> read_functions(Sysfs& dir, const DeviceId& device);

/// The virtual functions of `pf`, in their order. kFailed when not all `count` are there.
[[nodiscard]] Result<std::vector<DeviceId>> virtual_functions(Sysfs& root, const DeviceId& pf,
                                                              unsigned count);

}  // namespace anybind
