#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/kernel_version.h"

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

/// The versions that a profile can be of; a newer kernel is taken for the newest.
inline constexpr KernelVersion kOldestKernel{3, 14};
inline constexpr KernelVersion kNewestKernel{7, 3};

/// What Linux changed in a way that user space can see. Since when, is in one table
/// (kernel_profile.cc), with what it is known from.
enum class Change : std::uint8_t {
  kDriverOverride,           ///< PCI devices have driver_override
  kNewIdRefusesDuplicates,   ///< PCI new_id refuses what the driver matches already
  kBindEvents,               ///< bind and unbind events are sent
  kGroupTypeFile,            ///< iommu_groups/N/type can be written
  kBindReportsProbeErrno,    ///< `bind`: EBUSY, and the errno of the probe; before, all ENODEV
  kDmaOwnership,             ///< a host driver is refused in a group that user space owns
  kUeventTakesNoLock,        ///< reading a device's uevent does not wait for its probe
  kOverrideTakesNoLock,      ///< nor does reading and writing driver_override
  kChangesSharedGroupType,   ///< `type` also of a group of several, and while VFIO has them
  kVfioDevGoesFirst,         ///< vfio-dev/vfioK goes before the wait for its user, not after it
  kFauxBus,                  ///< there is a bus for devices that a driver makes up (faux)
  kAddAsksSyncDriversFirst,  ///< a PCI device that is added: synchronous drivers first
  kTellsVfioDevice,          ///< fdinfo of an open VFIO device says which one it is
  kPciAddHonoursAutoprobe,   ///< it is not probed while drivers_autoprobe is 0
  kBuiltInPlatformModules,   ///< a platform driver that is built in has a `module` link too
};

/// One row of that table.
struct ChangeSince {
  enum class Known : std::uint8_t {
    kMeasured,  ///< on the version before and on this one
    kBetween,   ///< on this version, and not on an older one; where between is not known
    kSource,    ///< read in the source, or in its history
  };
  Change change;
  KernelVersion since;
  Known known;
  const char* where;            ///< in the kernel's source
  KernelVersion also_stable{};  ///< an older series that got it too, in the end
};

/// In the order of the enumeration.
[[nodiscard]] std::span<const ChangeSince> changes();

/// How a kernel behaves.
struct KernelProfile {
  std::string name = "linux-6.12";
  KernelVersion version{6, 12};
  /// None before 3.16.
  std::optional<Mechanism> mechanism = Mechanism::kDriverOverride;

  [[nodiscard]] bool has(Change change) const;
  [[nodiscard]] bool has(Mechanism wanted) const { return mechanism == wanted; }
  /// A device can name its driver, by either name of that attribute.
  [[nodiscard]] bool device_names_driver() const {
    return has(Mechanism::kDriverOverride) || has(Mechanism::kPreferredDriver);
  }
  friend bool operator==(const KernelProfile&, const KernelProfile&) = default;
};

/// "linux-X.Y" from kOldestKernel to kNewestKernel, and one for each proposal: "preferred-driver"
/// and so on, which is linux-6.12 with that in the place of driver_override. kUsage with the names
/// there are.
[[nodiscard]] Result<KernelProfile> find_profile(std::string_view name);

/// That of a running kernel, from its release ("6.12.117-amd64"): an older one than kOldestKernel
/// is taken for that, and so is a text that is no release; a newer one for kNewestKernel.
[[nodiscard]] KernelProfile profile_of_release(std::string_view release);

/// Linux of this version (from kOldestKernel to kNewestKernel) with `mechanism`: what it has itself
/// for kDriverOverride, else the proposal in the place of driver_override. nullopt for
/// driver_override before there was one.
[[nodiscard]] std::optional<KernelProfile> profile_with(KernelVersion version, Mechanism mechanism);

/// Those with a name to choose from: the kernels that were measured most, and all proposals.
[[nodiscard]] std::span<const KernelProfile> profiles();

}  // namespace anybind::drivercore
