#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/ids.h"
#include "host/host.h"
#include "host/proc.h"
#include "host/sysfs.h"
#include "users/blocker.h"

namespace anybind {

/// "the open files of 3 processes could not be looked at"
[[nodiscard]] std::string unseen_words(std::size_t processes);

/// All names that a Blocker may have, and those of what VFIO refuses (inventory/vfio_refusal.h).
[[nodiscard]] const std::vector<std::string>& guard_names();

/// Who uses `devices` of the machine of `host`, as below; and whom its `declared` tells of. Nobody
/// where nobody is (Host::has_users).
[[nodiscard]] InUse find_blockers(const Host& host, const std::vector<Asked>& devices);

/// Who uses `devices`, and what hangs below them. Reads the classes of sysfs once, /proc once, and
/// of each device a few attributes. Of a device on vfio-* or pci-stub only who has its VFIO files
/// open, and its virtual functions. Of a device without a driver only its virtual functions.
[[nodiscard]] InUse find_blockers(Sysfs& root, const Proc& proc, const std::vector<Asked>& devices);
/// The same of devices whose directories nobody holds.
[[nodiscard]] InUse find_blockers(Sysfs& root, const Proc& proc,
                                  const std::vector<DeviceId>& devices);

}  // namespace anybind
