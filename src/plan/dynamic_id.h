#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/sysfs.h"
#include "plan/own_ids.h"

namespace anybind {

/// What `new_id` and `remove_id` are told, so that a driver matches one device.
struct DynamicId {
  std::string add;
  std::string remove;  ///< takes away what `add` put there, and on PCI nothing else
  friend auto operator<=>(const DynamicId&, const DynamicId&) = default;
};

/// The narrowest that the bus has for the device held open in `dir`; nullopt where its ids are not
/// known to us, or where it has none.
[[nodiscard]] std::optional<DynamicId> dynamic_id(Sysfs& dir, const DeviceId& device);

/// Devices without a driver, beside `going`, that a write of `id` to the new_id of `driver` would
/// bind to it: those that `id` describes too, and, since new_id offers the driver every device
/// (kernel-facts: finding 3), those that it matches for another reason that can be seen.
/// nullopt for an id that describes none.
[[nodiscard]] Result<std::vector<DeviceId>> captured_by(Sysfs& root, const BusName& bus,
                                                        const std::optional<DynamicId>& id,
                                                        const DriverName& driver, const OwnIds& own,
                                                        const std::set<DeviceId>& going);

}  // namespace anybind
