#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "inventory/details.h"
#include "inventory/device.h"
#include "inventory/names.h"
#include "inventory/net_interface.h"
#include "users/guards.h"

namespace anybind::cli {

/// The array of `list --json`, an object a line: docs/list.schema.json. `syspaths` are real paths
/// below `sysfs_root`, one a device; without `in_use` its key is left out. Bytes that are no UTF-8
/// become U+FFFD.
[[nodiscard]] std::string list_json(const std::vector<Device>& devices,
                                    const std::vector<std::string>& syspaths,
                                    const UsersByDevice& users, const InUse* in_use,
                                    PciNames& names, std::string_view sysfs_root);

/// The array of `show --json`: what `list` says of a device, and what only `show` knows.
[[nodiscard]] std::string show_json(const std::vector<Details>& devices, const InUse& in_use,
                                    PciNames& names, std::string_view sysfs_root);

}  // namespace anybind::cli
