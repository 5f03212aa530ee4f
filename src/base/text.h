#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace anybind {

/// Without one trailing newline, as sysfs_streq() compares.
[[nodiscard]] std::string_view trim_newline(std::string_view text);

/// The whole text as hexadecimal, with or without 0x, either case, at most `max`; nothing else
/// allowed.
[[nodiscard]] std::optional<std::uint64_t> parse_hex(std::string_view text,
                                                     std::uint64_t max = UINT64_MAX);

/// The whole text as a decimal number without sign, at most `max`.
[[nodiscard]] std::optional<std::uint64_t> parse_decimal(std::string_view text,
                                                         std::uint64_t max = UINT64_MAX);

/// Nothing but the bytes ' ' to '~', as nearly all text of sysfs. Eight bytes at a time: all text
/// of a table passes here twice.
[[nodiscard]] bool is_printable_ascii(std::string_view text);

/// A character and how many bytes of UTF-8 it takes; `length` is 0 for what is none.
struct Character {
  char32_t value = 0;
  std::size_t length = 0;
};
/// The one at the start of `text`, which is not empty.
[[nodiscard]] Character first_character(std::string_view text);

/// Can be shown as it is: does not steer a terminal, does not change the order or the look of what
/// stands beside it, and is not invisible. Not so: controls (C1 too), bidirectional and other
/// format characters, those without width, line separators, private use, and what is no character.
[[nodiscard]] bool is_shown(char32_t character);

/// Safe to print on a terminal: each byte of what is_shown() denies, and of what is no valid UTF-8,
/// becomes \xNN; cut to `limit` bytes with "..." at the end.
[[nodiscard]] std::string printable(std::string_view text, std::size_t limit = 256);

/// One word for a POSIX shell: unchanged where that is safe, else in single quotes.
[[nodiscard]] std::string shell_quote(std::string_view text);

/// A basic string of TOML, safe to print on a terminal. Bytes that are no UTF-8 cannot stand in
/// TOML: they become U+FFFD. Not `quoted`: some standard libraries would find std::quoted.
[[nodiscard]] std::string toml_string(std::string_view text);

/// What fnv1a() begins with.
inline constexpr std::uint64_t kFnvBasis = 0xCBF29CE484222325;

/// FNV-1a (Fowler, Noll and Vo), 64 bits: a checksum against accidents, or a number for a name.
/// Goes on from `hash`, so that a text can be given in parts.
[[nodiscard]] constexpr std::uint64_t fnv1a(std::string_view text, std::uint64_t hash = kFnvBasis) {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return hash;
}

/// Shell glob as fnmatch(3) without FNM_PATHNAME.
[[nodiscard]] bool glob_match(const std::string& pattern, const std::string& text);
/// Has any of the glob characters * ? [
[[nodiscard]] bool is_glob(std::string_view text);

/// Up to `count` of `candidates` that look most like `word` (edit distance, then order), only those
/// near enough to be a slip of the fingers.
[[nodiscard]] std::vector<std::string> nearest(std::string_view word,
                                               std::span<const std::string> candidates,
                                               std::size_t count = 3);

/// "a", "a and b", "a, b and c"; empty for none. `word` replaces "and".
[[nodiscard]] std::string join_words(std::span<const std::string> words,
                                     std::string_view word = "and");

}  // namespace anybind
