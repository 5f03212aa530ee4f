#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/host.h"

namespace anybind {

/// What became of one device of the boot list.
struct EarlyDevice {
  DeviceId device;
  std::string rule;  ///< by its name
  std::string kept;  ///< for what: "vfio-pci", "no driver", "virtual functions without a driver"
  std::string left;  ///< why it was left alone; empty: it was not
};

struct EarlyBoot {
  std::vector<EarlyDevice> devices{};
  std::vector<std::string> modules{};  ///< loaded, as a device is kept for their driver
  /// The rules cannot be had, so that the list was all there was to go by; or a module could not be
  /// loaded.
  std::vector<Error> troubles{};
};

/// Before the host's drivers are loaded: keeps each device without a driver for the one that a rule
/// gives it, if the boot list (policy/boot_list.h) names that very card with that driver; then
/// loads the modules of these drivers, so that they have the devices before anybody else looks for
/// some. Takes nothing from anybody: a device with a driver is left for `apply`. Of broken rules
/// the list alone counts, which is what was so the last time. With `dry` nothing is written, and
/// `kept` says what would be.
/// Needs sysfs, procfs and the files of the rules; no journal. Errors: the list cannot be had, or
/// the machine cannot be read.
[[nodiscard]] Result<EarlyBoot> keep_at_boot(const Host& host, bool dry);

}  // namespace anybind
