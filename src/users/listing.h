#pragma once

#include <optional>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/host.h"
#include "inventory/device.h"
#include "inventory/net_interface.h"
#include "inventory/place.h"
#include "users/blocker.h"

namespace anybind {

/// What a list tells of its devices. Not a snapshot: each device is read at its own moment.
struct Listing {
  std::vector<Device> devices;
  std::vector<Place> places;  ///< one a device
  UsersByDevice users;
  std::optional<InUse> in_use{};
};

enum class WithUse : bool { kNo, kYes };

/// Reads the devices `ids`, in that order; those that are gone by then are left out. Who uses them
/// is asked of every process, and only with kYes. With more than one thread the host's sysfs must
/// allow it (host/sysfs.h). Errors: those of read_inventory().
[[nodiscard]] Result<Listing> read_listing(const Host& host, const std::vector<DeviceId>& ids,
                                           unsigned threads, WithUse with_use);

/// How many threads a list of so many devices of this machine is worth.
[[nodiscard]] unsigned threads_worth(std::size_t devices);

}  // namespace anybind
