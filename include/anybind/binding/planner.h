#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "anybind/base/error.h"
#include "anybind/binding/journal.h"
#include "anybind/binding/mechanism.h"
#include "anybind/binding/origins.h"
#include "anybind/binding/plan.h"
#include "anybind/host/modules.h"
#include "anybind/host/sysfs.h"
#include "anybind/inventory/group.h"

namespace anybind {

/// What someone asked for. Planning only reads; it decides everything that can be decided before
/// the first write, and refuses (an Error) what must not be tried.
struct BindRequest {
  std::vector<DeviceId> devices;
  DriverName driver;
  bool whole_group = false;  ///< also every other member of the IOMMU groups, except bridges
  GroupRule rule = GroupRule::kDmaOwnership;  ///< of the running kernel
  std::optional<Mechanism> mechanism{};       ///< nullopt: the safest that there is for each device
  ModuleAliases aliases{};                    ///< asked where there is no override
  bool no_iommu = false;  ///< a VFIO driver may have a device without an IOMMU: it is then unsafe
  bool ignores_same_id = false;  ///< a dynamic id may bind other devices too (kSameId)
  /// Loads the driver's module when the driver is not there; nullptr: no module is loaded.
  ModuleLoader* modules = nullptr;
};

/// The guard over devices that a dynamic id would bind too, as --ignore names it.
inline constexpr std::string_view kSameId = "same-id";

/// Every device to `driver`, by its driver_override where it has one (binding/mechanism.h). A
/// device that is bound there already gets no step. Where the driver is not there, `modules` is
/// asked for a module of its name, which the plan then loads (Plan::modules); the notes name other
/// devices that would get a driver by that, and variants of vfio-pci that are made for a device.
/// kNotFound: no such device, or no such driver on the bus (with the nearest names) nor module.
/// kRefused: the module must not be loaded (modprobe.d, the kernel command line); no mechanism can
/// do it, or the one that was asked for is not there; a dynamic id would bind other devices too; a
/// bridge was asked for; VFIO's no-IOMMU mode would let user space have a device without an IOMMU,
/// or is not there though it was asked for (`no_iommu`); or a VFIO driver was asked for and another
/// member of the IOMMU group is on a host driver (linux
/// drivers/iommu/iommu.c:iommu_group_claim_dma_owner would refuse the user later).
[[nodiscard]] Result<Plan> plan_bind(Sysfs& root, const BindRequest& request);

/// Every device to no driver, kept so by the override "none", which is just a name that no driver
/// has. Where there is no override nothing keeps it so, and a note says that.
[[nodiscard]] Result<Plan> plan_unbind(Sysfs& root, const std::vector<DeviceId>& devices);

/// Every device to what `origins` remembers of it; where nothing is remembered, and an override is
/// set or no driver is there, to the default match. Loads modules as plan_bind() does.
[[nodiscard]] Result<Plan> plan_restore(Sysfs& root, const std::vector<DeviceId>& devices,
                                        const Origins& origins, ModuleLoader* modules = nullptr);

/// Every device of a closed transaction to what it was before that, and its lasting settings too.
/// Devices that are gone are left out, with a note. Loads modules as plan_bind() does.
[[nodiscard]] Result<Plan> plan_undo(Sysfs& root, const JournalEntry& entry,
                                     ModuleLoader* modules = nullptr);

}  // namespace anybind
