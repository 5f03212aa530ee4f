#pragma once

#include "host/inside_lab.h"

namespace anybind::lab {

inline constexpr const char* kControl = kLabControl;
inline constexpr const char* kMounted = kLabMounted;

/// Whether this process is in a lab: its /sys is a model's, and what else it sees of the machine is
/// not.
[[nodiscard]] bool is_inside();

}  // namespace anybind::lab
