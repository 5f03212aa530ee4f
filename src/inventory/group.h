#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/sysfs.h"

namespace anybind {

/// One member of an IOMMU group.
struct GroupMember {
  DeviceId id;
  std::optional<DriverName> driver;
  bool is_bridge = false;

  /// Its driver keeps the group from user space. Drivers that manage DMA ownership themselves
  /// (vfio-*, pci-stub, pcieport) do not, nor does a device without a driver, nor a bridge
  /// (drivers/iommu/iommu.c:iommu_device_use_default_domain; before 5.19 vfio_dev_viable).
  [[nodiscard]] bool blocks_user_space() const;
};

/// An IOMMU group as it was observed.
struct GroupView {
  unsigned number = 0;
  std::vector<GroupMember> members;  ///< sorted by name
};

/// Reads the members of a group, each with its driver and class. kNotFound when there is no such
/// group; members that vanish meanwhile are left out.
[[nodiscard]] Result<GroupView> read_group_view(Sysfs& root, unsigned group);

}  // namespace anybind
