#pragma once

#include <string>
#include <string_view>

#include "drivercore/sysfs/entries.h"

namespace anybind::drivercore {

/// The one IOMMU that a machine with any has.
inline constexpr std::string_view kIommuUnit = "dmar0";
inline constexpr const char* kPciBusClass = "pci_bus";

// Each finds a name in a directory of its kind, or lists one.
// devices/virtual: what hangs on no device.
MaybeEntry find_virtual(const DriverCore& core, const Place& at, const std::string& name);
void list_virtual(const DriverCore& core, const Place& at, Names& out);
MaybeEntry find_in_virtual_class(const DriverCore& core, const Place& at, const std::string& name);
void list_virtual_class(const DriverCore& core, const Place& at, Names& out);
MaybeEntry find_in_virtual_one(const DriverCore& core, const Place& at, const std::string& name);
void list_virtual_one(const DriverCore& core, const Place& at, Names& out);
MaybeEntry find_iommu_device(const DriverCore& core, const Place& at, const std::string& name);
void list_iommu_devices(const DriverCore& core, const Place& at, Names& out);

// class/
MaybeEntry find_class(const DriverCore& core, const Place& at, const std::string& name);
void list_classes(const DriverCore& core, const Place& at, Names& out);
MaybeEntry find_in_class(const DriverCore& core, const Place& at, const std::string& name);
void list_class(const DriverCore& core, const Place& at, Names& out);

// pci_bus/ of a root and of a bridge, and what is in it.
[[nodiscard]] bool is_pci_root(std::string_view root);
[[nodiscard]] bool pci_bus_is_there(const DriverCore& core, const Place& at);
MaybeEntry find_pci_bus_in(const DriverCore& core, const Place& at, const std::string& name);
void list_pci_buses_in(const DriverCore& core, const Place& at, Names& out);
MaybeEntry find_in_pci_bus(const DriverCore& core, const Place& at, const std::string& name);
void list_pci_bus(const DriverCore& core, const Place& at, Names& out);

}  // namespace anybind::drivercore
