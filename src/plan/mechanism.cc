#include "plan/mechanism.h"

#include <algorithm>
#include <array>

namespace anybind {
namespace {

using enum Mechanism;

constexpr std::string_view kSameType =
    "every other card of that type that has no driver, or is plugged in meanwhile, can go to the "
    "driver too";

constexpr std::array kAll = {
    MechanismInfo{kDriverOverride, "driver_override", "anybind", ""},
    MechanismInfo{kPreferredDriver, "preferred_driver", "preferred_driver", ""},
    MechanismInfo{kDrvctl, "drvctl", "",
                  "a driver that refuses the port leaves it without one for a moment"},
    MechanismInfo{kBind, "bind", "ids+bind",
                  "between unbind and bind nothing keeps another driver away, and the device goes "
                  "back to its own when it is plugged in again"},
    MechanismInfo{kSysfsBindOnly, "sysfs_bind_only", "sysfs_bind_only",
                  "between unbind and bind the host driver can come back, and it does when the "
                  "device is plugged in again"},
    MechanismInfo{kVfioBind, "vfio_bind", "vfio_bind",
                  "between unbind and vfio_bind the host driver can come back, and it does when "
                  "the device is plugged in again"},
    MechanismInfo{kDriverProbeId, "driver_probe_id", "driver_probe_id",
                  "a second tool that makes up the same id meanwhile gets its device mixed up with "
                  "this one"},
    MechanismInfo{kAutoprobeFlag, "autoprobe-flag", "autoprobe-flag",
                  "while the flag is off the driver gets no device that it should, and between "
                  "unbind and bind the host driver can come back"},
    MechanismInfo{kNewId, "new_id", "new_id", kSameType},
    MechanismInfo{
        kNewIdWindow, "new_id-window", "new_id-window",
        "every other card of that type can go to the driver too, also one that is plugged "
        "in meanwhile; since Linux 6.19 a card that is just coming as it begins can be "
        "left without a driver; and a module that is loaded meanwhile gets no device"},
};

/// Whoever has a Mechanism indexes by it.
constexpr bool is_in_order() {
  for (std::size_t i = 0; i < kAll.size(); ++i) {
    if (static_cast<std::size_t>(kAll[i].mechanism) != i || kAll[i].name.empty()) return false;
  }
  return static_cast<std::size_t>(kNewIdWindow) + 1 == kAll.size();
}
static_assert(is_in_order(), "one row for each mechanism, in the order of the enumeration");

const MechanismInfo& info(Mechanism mechanism) {
  return kAll.at(static_cast<std::size_t>(mechanism));
}

}  // namespace

std::span<const MechanismInfo> all_mechanisms() {
  return kAll;
}

std::string_view name_of(Mechanism mechanism) {
  return info(mechanism).name;
}

std::optional<Mechanism> mechanism_named(std::string_view name) {
  const auto* found = std::ranges::find(kAll, name, &MechanismInfo::name);
  return found == kAll.end() ? std::nullopt : std::optional(found->mechanism);
}

}  // namespace anybind
