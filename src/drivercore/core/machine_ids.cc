#include "drivercore/core/machine_ids.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/format.h>

#include "base/errno.h"
#include "base/text.h"
#include "drivercore/core/operation.h"

namespace anybind::drivercore {
namespace {

constexpr int kMaxErrno = 4095;
constexpr int kLastNamed = 133;

/// Cuts the part of `text` before `separator` off.
std::string_view cut(std::string_view& text, char separator) {
  const auto at = text.find(separator);
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return part;
}

bool take_ids(std::string_view text, PciId& id) {
  const std::array<std::uint32_t*, 4> fields = {&id.vendor, &id.device, &id.subvendor,
                                                &id.subdevice};
  std::size_t count = 0;
  while (!text.empty()) {
    const std::string_view field = cut(text, ':');
    const auto value = parse_hex(field, PciId::kAny);
    if (count == fields.size() || (!value && field != "*")) return false;
    *fields.at(count++) = value ? static_cast<std::uint32_t>(*value) : PciId::kAny;
  }
  return count == 2 || count == 4;
}

/// "0c0330", "0604" or "03": a class by its first bytes.
bool take_class_digits(std::string_view digits, PciId& id) {
  const auto code = parse_hex(digits, 0xFFFFFF);
  const std::size_t missing = 6 - std::min<std::size_t>(digits.size(), 6);
  if (!code || digits.size() > 6 || digits.size() % 2 != 0) return false;
  id.class_code = static_cast<std::uint32_t>(*code << (4 * missing));
  id.class_mask = static_cast<std::uint32_t>((0xFFFFFFU << (4 * missing)) & 0xFFFFFFU);
  return true;
}

/// The same, or CLASS/MASK.
bool take_class(std::string_view text, PciId& id) {
  if (!text.contains('/')) return take_class_digits(text, id);
  const auto code = parse_hex(cut(text, '/'), PciId::kAny);
  const auto mask = parse_hex(text, PciId::kAny);
  if (!code || !mask) return false;
  id.class_code = static_cast<std::uint32_t>(*code);
  id.class_mask = static_cast<std::uint32_t>(*mask);
  return true;
}

bool take_extra(std::string_view word, PciId& id) {
  if (word == "override_only") return id.override_only = true;
  const std::string_view key = cut(word, '=');
  if (key == "class") return take_class(word, id);
  const auto value = parse_hex(word);
  if (key != "data" || !value) return false;
  id.data = *value;
  return true;
}

std::string field(std::uint32_t value) {
  return value == PciId::kAny ? "*" : fmt::format("{:04x}", value);
}

std::string format_class(const PciId& id) {
  if (id.class_mask == 0xFFFFFF && id.class_code <= 0xFFFFFF) {
    return fmt::format("{:06x}", id.class_code);
  }
  return fmt::format("{:06x}/{:06x}", id.class_code, id.class_mask);
}

}  // namespace

std::optional<PciId> parse_pci_id(std::string_view text) {
  PciId id;
  std::string_view first = cut(text, ' ');
  const bool by_class = first.starts_with("class:");
  if (by_class ? !take_class(first.substr(6), id) : !take_ids(first, id)) return std::nullopt;
  while (!text.empty()) {
    if (!take_extra(cut(text, ' '), id)) return std::nullopt;
  }
  return id;
}

std::string format_pci_id(const PciId& id) {
  const bool any_type = id.vendor == PciId::kAny && id.device == PciId::kAny;
  const bool any_card = id.subvendor == PciId::kAny && id.subdevice == PciId::kAny;
  const bool has_class = id.class_code != 0 || id.class_mask != 0;
  std::string out;
  if (has_class && any_type && any_card) {
    out = "class:" + format_class(id);
  } else {
    out = field(id.vendor) + ":" + field(id.device);
    if (!any_card) out += ":" + field(id.subvendor) + ":" + field(id.subdevice);
    if (has_class) out += " class=" + format_class(id);
  }
  if (id.data != 0) out += fmt::format(" data={:x}", id.data);
  if (id.override_only) out += " override_only";
  return out;
}

std::optional<std::string> parse_region(std::string_view text) {
  constexpr std::array<std::string_view, 4> kTypes = {"direct", "direct-relaxable", "reserved",
                                                      "msi"};
  std::array<std::uint64_t, 2> ends{};
  for (std::uint64_t& end : ends) {
    std::string_view number = cut(text, ' ');
    if (!number.starts_with("0x")) return std::nullopt;
    const auto value = parse_hex(number.substr(2));
    if (!value) return std::nullopt;
    end = *value;
  }
  if (ends[0] > ends[1] || std::ranges::find(kTypes, text) == kTypes.end()) return std::nullopt;
  return fmt::format("0x{:016x} 0x{:016x} {}", ends[0], ends[1], text);
}

bool has_override_only_id(const Driver& driver) {
  return std::ranges::any_of(driver.ids, &PciId::override_only);
}

std::optional<int> parse_probe(std::string_view text) {
  if (text == "ok") return 0;
  if (text == "defer") return -kProbeDefer;
  if (const auto number = parse_decimal(text, kMaxErrno); number && *number > 0) {
    return -static_cast<int>(*number);
  }
  for (int value = 1; value <= kLastNamed; ++value) {
    if (Errno{value}.name() == text) return -value;
  }
  return std::nullopt;
}

std::string format_probe(int result) {
  if (result == 0) return "ok";
  if (result == -kProbeDefer) return "defer";
  return -result <= kLastNamed ? Errno{-result}.name() : std::to_string(-result);
}

}  // namespace anybind::drivercore
