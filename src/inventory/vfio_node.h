#pragma once

#include <string>
#include <vector>

#include "base/ids.h"
#include "host/proc.h"
#include "host/sysfs.h"

namespace anybind {

/// A file by which user space opens a device on a VFIO driver.
struct VfioNode {
  std::string path;  ///< below /dev: "vfio/13", "vfio/noiommu-0", "vfio/devices/vfio0"
  NodeNumber number;
  friend bool operator==(const VfioNode&, const VfioNode&) = default;
};

/// The file of the device's IOMMU group, and its own where the kernel has such (Linux 6.6 with
/// CONFIG_VFIO_DEVICE_CDEV). Empty when no member of the group is on a VFIO driver. `real` is the
/// real path of the device.
[[nodiscard]] std::vector<VfioNode> vfio_nodes(Sysfs& root, const std::string& real);

}  // namespace anybind
