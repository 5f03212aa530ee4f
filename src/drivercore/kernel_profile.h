#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace anybind::drivercore {

/// Where kernels differ in a way that user space can see: one named set of switches per kernel. The
/// defaults are those of Linux 6.12.117.
struct KernelProfile {
  std::string name = "linux-6.12";
  /// A PCI device that is added is probed even while drivers_autoprobe is 0
  /// (drivers/pci/bus.c:pci_bus_add_device; so on every kernel from 3.10 to at least 6.18).
  bool pci_add_ignores_autoprobe = true;
  /// Devices have driver_override (3.16).
  bool has_driver_override = true;
  /// Reading and writing driver_override waits while a probe or an unbind runs (6.1; 6.12 before
  /// .91 for PCI; kernel-facts: E5b).
  bool override_takes_device_lock = false;
  /// Reading a device's uevent waits likewise (6.1).
  bool uevent_takes_device_lock = false;
  /// `bind` says EBUSY for a bound device and passes the errno of the probe on (5.14); before, all
  /// of these were ENODEV.
  bool bind_reports_probe_errno = true;
  /// A host driver is refused in a group that user space owns (5.19).
  bool dma_ownership = true;
  /// bind and unbind events are sent (4.14).
  bool bind_events = true;

  friend bool operator==(const KernelProfile&, const KernelProfile&) = default;
};

/// "linux-6.12", "linux-6.1". kUsage with the names there are.
[[nodiscard]] Result<KernelProfile> find_profile(std::string_view name);
[[nodiscard]] std::span<const KernelProfile> profiles();

}  // namespace anybind::drivercore
