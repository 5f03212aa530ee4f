#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace anybind::compat {

/// What dpdk-devbind.py was asked for.
struct DevbindOptions {
  bool status = false;
  std::string kind{};                 ///< --status-dev; empty: every kind
  std::optional<std::string> bind{};  ///< a driver, or "none"
  bool unbind = false;
  bool force = false;
  bool no_iommu = false;
  std::string user{};
  std::string group{};
  std::vector<std::string> devices{};
  bool help = false;
};

/// The options, or what is wrong with them.
struct ParsedDevbind {
  DevbindOptions options{};
  std::string fault{};  ///< empty: nothing
};

/// As Python's argparse takes them: a long option may be shortened as long as one option begins so,
/// short ones may stand together, a value may be joined to its option.
[[nodiscard]] ParsedDevbind parse_devbind(const std::vector<std::string>& words);

[[nodiscard]] std::string_view devbind_usage();
[[nodiscard]] std::string_view devbind_help();

}  // namespace anybind::compat
