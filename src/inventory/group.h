#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/host.h"
#include "host/sysfs.h"
#include "inventory/device.h"

namespace anybind {

/// One member of an IOMMU group.
struct GroupMember {
  DeviceId id;
  std::optional<DriverName> driver;
  bool is_bridge = false;
  std::optional<PciIds> pci{};
  bool busy = false;  ///< as Device::busy

  /// Its driver keeps the group from user space: each driver counts that does not manage DMA
  /// ownership itself, as vfio-*, pci-stub and pcieport do. A device without a driver never blocks,
  /// but for a busy one: which driver it has is not known.
  /// A bridge does when such a driver has it (shpchp, lpc_ich), but by the older rule not one from
  /// PCI to PCI.
  [[nodiscard]] bool blocks_user_space(GroupRule rule = GroupRule::kDmaOwnership) const;
  /// "e1000e", "no driver", or that it is not known.
  [[nodiscard]] std::string driver_words() const;
};

/// Drivers that never take a use count on their group's default domain (driver_managed_dma in the
/// kernel's source; sysfs does not show it).
[[nodiscard]] bool manages_dma(const DriverName& driver);

/// An IOMMU group as it was observed.
struct GroupView {
  unsigned number = 0;
  std::vector<GroupMember> members;  ///< in address order
};

/// Reads the members of a group, each with its driver and class. kNotFound when there is no such
/// group; members that vanish meanwhile are left out.
[[nodiscard]] Result<GroupView> read_group_view(Sysfs& root, unsigned group);

}  // namespace anybind
