#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "inventory/device.h"

namespace anybind {

/// "VENDOR:DEVICE[:SUBVENDOR:SUBDEVICE]" in hex digits; an empty field or * stands for any, as in
/// lspci -d.
struct IdPattern {
  std::array<std::optional<std::uint16_t>, 4> fields{};

  [[nodiscard]] static std::optional<IdPattern> parse(std::string_view text);
  [[nodiscard]] bool matches(const PciIds& ids) const;
  /// As parse() reads it: "8086:10d3", "8086:*".
  [[nodiscard]] std::string str() const;
  /// Whatever `narrower` matches, this does too.
  [[nodiscard]] bool covers(const IdPattern& narrower) const;
  friend bool operator==(const IdPattern&, const IdPattern&) = default;
};

/// A class as people name it: a word of base_class() or of class_word(), or the first 2, 4 or 6 hex
/// digits of the code.
struct ClassPattern {
  std::uint32_t code = 0;
  unsigned digits = 0;      ///< of `code`; 0: `word` counts
  std::string_view word{};  ///< one of class_word()

  [[nodiscard]] static std::optional<ClassPattern> parse(std::string_view text);
  [[nodiscard]] bool matches(std::uint32_t class_code) const;
  /// As parse() reads it: "0200", "ethernet".
  [[nodiscard]] std::string str() const;
  friend bool operator==(const ClassPattern&, const ClassPattern&) = default;
};

}  // namespace anybind
