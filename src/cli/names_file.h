#pragma once

#include <string>

namespace anybind::cli {

/// Where this machine has the names of PCI devices; empty: nowhere.
[[nodiscard]] std::string names_file();

}  // namespace anybind::cli
