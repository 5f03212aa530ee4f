#pragma once

#include <string>

namespace anybind::cli {

/// The address here over which ssh brought us in. Empty: it did not, or sudo has forgotten it.
[[nodiscard]] std::string login_address();

}  // namespace anybind::cli
