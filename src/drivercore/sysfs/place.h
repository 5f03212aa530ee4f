#pragma once

#include <cstdint>
#include <string>

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
    kIommuDevices,      ///< devices/virtual/iommu/NAME/devices
    kIommuRegisters,    ///< devices/virtual/iommu/NAME/intel-iommu
    kPciBuses,          ///< pci_bus/ of a bridge, or of the root that is the name
    kPciBus,            ///< the one in it
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

}  // namespace anybind::drivercore
