#pragma once

#include <string>
#include <vector>

#include "anybind/base/error.h"
#include "anybind/base/ids.h"
#include "anybind/host/sysfs.h"
#include "anybind/inventory/accounts.h"

namespace anybind {

/// Gives a user the files by which user space opens these devices, which are on a VFIO driver by
/// now: those of their IOMMU groups, and their own where the kernel has such. `dev` is where device
/// nodes are. Waits up to two seconds for a node that is still to be made. The kernel takes a node
/// away with the last device of its group that leaves its VFIO driver, and the owner with it.
/// Returns the paths. kFailed: a device has no such file, or something else stands there; otherwise
/// as the kernel says. Those before it have been given then.
[[nodiscard]] Result<std::vector<std::string>> give_vfio_nodes(Sysfs& root, const std::string& dev,
                                                               const std::vector<DeviceId>& devices,
                                                               const Owner& owner);

}  // namespace anybind
