#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/host.h"
#include "inventory/match.h"
#include "inventory/viability.h"
#include "plan/mechanism.h"

namespace anybind {

/// Whether a driver could have a device, and how.
struct DriverAnswer {
  DriverName driver;
  std::vector<Obstacle> obstacles{};
  std::optional<Mechanism> mechanism{};
  std::optional<Viability> group{};   ///< for a VFIO driver, of a device in a group
  std::vector<Candidate> variants{};  ///< of vfio-pci, made for this device
  bool loads_module = false;          ///< before anything else
};

/// What stands between the device of `explanation` and `driver` as things are now, also who uses
/// it; reads only. `aliases` is the text of modules.alias. kNotFound: neither a driver nor a module
/// has this name.
[[nodiscard]] Result<DriverAnswer> ask_driver(const Host& host, const Explanation& explanation,
                                              const DriverName& driver, const std::string& aliases);

}  // namespace anybind
