#pragma once

#include <cstddef>
#include <memory>
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
  std::string who;   ///< in words; names in it come from outside
  std::string next;  ///< what to type to free the device
  friend bool operator==(const Blocker&, const Blocker&) = default;
};

/// Who uses some devices, as far as it can be seen.
struct InUse {
  std::vector<Blocker> blockers;  ///< by device, in the order asked for
  std::size_t unseen = 0;         ///< processes whose open files could not be looked at
};

/// "the open files of 3 processes could not be looked at"
[[nodiscard]] std::string unseen_words(std::size_t processes);

/// All names that a Blocker may have.
[[nodiscard]] const std::vector<std::string>& guard_names();

/// A device to look at, and its directory where the caller holds it, which saves two walks there.
struct Asked {
  DeviceId device;
  std::shared_ptr<Sysfs> dir{};
};

/// Who uses `devices`, and what hangs below them. Reads the classes of sysfs once, /proc once, and
/// of each device a few attributes. Of a device on vfio-* or pci-stub only who has its VFIO files
/// open, and its virtual functions. Of a device without a driver only its virtual functions.
[[nodiscard]] InUse find_blockers(Sysfs& root, const Proc& proc, const std::vector<Asked>& devices);
/// The same of devices whose directories nobody holds.
[[nodiscard]] InUse find_blockers(Sysfs& root, const Proc& proc,
                                  const std::vector<DeviceId>& devices);

}  // namespace anybind
