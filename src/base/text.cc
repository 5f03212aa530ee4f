#include "base/text.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"

namespace anybind {
namespace {

template <int base>
std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t max) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): the end is given
  const auto [stop, error] = std::from_chars(text.data(), end, value, base);
  if (text.empty() || error != std::errc{} || stop != end || value > max) return std::nullopt;
  return value;
}

/// Characters that are not to be shown as they are, beside the ASCII controls: first and last of
/// each range, in order. From Unicode 15: controls, format characters (Cf), line and paragraph
/// separators, whatever has no width of its own by default (Default_Ignorable_Code_Point), private
/// use, and what is no character.
constexpr auto kUnseen = std::to_array<std::pair<char32_t, char32_t>>({
    {0x7F, 0x9F},       {0xAD, 0xAD},       {0x34F, 0x34F},        {0x600, 0x605},
    {0x61C, 0x61C},     {0x6DD, 0x6DD},     {0x70F, 0x70F},        {0x890, 0x891},
    {0x8E2, 0x8E2},     {0x115F, 0x1160},   {0x17B4, 0x17B5},      {0x180B, 0x180F},
    {0x200B, 0x200F},   {0x2028, 0x202E},   {0x2060, 0x206F},      {0x3164, 0x3164},
    {0xD800, 0xF8FF},   {0xFDD0, 0xFDEF},   {0xFE00, 0xFE0F},      {0xFEFF, 0xFEFF},
    {0xFFA0, 0xFFA0},   {0xFFF0, 0xFFFB},   {0xFFFE, 0xFFFF},      {0x110BD, 0x110BD},
    {0x110CD, 0x110CD}, {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3},    {0x1D173, 0x1D17A},
    {0x1FFFE, 0x1FFFF}, {0x2FFFE, 0x2FFFF}, {0x3FFFE, UINT32_MAX},
});
static_assert(std::ranges::is_sorted(kUnseen));

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string_view trim_newline(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

std::optional<std::uint64_t> parse_hex(std::string_view text, std::uint64_t max) {
  if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
  return parse_number<16>(text, max);
}

std::optional<std::uint64_t> parse_decimal(std::string_view text, std::uint64_t max) {
  return parse_number<10>(text, max);
}

bool is_printable_ascii(std::string_view text) {
  constexpr std::uint64_t kEach = 0x0101010101010101;
  constexpr std::uint64_t kTops = kEach * 0x80;
  std::uint64_t found = 0;  // a byte's top bit: it is another
  const auto look = [&](std::uint64_t bytes) {
    // A carry comes only from a byte that is found by its own top bit.
    found |= bytes | ~(bytes + kEach * (0x80 - ' ')) | (bytes + kEach * (0x80 - 0x7F));
  };
  for (; text.size() >= sizeof found; text.remove_prefix(sizeof found)) {
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, text.data(), sizeof bytes);
    look(bytes);
  }
  std::uint64_t rest = kEach * ' ';
  if (!text.empty()) std::memcpy(&rest, text.data(), text.size());
  look(rest);
  return (found & kTops) == 0;
}

Character first_character(std::string_view text) {
  CHECK(!text.empty(), "the first character is asked of a text that has one");
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {.value = lead, .length = 1};
  const std::size_t length = lead < 0xC2   ? 0
                             : lead < 0xE0 ? 2
                             : lead < 0xF0 ? 3
                             : lead < 0xF5 ? 4
                                           : 0;
  if (length == 0 || length > text.size()) return {};
  char32_t value = lead & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xC0) != 0x80) return {};
    value = (value << 6U) | (byte & 0x3FU);
  }
  // Longer than needed, half of a UTF-16 pair, or beyond Unicode.
  if (value < (length == 2 ? 0x80U : length == 3 ? 0x800U : 0x10000U)) return {};
  if ((value >= 0xD800 && value <= 0xDFFF) || value > 0x10FFFF) return {};
  return {.value = value, .length = length};
}

bool is_shown(char32_t character) {
  if (character < 0x7F) return character >= 0x20;
  const auto* range = std::ranges::lower_bound(kUnseen, character, {},
                                               [](const auto& pair) { return pair.second; });
  return range == kUnseen.end() || character < range->first;
}

std::string printable(std::string_view text, std::size_t limit) {
  if (text.size() <= limit && is_printable_ascii(text)) return std::string(text);
  std::string out;
  while (!text.empty()) {
    const auto [character, length] = first_character(text);
    const bool plain = length > 0 && is_shown(character);
    const std::size_t taken = std::max<std::size_t>(length, 1);
    std::string piece;
    for (const char byte : text.substr(0, taken)) {
      piece +=
          plain ? std::string(1, byte) : fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    }
    if (out.size() + piece.size() > limit) return out + "...";
    out += piece;
    text.remove_prefix(taken);
  }
  return out;
}

std::string shell_quote(std::string_view text) {
  constexpr std::string_view kSafe =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+=,";
  if (!text.empty() && text.find_first_not_of(kSafe) == std::string_view::npos)
    return std::string(text);
  std::string out = "'";
  for (char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

bool glob_match(const std::string& pattern, const std::string& text) {
  return ::fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
}

bool is_glob(std::string_view text) {
  return text.find_first_of("*?[") != std::string_view::npos;
}

std::vector<std::string> nearest(std::string_view word, std::span<const std::string> candidates,
                                 std::size_t count) {
  std::vector<std::pair<std::size_t, std::size_t>>
      ranked;  // distance, then place among the candidates
  const std::size_t limit = std::max<std::size_t>(2, word.size() / 3);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i].size() > 255 || word.size() > 255) continue;
    const std::size_t distance = edit_distance(word, candidates[i]);
    if (distance <= limit) ranked.emplace_back(distance, i);
  }
  std::ranges::sort(ranked);
  std::vector<std::string> out;
  for (std::size_t i = 0; i < ranked.size() && i < count; ++i) {
    out.push_back(candidates[ranked[i].second]);
  }
  return out;
}

std::string join_words(std::span<const std::string> words, std::string_view word) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? fmt::format(" {} ", word) : ", ";
    out += words[i];
  }
  return out;
}

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const auto [character, length] = first_character(text);
    if (length == 0) {
      out += "\\ufffd";
    } else if (character == '"' || character == '\\') {
      out += '\\';
      out += text[0];
    } else if (is_shown(character)) {
      out += text.substr(0, length);
    } else {
      const auto value = static_cast<std::uint32_t>(character);
      out += value > 0xFFFF ? fmt::format("\\U{:08x}", value) : fmt::format("\\u{:04x}", value);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out + "\"";
}

}  // namespace anybind
