#include "base/ids.h"

#include <algorithm>
#include <iterator>

#include <fmt/compile.h>
#include <fmt/format.h>

#include "base/text.h"

namespace anybind {
namespace {

/// `text` as a hex number of `least` to `most` digits, at most `max`.
std::optional<std::uint32_t> hex_field(std::string_view text, std::size_t least, std::size_t most,
                                       std::uint32_t max) {
  const bool hex = std::ranges::all_of(text, [](unsigned char c) { return std::isxdigit(c) != 0; });
  if (text.size() < least || text.size() > most || !hex) return std::nullopt;
  const auto value = parse_hex(text, max);
  return value ? std::optional(static_cast<std::uint32_t>(*value)) : std::nullopt;
}

/// Cuts `text` at the last `separator`; returns what stood behind it.
std::optional<std::string_view> cut_last(std::string_view& text, char separator) {
  const auto at = text.rfind(separator);
  if (at == std::string_view::npos) return std::nullopt;
  const auto tail = text.substr(at + 1);
  text = text.substr(0, at);
  return tail;
}

}  // namespace

bool is_sysfs_name(std::string_view text) {
  if (text.empty() || text.size() > 255 || text == "." || text == "..") return false;
  if (is_printable_ascii(text)) return !text.contains('/');
  return std::ranges::none_of(text,
                              [](unsigned char c) { return c < 0x20 || c == 0x7F || c == '/'; });
}

std::string DeviceId::str() const {
  return bus.str() == "pci" ? name.str() : bus.str() + "/" + name.str();
}

std::string DeviceId::path() const {
  return "bus/" + bus.str() + "/devices/" + name.str();
}

std::string driver_path(const BusName& bus, const DriverName& driver) {
  return "bus/" + bus.str() + "/drivers/" + driver.str();
}

std::optional<PciAddress> PciAddress::parse(std::string_view text) {
  std::string plain(text);
  char function_separator = '.';
  if (text.starts_with("pci_")) {
    plain = std::string(text.substr(4));
    if (std::ranges::count(plain, '_') != 3) return std::nullopt;
    std::ranges::replace(plain, '_', ':');
    function_separator = ':';
  }
  std::string_view rest = plain;
  PciAddress out;
  if (const auto function = cut_last(rest, function_separator); function.has_value()) {
    const auto value = hex_field(*function, 1, 1, 7);
    if (!value) return std::nullopt;
    out.function = static_cast<std::uint8_t>(*value);
  }
  const auto slot = cut_last(rest, ':');
  if (!slot) return std::nullopt;
  const auto slot_value = hex_field(*slot, 1, 2, 0x1F);
  const auto bus = cut_last(rest, ':');
  const auto bus_value = hex_field(bus.value_or(rest), 1, 2, 0xFF);
  const auto domain_value =
      bus ? hex_field(rest, 4, 8, UINT32_MAX) : std::optional<std::uint32_t>(0);
  if (!slot_value || !bus_value || !domain_value) return std::nullopt;
  out.slot = static_cast<std::uint8_t>(*slot_value);
  out.bus = static_cast<std::uint8_t>(*bus_value);
  out.domain = *domain_value;
  return out;
}

std::string PciAddress::str() const {
  std::string out = fmt::format(FMT_COMPILE("{:04x}:{:02x}:{:02x}"), domain, bus, slot);
  if (function) fmt::format_to(std::back_inserter(out), FMT_COMPILE(".{:x}"), *function);
  return out;
}

}  // namespace anybind
