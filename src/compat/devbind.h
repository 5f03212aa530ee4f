#pragma once

#include <string>
#include <vector>

namespace anybind::compat {

/// The program dpdk-devbind.py (docs/from-driverctl-and-devbind.md) with these arguments; the exit
/// code.
[[nodiscard]] int devbind(const std::vector<std::string>& words);

}  // namespace anybind::compat
