#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/advice.h"
#include "base/ids.h"
#include "host/sysfs.h"

namespace anybind {

/// Somebody who uses a device, so that taking its driver away would do harm.
struct Blocker {
  DeviceId device;
  std::string name;  ///< stable, for a request to ignore it: docs/guards.md
  std::string who;   ///< in words; names in it come from outside
  Remark advice;     ///< what to do to free the device
  /// The same, or to ignore it.
  [[nodiscard]] Remark way_out() const {
    return advice + " (or " + Remark(Action::kIgnore, {name}) + ")";
  }
  friend bool operator==(const Blocker&, const Blocker&) = default;
};

/// Who uses some devices, as far as it can be seen.
struct InUse {
  std::vector<Blocker> blockers;  ///< by device, in the order asked for
  std::size_t unseen = 0;         ///< processes whose open files could not be looked at
};

/// A device to look at, and its directory where the caller holds it, which saves two walks there.
struct Asked {
  DeviceId device;
  std::shared_ptr<Sysfs> dir{};
};

}  // namespace anybind
