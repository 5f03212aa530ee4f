#pragma once

// Includes the TOML library, which is large: only machine_load.cc includes this.

#include <toml++/toml.h>

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "drivercore/state.h"

namespace anybind::drivercore {

/// Takes keys out of one table of a machine file, each with its type and range, and in the end
/// finds what nobody asked for. The first fault is kept; what is taken after it does not matter, so
/// that callers check once, with finish(). Keeps references to the table and the file's name.
class TomlReader {
 public:
  TomlReader(std::string_view file, const toml::table& table) : file_(file), table_(table) {}

  [[nodiscard]] bool has(std::string_view key) const { return table_.contains(key); }

  std::string text(std::string_view key, std::string otherwise = "");
  /// A text that can be a name in sysfs.
  std::string name(std::string_view key, std::string otherwise = "");
  bool flag(std::string_view key, bool otherwise);
  std::int64_t number(std::string_view key, std::int64_t least, std::int64_t most,
                      std::int64_t otherwise);
  /// Hex digits in a text: "020000".
  std::uint32_t hex(std::string_view key, std::uint32_t most);
  /// "8086:10d3"
  std::pair<std::uint16_t, std::uint16_t> id_pair(std::string_view key);
  std::vector<std::string> texts(std::string_view key);
  std::vector<PciId> ids(std::string_view key);
  std::optional<PciId> id(std::string_view key);
  /// "ok", "defer", "EIO": 0 or a negative errno.
  int probe(std::string_view key);
  /// The tables of `key = [ {...} ]` or of [[key]]; or the one of [key].
  std::vector<const toml::table*> tables(std::string_view key);

  /// Reports a fault in the value of `key`, or in the whole table when it has no such key.
  void complain(std::string_view key, std::string why);
  /// The first fault; else the first key that nobody took; else nothing.
  [[nodiscard]] Result<> finish();

 private:
  const toml::node* take(std::string_view key);
  void complain(const toml::node& node, std::string_view key, std::string why);
  const toml::array* list(const toml::node& node, std::string_view key, const char* what);

  std::string_view file_;
  const toml::table& table_;
  std::set<std::string, std::less<>> taken_;
  std::optional<Error> fault_;
};

/// "FILE:LINE:COLUMN: why", as an error of usage.
[[nodiscard]] Error machine_error(std::string_view file, const toml::source_region& where,
                                  std::string why);

}  // namespace anybind::drivercore
