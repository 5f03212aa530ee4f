#pragma once

#include "base/error.h"

namespace anybind::cli {

/// What the command ends with: 1 failed, and all is as before; 2 usage; 3 refused; 4 incomplete; 5
/// not permitted; 6 no such device or driver. 0 is success. A contract with scripts.
[[nodiscard]] int exit_code(ErrorKind kind);

}  // namespace anybind::cli
