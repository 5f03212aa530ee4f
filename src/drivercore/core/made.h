#pragma once

#include <string>
#include <utility>
#include <vector>

#include "drivercore/core/state.h"

namespace anybind::drivercore {

/// Paths below a device's directory of what its driver made ("net/eth0", "vfio-dev/vfio0"), each
/// with its class.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> made_by_driver(const Device& device);

/// The class of what stands exactly at the path; empty for a directory on the way to it, and for
/// what the driver did not make.
[[nodiscard]] std::string class_of_made(const Device& device, const std::string& path);

/// The lines of its `uevent` file.
[[nodiscard]] std::vector<std::string> uevent_lines_of_made(const Device& device,
                                                            const std::string& path);

/// The same of what hangs on no device, by its path below devices/virtual: "vfio/13".
[[nodiscard]] std::vector<std::string> uevent_lines_of_virtual(const std::string& path);

}  // namespace anybind::drivercore
