#include "drivercore/machine_ids.h"

#include <array>

#include <fmt/format.h>

#include "base/errno.h"
#include "base/text.h"

namespace anybind::drivercore {
namespace {

constexpr int kProbeDefer = -517;
constexpr int kMaxErrno = 133;

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

bool take_extra(std::string_view word, PciId& id) {
  if (word == "override_only") return id.override_only = true;
  const std::string_view key = cut(word, '=');
  if (key == "data") {
    const auto value = parse_hex(word);
    id.data = value.value_or(0);
    return value.has_value();
  }
  if (key != "class") return false;
  const auto code = parse_hex(cut(word, '/'), PciId::kAny);
  const auto mask =
      word.empty() ? std::optional<std::uint64_t>(0xFFFFFF) : parse_hex(word, PciId::kAny);
  if (!code || !mask) return false;
  id.class_code = static_cast<std::uint32_t>(*code);
  id.class_mask = static_cast<std::uint32_t>(*mask);
  return true;
}

std::string field(std::uint32_t value) {
  return value == PciId::kAny ? "*" : fmt::format("{:04x}", value);
}

}  // namespace

std::optional<PciId> parse_pci_id(std::string_view text) {
  PciId id;
  if (!take_ids(cut(text, ' '), id)) return std::nullopt;
  while (!text.empty()) {
    if (!take_extra(cut(text, ' '), id)) return std::nullopt;
  }
  return id;
}

std::string format_pci_id(const PciId& id) {
  std::string out = field(id.vendor) + ":" + field(id.device);
  if (id.subvendor != PciId::kAny || id.subdevice != PciId::kAny) {
    out += ":" + field(id.subvendor) + ":" + field(id.subdevice);
  }
  if (id.class_code != 0 || id.class_mask != 0) {
    out += fmt::format(" class={:06x}/{:06x}", id.class_code, id.class_mask);
  }
  if (id.data != 0) out += fmt::format(" data={:x}", id.data);
  if (id.override_only) out += " override_only";
  return out;
}

std::optional<int> parse_probe(std::string_view text) {
  if (text == "ok") return 0;
  if (text == "defer") return kProbeDefer;
  for (int value = 1; value <= kMaxErrno; ++value) {
    if (Errno{value}.name() == text) return -value;
  }
  return std::nullopt;
}

std::string format_probe(int result) {
  if (result == 0) return "ok";
  return result == kProbeDefer ? "defer" : Errno{-result}.name();
}

}  // namespace anybind::drivercore
