#pragma once

#include <optional>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/sysfs.h"

namespace anybind {

/// How many virtual functions the device, held open in `dir`, has; nullopt: it can have none.
[[nodiscard]] Result<std::optional<unsigned>> read_functions(Sysfs& dir, const DeviceId& device);

/// What a device is of SR-IOV, as far as it tells.
struct FunctionRole {
  bool is_virtual = false;
  unsigned enabled = 0;  ///< virtual functions that it has
  unsigned total = 0;    ///< and can have; 0: it can have none
};
[[nodiscard]] FunctionRole read_function_role(Sysfs& root, const DeviceId& device);

/// The virtual functions of `pf`, in their order. kFailed when not all `count` are there.
[[nodiscard]] Result<std::vector<DeviceId>> virtual_functions(Sysfs& root, const DeviceId& pf,
                                                              unsigned count);

}  // namespace anybind
