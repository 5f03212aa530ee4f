#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/host.h"

namespace anybind::compat {

/// The device types that driverctl knows, in the order in which it names them.
[[nodiscard]] std::vector<std::string> driverctl_types();

struct DriverctlList {
  BusName bus;
  std::string type = "all";      ///< one of driverctl_types()
  bool only_overridden = false;  ///< and then without a mark
  bool described = false;        ///< with the name of the product
};

/// The lines of `list-devices` and `list-overrides`: the devices that have a driver_override.
/// kNotFound: there is none at all of the kind, whatever its type.
[[nodiscard]] Result<std::string> driverctl_lines(const Host& host, const DriverctlList& list);

}  // namespace anybind::compat
