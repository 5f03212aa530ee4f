#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"

namespace anybind::fuzz {

/// Ends the run as a finding.
inline void require(bool holds, const char* what, std::string_view about = "") {
  if (holds) return;
  std::fprintf(stderr, "fuzz: %s: %.*s\n", what, static_cast<int>(about.size()), about.data());
  std::abort();
}

/// Nothing that steers a terminal, but newlines and tabs.
inline bool is_plain(std::string_view text) {
  return std::ranges::none_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F;
  });
}

/// Nothing but what printable() lets through.
inline void require_printable(std::string_view text, const char* what) {
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    require(printable(line, line.size()) == line, what, text);
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
}

inline std::string_view as_text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Cuts off what stands before the next `end`, and that.
inline std::string_view take_until(std::string_view& text, char end) {
  const std::string_view out = text.substr(0, text.find(end));
  text.remove_prefix(std::min(out.size() + 1, text.size()));
  return out;
}

/// The next number of `text`; 0 where there is none.
inline std::uint64_t take_number(std::string_view& text, std::uint64_t most) {
  std::uint64_t out = 0;
  while (!text.empty() && (text[0] < '0' || text[0] > '9')) text.remove_prefix(1);
  for (; !text.empty() && text[0] >= '0' && text[0] <= '9'; text.remove_prefix(1)) {
    out = std::min(out * 10 + static_cast<std::uint64_t>(text[0] - '0'), most);
  }
  return out;
}

/// "\n", "\t", "\0", "\\" as C writes them, and "\xNN".
inline std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    const char c = text[++i];
    if (c == 'x' && i + 2 < text.size()) {
      out += static_cast<char>(parse_hex(text.substr(i + 1, 2), 0xFF).value_or('x'));
      i += 2;
    } else {
      out += c == 'n' ? '\n' : c == 't' ? '\t' : c == '0' ? '\0' : c;
    }
  }
  return out;
}

}  // namespace anybind::fuzz
