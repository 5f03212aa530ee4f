#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "host/host.h"
#include "plan/bind_request.h"
#include "plan/held_plan.h"
#include "plan/origin.h"
#include "plan/plan.h"

namespace anybind {

// Planning only reads; it decides everything that can be decided before the first write, and
// refuses (an Error) what must not be tried.

/// Which devices are meant.
enum class Reach : std::uint8_t {
  kNamed,
  kGroups,  ///< also every other member of their IOMMU groups, but bridges
};

/// Every device to `driver`, by its driver_override where it has one (plan/mechanism.h). A
/// device that is bound there already gets no step. Where the driver is not there, `host.modules`
/// is asked for a module of its name, which the plan then loads (Plan::modules); the notes name
/// other devices that would get a driver by that, and variants of vfio-pci that are made for a
/// device. kNotFound: no such device, or no such driver on the bus (with the nearest names) nor
/// module. kRefused: the module must not be loaded (modprobe.d, the kernel command line); no
/// mechanism can do it, or the one that was asked for is not there; a dynamic id would bind other
/// devices too; a bridge was asked for; VFIO's no-IOMMU mode would let user space have a device
/// without an IOMMU, or is not there though it was asked for (`no_iommu`); a device that was named
/// goes away when another of the plan loses its driver (of a group it is left out, with a note);
/// or a VFIO driver was
/// asked for and another member of the IOMMU group is on a host driver (linux
/// drivers/iommu/iommu.c:iommu_group_claim_dma_owner would refuse the user later), unless
/// `part_of_group` is set: then a warning says so.
[[nodiscard]] Result<HeldPlan> plan_bind(const Host& host, const BindRequest& request);

/// Every device to no driver, kept so by the override "none", which is just a name that no driver
/// has (kHeld). Where there is no override nothing keeps it so, and a note says that. kLoose: any
/// override that it has goes too, and the next driver that matches may have it.
[[nodiscard]] Result<HeldPlan> plan_unbind(const Host& host, const std::vector<DeviceId>& devices,
                                           Reach reach = Reach::kNamed, Stays stays = Stays::kHeld);

/// Every device to what `origins` remembers of it, last taken first; where nothing is remembered,
/// and an override is set or no driver is there, to the default match, with a warning when that
/// clears an override. Of a group (kGroups) only those that are remembered, and those that an
/// override keeps with a VFIO driver: after a boot nothing is remembered of what rules give away.
/// What goes away with another's driver is left out, with a note. Loads modules as plan_bind()
/// does; notes name what else is not loaded and would match, and groups that are left mixed.
[[nodiscard]] Result<HeldPlan> plan_restore(const Host& host, const std::vector<DeviceId>& devices,
                                            const OriginTable& origins,
                                            Reach reach = Reach::kNamed);

/// Every device of `done`, a transaction of this number that has ended, to what it was before that,
/// last first, and its lasting settings too. Virtual functions that it removed are made again, each
/// for the driver that it had, and no driver probes them unasked.
/// Devices that are gone are left out, with a note. Loads modules as plan_bind() does.
[[nodiscard]] Result<HeldPlan> plan_undo(const Host& host, const Plan& done, std::uint64_t id);

}  // namespace anybind
