#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/host.h"
#include "host/sysfs.h"
#include "inventory/device.h"
#include "plan/held_plan.h"
#include "plan/plan.h"
#include "plan/taken_along.h"

namespace anybind {

/// A device as the planner looked at it.
struct Look {
  DeviceId device;
  std::shared_ptr<Sysfs> dir;  ///< nullptr past Handles::kMost
  Instance instance;
  Binding binding;
  std::optional<unsigned> group;
  bool parked = false;  ///< as DevicePlan::parked, whatever becomes of it
};

enum class With : std::uint8_t {
  kGroup,
  kGroupForWords,  ///< what cannot be read of it is no error: only notes go by it
  kBindingOnly,
};

/// kNotFound: there is no such device.
[[nodiscard]] Result<Look> look_at(Sysfs& root, const DeviceId& device, With with);

/// The driver that a device loses on its way to `goal`, if it loses one.
[[nodiscard]] std::optional<DriverName> leaves_for(const Look& look, const Goal& goal);

/// The directory that the planner holds, or else holds now.
[[nodiscard]] Result<std::shared_ptr<Sysfs>> dir_of(Sysfs& root, const Look& look);

[[nodiscard]] Result<bool> is_bridge(Sysfs& dir, const DeviceId& device);

/// The IOMMU groups that a plan touches, each listed once.
class Groups {
 public:
  explicit Groups(Sysfs& root) : root_(root) {}
  [[nodiscard]] Result<const std::vector<DeviceId>*> members(unsigned group);

 private:
  Sysfs& root_;
  std::map<unsigned, std::vector<DeviceId>> members_;
};

/// The devices of a plan.
struct Looks {
  std::vector<Look> all{};
  std::size_t asked = 0;  ///< so many of them were asked for, and the others are of their groups
};

/// Looks at `devices`, each once.
[[nodiscard]] Result<Looks> look_at_all(Sysfs& root, const std::vector<DeviceId>& devices,
                                        With with);

/// Adds every other member of their groups that `wanted` takes, but bridges; notes say which.
[[nodiscard]] Result<> add_groups(Sysfs& root, Groups& groups, Looks& looks, Plan& plan,
                                  const std::function<bool(const DeviceId&)>& wanted);

/// Of what the plan's own steps take away: what was asked for is refused, or left out too.
enum class Taken : std::uint8_t { kRefuse, kLeaveOut };

/// The looks that a plan can keep, children before those that they may go with. `going` says what
/// each leaves. A note tells what is left out.
[[nodiscard]] Result<std::vector<Look>> keep_what_stays(Sysfs& root, Looks looks,
                                                        const std::vector<Going>& going,
                                                        Taken taken, Plan& plan);

/// What becomes of the devices that were looked at, when each leaves the driver that `leaves` says.
template <class Leaves>
[[nodiscard]] std::vector<Going> going_of(const std::vector<Look>& looks, Leaves leaves) {
  std::vector<Going> out;
  out.reserve(looks.size());
  for (const Look& look : looks) out.push_back({look.device, leaves(look)});
  return out;
}

/// Looks the driver's directory up, once a plan; plans the load of its module when it is missing.
[[nodiscard]] Result<> require_driver(Sysfs& root, HeldPlan& plan, const BusName& bus,
                                      const DriverName& driver, ModuleLoader* modules = nullptr);

/// Of a driver that devices shall go to, once require_driver() has it. kRefused: nothing can be
/// given to it by hand (it has no `bind`). One whose module is still to be loaded is not known.
[[nodiscard]] Result<> check_binds(const HeldPlan& plan, const DeviceId& device,
                                   const DriverName& driver);

/// Holds the directory of the driver that a device leaves, if it does: the plan does not need it,
/// but the write. kRefused: nothing can be taken from that driver by hand (suppress_bind_attrs of
/// linux include/linux/device/driver.h: it has no `unbind`).
[[nodiscard]] Result<> keep_driver(Sysfs& root, HeldPlan& plan, const Look& look,
                                   const std::optional<DriverName>& leaves);

[[nodiscard]] Result<Mechanism> plain_mechanism_of(Sysfs& root, const Look& look);

void plan_device(HeldPlan& plan, const Look& look, Goal goal, Mechanism mechanism);

}  // namespace anybind
