#pragma once

#include <string>
#include <vector>

#include "anybind/base/ids.h"
#include "anybind/host/proc.h"
#include "anybind/host/sysfs.h"

namespace anybind {

/// Somebody who uses a device, so that taking its driver away would do harm.
struct Blocker {
  DeviceId device;
  std::string name;  ///< stable, for --ignore: docs/guards.md
  std::string who;   ///< in words
  std::string next;  ///< what to type to free the device
  friend bool operator==(const Blocker&, const Blocker&) = default;
};

/// All names that a Blocker may have.
[[nodiscard]] const std::vector<std::string>& guard_names();

/// Who uses `devices`, which are about to lose their drivers. Reads the classes of sysfs once, and
/// /proc once and only when one of the devices has a disk or a network interface. What cannot be
/// read (another user's processes, say) is not found.
[[nodiscard]] std::vector<Blocker> find_blockers(Sysfs& root, const Proc& proc,
                                                 const std::vector<DeviceId>& devices);

}  // namespace anybind
