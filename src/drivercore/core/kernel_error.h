#pragma once

#include <expected>

#include "base/errno.h"

namespace anybind::drivercore {

inline std::unexpected<Errno> kernel_error(int value) {
  return std::unexpected(Errno{value});
}

constexpr int kProbeDefer = 517;  ///< EPROBE_DEFER, which user space never sees

}  // namespace anybind::drivercore
