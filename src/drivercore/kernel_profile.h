#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace anybind::drivercore {

/// Where kernels differ in a way that user space can see. One named set of switches per kernel.
struct KernelProfile {
  std::string name;
  /// A PCI device that is added is probed even while drivers_autoprobe is 0
  /// (drivers/pci/bus.c:pci_bus_add_device; so on every kernel from 3.10 to at least 6.18).
  bool pci_add_ignores_autoprobe = true;
  /// Reading and writing driver_override takes the device lock, and so waits while a probe or an
  /// unbind runs (6.1; 6.12 before .91 for PCI).
  bool override_takes_device_lock = false;

  friend bool operator==(const KernelProfile&, const KernelProfile&) = default;
};

/// "linux-6.12", "linux-6.1". kUsage with the names there are.
[[nodiscard]] Result<KernelProfile> find_profile(std::string_view name);
[[nodiscard]] std::span<const KernelProfile> profiles();

}  // namespace anybind::drivercore
