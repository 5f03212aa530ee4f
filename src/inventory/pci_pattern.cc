#include "inventory/pci_pattern.h"

#include <fmt/format.h>

#include "base/text.h"
#include "inventory/pci_class.h"

namespace anybind {

std::optional<IdPattern> IdPattern::parse(std::string_view text) {
  if (!text.contains(':')) return std::nullopt;
  IdPattern out;
  for (auto& want : out.fields) {
    const std::string_view field = text.substr(0, text.find(':'));
    if (!field.empty() && field != "*") {
      const auto number = parse_hex(field, 0xFFFF);
      if (!number) return std::nullopt;
      want = static_cast<std::uint16_t>(*number);
    }
    if (field.size() == text.size()) return out;
    text.remove_prefix(field.size() + 1);
  }
  return std::nullopt;  // a fifth field
}

bool IdPattern::matches(const PciIds& ids) const {
  const std::array<std::uint16_t, 4> has = {ids.vendor, ids.device, ids.subvendor, ids.subdevice};
  for (std::size_t i = 0; i < has.size(); ++i) {
    if (fields[i].value_or(has[i]) != has[i]) return false;
  }
  return true;
}

std::string IdPattern::str() const {
  std::string out;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (i >= 2 && !fields[2] && !fields[3]) break;
    if (i != 0) out += ':';
    out += fields[i] ? fmt::format("{:04x}", *fields[i]) : "*";
  }
  return out;
}

bool IdPattern::covers(const IdPattern& narrower) const {
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (fields[i] && fields[i] != narrower.fields[i]) return false;
  }
  return true;
}

std::optional<ClassPattern> ClassPattern::parse(std::string_view text) {
  if (const auto base = base_class(text)) return ClassPattern{.code = *base, .digits = 2};
  if (const auto word = find_class_word(text)) return ClassPattern{.word = *word};  // also "3d"
  const std::size_t size = text.size();
  if ((size == 2 || size == 4 || size == 6) && !text.contains('x')) {
    if (const auto code = parse_hex(text)) {
      return ClassPattern{.code = static_cast<std::uint32_t>(*code),
                          .digits = static_cast<unsigned>(size)};
    }
  }
  return std::nullopt;
}

std::string ClassPattern::str() const {
  return digits == 0 ? std::string(word) : fmt::format("{:0{}x}", code, digits);
}

bool ClassPattern::matches(std::uint32_t class_code) const {
  if (digits == 0) return class_word(class_code) == word;
  return class_code >> (4 * (6 - digits)) == code;
}

}  // namespace anybind
