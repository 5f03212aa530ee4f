#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace anybind::drivercore {

/// A way to say which driver shall have a device, beside ids and the bind file: the one that the
/// kernel has today, and those that the thread proposed (docs/mechanisms.md).
enum class Mechanism : std::uint8_t {
  kDriverOverride,   ///< the device names its driver: driver_override
  kPreferredDriver,  ///< the same as first proposed: preferred_driver
  kDriverProbeId,    ///< the device says which id it is matched by: driver_probe_id
  kSysfsBindOnly,    ///< a driver that matches everything, and only its bind file binds
  kVfioBind,         ///< a driver that has a bind file of its own: vfio_bind
  kAutoprobeFlag,    ///< a driver can opt out of being probed unasked: autoprobe
  kPlatformNewId,    ///< platform drivers have new_id and remove_id
};

/// Where kernels differ in a way that user space can see: one named set of switches per kernel. The
/// defaults are those of Linux 6.12.117.
struct KernelProfile {
  std::string name = "linux-6.12";
  /// 1000 * major + minor: says which attributes there are.
  unsigned version = 6012;
  /// None before 3.16.
  std::optional<Mechanism> mechanism = Mechanism::kDriverOverride;
  /// A PCI device that is added is probed even while drivers_autoprobe is 0
  /// (drivers/pci/bus.c:pci_bus_add_device; so on every kernel from 3.10 to at least 6.18).
  bool pci_add_ignores_autoprobe = true;
  /// Reading and writing driver_override waits while a probe or an unbind runs (6.1; 6.12 before
  /// .91 for PCI; kernel-facts: E5b).
  bool override_takes_device_lock = false;
  /// Reading a device's uevent waits likewise (6.1).
  bool uevent_takes_device_lock = false;
  /// `bind` says EBUSY for a bound device and passes the errno of the probe on (5.14). Before, all
  /// of these were ENODEV, and a deferral was queued.
  bool bind_reports_probe_errno = true;
  /// PCI new_id refuses what the driver matches already (3.16).
  bool new_id_refuses_duplicates = true;
  /// A host driver is refused in a group that user space owns (5.19).
  bool dma_ownership = true;
  /// The type of a group with several members can be changed, and while VFIO drivers have them
  /// (6.12); before, only that of a single driverless device.
  bool changes_shared_group_type = true;
  /// A VFIO driver takes vfio-dev/vfioK away before it waits for user space to close the device
  /// (6.12); before, after that.
  bool vfio_dev_goes_first = true;
  /// bind and unbind events are sent (4.14).
  bool bind_events = true;

  [[nodiscard]] bool has(Mechanism wanted) const { return mechanism == wanted; }
  /// A device can name its driver, by either name of that attribute.
  [[nodiscard]] bool device_names_driver() const {
    return has(Mechanism::kDriverOverride) || has(Mechanism::kPreferredDriver);
  }
  friend bool operator==(const KernelProfile&, const KernelProfile&) = default;
};

/// "linux-6.12", "linux-6.1", "linux-3.14", and one for each proposal: "preferred-driver" and so
/// on, which is linux-6.12 with that in the place of driver_override. kUsage with the names there
/// are.
[[nodiscard]] Result<KernelProfile> find_profile(std::string_view name);
[[nodiscard]] std::span<const KernelProfile> profiles();

}  // namespace anybind::drivercore
