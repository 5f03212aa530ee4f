#pragma once

#include <cstdint>
#include <set>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "capture/module_aliases.h"
#include "drivercore/core/state.h"
#include "host/sysfs.h"

namespace anybind::lab {

enum class Detail : std::uint8_t {
  kBinding,  ///< devices, where they stand, drivers, overrides and groups: enough to try a change
             ///< out
  kAll,      ///< also their revision, node, way to be reset, and interfaces
};

/// A model of the machine behind `root`, made from what its sysfs shows of `buses` now; `aliases`
/// adds the ids of the drivers' modules. No serial number, MAC address or host name is in it: a
/// network interface that is called by its MAC gets another name.
/// Not in it is what sysfs does not show: a driver whose module has no aliases matches only the
/// devices that it is bound to now; nothing tells dynamic ids, driver_data, or in which order
/// drivers registered (taken as that of their names). The kernel profile is left as it is.
/// Reads only; a device that vanishes meanwhile is left out; of one that is busy the override is
/// not known, nor perhaps the driver, and it is added to `busy`. kNotFound: no such bus.
[[nodiscard]] Result<drivercore::State> capture(Sysfs& root, const std::set<BusName>& buses,
                                                const Aliases& aliases, Detail detail,
                                                std::vector<DeviceId>* busy = nullptr);

/// Adds a driver that is not registered to a captured machine: what module `module` would bring.
void add_module(drivercore::State& state, const BusName& bus, const DriverName& driver,
                const std::string& module, const Aliases& aliases);

}  // namespace anybind::lab
