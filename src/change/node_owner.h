#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/accounts.h"
#include "host/device_node.h"
#include "host/host.h"

namespace anybind {

/// A device node that was given away, and whose it was.
struct GivenNode {
  std::string path;
  NodeNumber number;
  NodeOwner before;
};

/// Gives a user the files by which user space opens these devices, which are on a VFIO driver by
/// now: those of their IOMMU groups, and their own where the kernel has such. Waits up to two
/// seconds for a node that is still to be made. The kernel takes a node away with the last device
/// of its group that leaves its VFIO driver, and the owner with it. kFailed: a device has no such
/// file, or something else stands there; otherwise as the kernel says. Those before it are given
/// back then.
[[nodiscard]] Result<std::vector<GivenNode>> give_vfio_nodes(const Host& host,
                                                             const std::vector<DeviceId>& devices,
                                                             const Owner& owner);

/// Gives nodes back to whom they were taken from, the last first. Those that are gone, with the
/// devices, need nothing. Of the others that cannot be given back the paths, with the reason.
[[nodiscard]] std::vector<std::string> give_back(const std::vector<GivenNode>& nodes);

}  // namespace anybind
