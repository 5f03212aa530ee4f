#include "base/text.h"

#include <fnmatch.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

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

/// Length of the valid UTF-8 sequence at the start of `text`, 0 if there is none.
std::size_t utf8_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  std::size_t length = lead < 0x80   ? 1
                       : lead < 0xC2 ? 0
                       : lead < 0xE0 ? 2
                       : lead < 0xF0 ? 3
                       : lead < 0xF5 ? 4
                                     : 0;
  if (length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 0;
  }
  // C1 controls (U+0080..U+009F) steer some terminals.
  if (length == 2 && lead == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0) return 0;
  return length;
}

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

std::string printable(std::string_view text, std::size_t limit) {
  if (text.size() <= limit && is_printable_ascii(text)) return std::string(text);
  std::string out;
  while (!text.empty()) {
    const auto byte = static_cast<unsigned char>(text[0]);
    std::size_t length = utf8_length(text);
    const bool plain = length > 0 && byte >= 0x20 && byte != 0x7F;
    std::string piece =
        plain ? std::string(text.substr(0, length)) : fmt::format("\\x{:02x}", byte);
    if (out.size() + piece.size() > limit) return out + "...";
    out += piece;
    text.remove_prefix(plain ? length : 1);
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

}  // namespace anybind
