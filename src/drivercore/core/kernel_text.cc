#include "drivercore/core/kernel_text.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <limits>

#include "base/text.h"

namespace anybind::drivercore {
namespace {

bool is_hex(char c) {
  return std::isxdigit(static_cast<unsigned char>(c)) != 0;
}

unsigned digit_value(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  return static_cast<unsigned>((c | 0x20) - 'a' + 10);
}

/// Takes 0x or 0 off, as base 0 has it.
unsigned take_base(std::string_view& text) {
  if (!text.starts_with('0')) return 10;
  const bool hex = text.size() > 2 && (text[1] | 0x20) == 'x' && is_hex(text[2]);
  if (hex) text.remove_prefix(2);
  return hex ? 16 : 8;
}

Reply<std::uint64_t> to_number(std::string_view text, std::uint64_t most) {
  const unsigned base = take_base(text);
  if (text.empty()) return std::unexpected(Errno{EINVAL});
  std::uint64_t value = 0;
  bool too_large = false;
  for (const char c : text) {
    if (!is_hex(c) || digit_value(c) >= base) return std::unexpected(Errno{EINVAL});
    too_large |= value > (most - digit_value(c)) / base;
    value = value * base + digit_value(c);
  }
  if (too_large) return std::unexpected(Errno{ERANGE});
  return value;
}

/// One number of sscanf("%x"): white space, an optional 0x, digits. "0x" with none is a 0.
bool take_hex(std::string_view& text, std::uint64_t& value) {
  constexpr std::string_view kBlanks = " \t\n\v\f\r\xA0";
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  if (text.empty() || !is_hex(text[0])) return false;
  if (text.size() > 1 && text[0] == '0' && (text[1] | 0x20) == 'x') text.remove_prefix(2);
  value = 0;
  while (!text.empty() && is_hex(text[0])) {
    value = (value << 4) | digit_value(text[0]);
    text.remove_prefix(1);
  }
  return true;
}

}  // namespace

std::string_view c_string(std::string_view bytes) {
  return bytes.substr(0, bytes.find('\0'));
}

std::string_view name_in(std::string_view bytes) {
  return trim_newline(c_string(bytes));
}

Reply<std::uint64_t> kstrtoul(std::string_view bytes) {
  std::string_view text = name_in(bytes);
  if (text.starts_with('+')) text.remove_prefix(1);
  return to_number(text, std::numeric_limits<std::uint64_t>::max());
}

Reply<unsigned> kstrtou16(std::string_view bytes) {
  const auto number = kstrtoul(bytes);
  if (!number) return std::unexpected(number.error());
  if (*number > std::numeric_limits<std::uint16_t>::max()) return std::unexpected(Errno{ERANGE});
  return static_cast<unsigned>(*number);
}

Reply<int> kstrtoint(std::string_view bytes) {
  std::string_view text = name_in(bytes);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const auto number = to_number(text, std::numeric_limits<int>::max());
  if (!number) return std::unexpected(number.error());
  return negative ? -static_cast<int>(*number) : static_cast<int>(*number);
}

Reply<bool> kstrtobool(std::string_view bytes) {
  const std::string_view text = c_string(bytes);
  const char first = text.empty() ? '\0' : text[0];
  const char second = text.size() > 1 ? static_cast<char>(text[1] | 0x20) : '\0';
  const bool starts_with_o = (first | 0x20) == 'o';
  if (std::string_view("yYtT1").contains(first) && first != '\0') return true;
  if (std::string_view("nNfF0").contains(first) && first != '\0') return false;
  if (starts_with_o && second == 'n') return true;
  if (starts_with_o && second == 'f') return false;
  return std::unexpected(Errno{EINVAL});
}

HexFields scan_hex(std::string_view bytes) {
  std::string_view text = c_string(bytes);
  HexFields out;
  for (; out.count < out.value.size(); ++out.count) {
    std::uint64_t value = 0;
    if (!take_hex(text, value)) break;
    out.value.at(out.count) = out.count < 6 ? value & 0xFFFFFFFF : value;
  }
  return out;
}

}  // namespace anybind::drivercore
