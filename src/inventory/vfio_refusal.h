#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/advice.h"
#include "base/ids.h"
#include "host/host.h"
#include "host/sysfs.h"

namespace anybind {

/// The names by which a request ignores what stands here: docs/guards.md.
inline constexpr std::string_view kReservedRegion = "reserved-region";
inline constexpr std::string_view kDeniedDevice = "denied-device";
inline constexpr std::string_view kPciHeader = "pci-header";
inline constexpr std::string_view kInterruptRemapping = "interrupt-remapping";
[[nodiscard]] const std::vector<std::string>& vfio_guard_names();

/// Something by which VFIO, or its driver, will refuse a device, whoever has the other members of
/// its IOMMU group (inventory/viability.h tells of those).
struct VfioRefusal {
  std::string guard;   ///< one of vfio_guard_names()
  std::string object;  ///< "IOMMU group 30", or a DeviceId::str()
  std::string what;    ///< in words
  Remark advice;       ///< what can be done about it
  /// The same, or to ignore it.
  [[nodiscard]] Remark way_out() const;
  friend bool operator==(const VfioRefusal&, const VfioRefusal&) = default;
};

/// What VFIO will refuse of `devices` and of `groups`, which are theirs, when `driver` has them; by
/// the order in which they are given, each group once. Of a driver that is no VFIO driver nothing.
/// This is the one place that decides it: what plans, explains and examines quotes it. What cannot
/// be read refuses nothing.
[[nodiscard]] std::vector<VfioRefusal> vfio_refusals(Sysfs& root, const DriverName& driver,
                                                     const std::vector<DeviceId>& devices,
                                                     const std::vector<unsigned>& groups);

/// The text of /proc/interrupts names an interrupt that is remapped.
[[nodiscard]] bool has_remapped(std::string_view interrupts);

/// That VFIO refuses every group of this machine, as a device could forge interrupts.
[[nodiscard]] std::optional<VfioRefusal> refused_interrupts(const Host& host);

/// Of virtual functions that are still to be made, by the ids that they will have.
[[nodiscard]] std::optional<VfioRefusal> refused_functions(Sysfs& root, const DriverName& driver,
                                                           const DeviceId& pf);

}  // namespace anybind
