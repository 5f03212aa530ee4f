#pragma once

#include <string>
#include <string_view>

namespace anybind::cli {

/// What a verb of driverctl or virsh is here: "that is anybind rules"; empty when it is none of
/// theirs. For people whose fingers know another tool.
[[nodiscard]] std::string here_for_verb(std::string_view verb);

/// The same of an option of driverctl or dpdk-devbind, with its dashes.
[[nodiscard]] std::string here_for_option(std::string_view option);

}  // namespace anybind::cli
