// Aliases as scripts/mod/file2alias.c writes them.
#include "capture/module_aliases.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace anybind::lab {
namespace {

using drivercore::PciId;

/// The digits behind `tag`, or "*", up to the next small letter.
std::optional<std::string_view> field(std::string_view& text, std::string_view tag) {
  if (!text.starts_with(tag)) return std::nullopt;
  text.remove_prefix(tag.size());
  const auto end = std::ranges::find_if(text, [](char c) { return c >= 'a' && c <= 'z'; });
  const auto length = static_cast<std::size_t>(end - text.begin());
  const std::string_view value = text.substr(0, length);
  text.remove_prefix(length);
  return value;
}

/// "00008086", or kAny for "*". No device has more than 16 bits, and no machine file could say so.
bool take_id(std::string_view& text, std::string_view tag, std::uint32_t& out) {
  const auto value = field(text, tag);
  if (!value) return false;
  if (*value == "*") return true;
  const auto number = parse_hex(*value, 0xFFFF);
  if (!number) return false;
  out = static_cast<std::uint32_t>(*number);
  return true;
}

/// One byte of the class: two digits, or "*" for a byte that does not count.
bool take_byte(std::string_view& text, std::string_view tag, unsigned shift, PciId& out) {
  const auto value = field(text, tag);
  if (!value) return false;
  if (*value == "*") return true;
  const auto number = parse_hex(*value, 0xFF);
  if (!number) return false;
  out.class_code |= static_cast<std::uint32_t>(*number) << shift;
  out.class_mask |= 0xFFU << shift;
  return true;
}

std::string module_name(std::string_view text) {
  std::string out(text);
  std::ranges::replace(out, '-', '_');
  return out;
}

void take_alias(Aliases& out, std::string_view alias, std::string_view module) {
  const auto colon = alias.find(':');
  if (colon == std::string_view::npos || module.empty()) return;
  const std::string_view bus = alias.substr(0, colon);
  const std::string_view rest = alias.substr(colon + 1);
  if (bus == "platform") {
    out[module_name(module)].platform.emplace_back(rest);
  } else if (bus == "pci" || bus == "vfio_pci") {
    auto id = parse_pci_alias(rest);
    if (!id) return;
    id->override_only = bus == "vfio_pci";
    out[module_name(module)].pci.push_back(*id);
  } else {
    out[module_name(module)].others.emplace_back(alias);
  }
}

}  // namespace

std::optional<PciId> parse_pci_alias(std::string_view text) {
  PciId out;
  const bool good = take_id(text, "v", out.vendor) && take_id(text, "d", out.device) &&
                    take_id(text, "sv", out.subvendor) && take_id(text, "sd", out.subdevice) &&
                    take_byte(text, "bc", 16, out) && take_byte(text, "sc", 8, out) &&
                    take_byte(text, "i", 0, out) && text.empty();
  return good ? std::optional(out) : std::nullopt;
}

Aliases parse_aliases(std::string_view modules_alias, std::string_view builtin) {
  Aliases out;
  while (!modules_alias.empty()) {
    std::string_view line = modules_alias.substr(0, modules_alias.find('\n'));
    modules_alias.remove_prefix(std::min(line.size() + 1, modules_alias.size()));
    const auto module = line.rfind(' ');
    if (!line.starts_with("alias ") || module < 6) continue;
    take_alias(out, line.substr(6, module - 6), line.substr(module + 1));
  }
  while (!builtin.empty()) {
    const std::string_view entry = builtin.substr(0, builtin.find('\0'));
    builtin.remove_prefix(std::min(entry.size() + 1, builtin.size()));
    const auto key = entry.find(".alias=");
    if (key == std::string_view::npos) continue;
    take_alias(out, entry.substr(key + 7), entry.substr(0, key));
  }
  return out;
}

}  // namespace anybind::lab
