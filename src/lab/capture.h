#pragma once

#include <set>
#include <string>

#include "base/error.h"
#include "base/ids.h"
#include "drivercore/state.h"
#include "host/sysfs.h"

namespace anybind::lab {

/// A model of the machine behind `root`, made from what its sysfs shows: the devices, drivers,
/// overrides and IOMMU groups of `buses` as they are now. No serial number or MAC address is read.
/// What sysfs does not show is not in it: of a driver's ids only those of the devices bound to it
/// now, and nothing of the order in which drivers registered. Good for trying out what goes by
/// override. Reads only; a device that vanishes meanwhile is left out. kNotFound: none of the buses
/// is there.
[[nodiscard]] Result<drivercore::State> capture(Sysfs& root, const std::set<BusName>& buses);

}  // namespace anybind::lab
