#pragma once

#include <string>
#include <vector>

namespace anybind::compat {

/// The program driverctl (docs/from-driverctl-and-devbind.md) with these arguments; the exit code.
[[nodiscard]] int driverctl(const std::vector<std::string>& words);

}  // namespace anybind::compat
