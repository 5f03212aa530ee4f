#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/accounts.h"
#include "host/host.h"

namespace anybind {

/// Gives a user the files by which user space opens these devices, which are on a VFIO driver by
/// now: those of their IOMMU groups, and their own where the kernel has such. Waits up to two
/// seconds for a node that is still to be made. The kernel takes a node away with the last device
/// of its group that leaves its VFIO driver, and the owner with it. Returns the paths. kFailed: a
/// device has no such file, or something else stands there; otherwise as the kernel says. Those
/// before it have been given then.
[[nodiscard]] Result<std::vector<std::string>> give_vfio_nodes(const Host& host,
                                                               const std::vector<DeviceId>& devices,
                                                               const Owner& owner);

}  // namespace anybind
