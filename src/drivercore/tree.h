#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "drivercore/attributes.h"
#include "drivercore/driver_core.h"

namespace anybind::drivercore {

/// A directory of the modelled tree, by what it shows and not by its path.
struct Place {
  enum class Kind {
    kRoot,
    kBuses,             ///< bus/
    kBus,               ///< bus/NAME
    kBusDevices,        ///< bus/NAME/devices
    kBusDrivers,        ///< bus/NAME/drivers
    kDriver,            ///< bus/NAME/drivers/DRIVER
    kDevices,           ///< devices/
    kDeviceRoot,        ///< devices/NAME: "pci0000:00", "platform"
    kDevice,            ///< .../DEVICE
    kPower,             ///< .../DEVICE/power
    kMade,              ///< .../DEVICE/NAME: what its driver made, "net" or "net/eth0"
    kVirtual,           ///< devices/virtual
    kVirtualClass,      ///< devices/virtual/NAME
    kVirtualOne,        ///< devices/virtual/NAME, the name being CLASS/NAME
    kClasses,           ///< class/
    kClass,             ///< class/NAME
    kKernel,            ///< kernel/
    kGroups,            ///< kernel/iommu_groups
    kGroup,             ///< kernel/iommu_groups/NUMBER
    kGroupDevices,      ///< kernel/iommu_groups/NUMBER/devices
    kModules,           ///< module/
    kModule,            ///< module/NAME
    kModuleDrivers,     ///< module/NAME/drivers
    kModuleHolders,     ///< module/NAME/holders
    kModuleParameters,  ///< module/NAME/parameters
    kDebug              ///< kernel/debug
  };
  Kind kind = Kind::kRoot;
  std::string name{};              ///< of the bus, root, class or module; the path below a device
  std::uint32_t key = 0;           ///< of the device or driver; the number of the group
  std::uint32_t registration = 0;  ///< of the driver
};

/// What a name in a directory stands for.
struct Entry {
  enum class Kind { kDirectory, kAttribute, kText, kLink };
  Kind kind = Kind::kDirectory;
  Place place{};                         ///< of a directory
  Owner owner{};                         ///< of an attribute
  const Attribute* attribute = nullptr;  ///< of an attribute
  std::string text{};  ///< of a link: where it leads, from the root; else the text that is read
};

/// The tree that Linux shows, computed from the State at each look: there is no second copy of the
/// truth. Looking a name up does not list the directory.
class Tree {
 public:
  explicit Tree(const DriverCore& core) : core_(core) {}

  [[nodiscard]] std::optional<Entry> find(const Place& at, const std::string& name) const;
  /// Sorted.
  [[nodiscard]] std::vector<std::string> list(const Place& at) const;
  /// Whether a directory that was found before is still there.
  [[nodiscard]] bool exists(const Place& at) const;

 private:
  const DriverCore& core_;
};

/// The text of a link in the directory with these names from the root on, to `target`, which is
/// from the root too: "../../../bus/pci/drivers/x". Up to the nearest directory that `target` is
/// in, also when the link is in `target` (fs/kernfs/symlink.c:kernfs_get_target_path).
[[nodiscard]] std::string relative_link(std::span<const std::string> directory,
                                        std::string_view target);

}  // namespace anybind::drivercore
