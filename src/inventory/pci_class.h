#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace anybind {

/// A short word for a PCI class code (24 bits), at most 13 letters: "ethernet", "nvme", "pci
/// bridge"; the word of the base class ("network") for others, "other" where there is none.
[[nodiscard]] std::string_view class_word(std::uint32_t class_code);

/// The base class (8 bits) that a selector's word means: driverctl's words, and those of classes
/// that came later.
[[nodiscard]] std::optional<std::uint32_t> base_class(std::string_view word);
/// The word itself, for ever, if class_word() has it for some class.
[[nodiscard]] std::optional<std::string_view> find_class_word(std::string_view word);
/// All words of base_class().
[[nodiscard]] std::vector<std::string> base_class_words();

}  // namespace anybind
