#include "users/libvirt.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include <fmt/format.h>

#include "base/text.h"

namespace anybind {
namespace {

constexpr std::string_view kXml = ".xml";

/// The number behind " key='" in an element.
std::optional<std::uint64_t> number_in(std::string_view element, std::string_view key) {
  const auto start = element.find(fmt::format(" {}='", key));
  if (start == std::string_view::npos) return std::nullopt;
  const auto value = element.substr(start + key.size() + 3);
  return parse_hex(value.substr(0, value.find('\'')), UINT32_MAX);
}

}  // namespace

std::vector<LibvirtDevice> libvirt_devices(std::string_view xml) {
  std::vector<LibvirtDevice> out;
  constexpr std::string_view kOpen = "<hostdev ";
  constexpr std::string_view kClose = "</hostdev>";
  for (auto at = xml.find(kOpen); at != std::string_view::npos; at = xml.find(kOpen)) {
    const auto end = xml.find(kClose, at);
    if (end == std::string_view::npos) break;
    const std::string_view element = xml.substr(at, end - at);
    xml.remove_prefix(end + kClose.size());
    if (!element.contains("type='pci'")) continue;
    // What stands behind the source is where the guest has it.
    const auto source = element.substr(std::min(element.find("<source"), element.size()));
    const auto [domain, bus, slot, function] =
        std::array{number_in(source, "domain"), number_in(source, "bus"), number_in(source, "slot"),
                   number_in(source, "function")};
    if (!bus || !slot || !function) continue;
    out.push_back({.address = fmt::format("{:04x}:{:02x}:{:02x}.{:x}", domain.value_or(0), *bus,
                                          *slot, *function),
                   .managed = element.contains("managed='yes'")});
  }
  return out;
}

std::vector<LibvirtDomain> running_domains(const Proc& files) {
  const Proc running = files.below("run/libvirt/qemu");
  std::vector<LibvirtDomain> out;
  auto names = running.list("").value_or(std::vector<std::string>{});
  std::ranges::sort(names);
  for (const std::string& name : names) {
    if (!name.ends_with(kXml)) continue;
    auto devices = libvirt_devices(running.read(name).value_or(""));
    if (devices.empty()) continue;
    out.push_back(
        {.name = name.substr(0, name.size() - kXml.size()), .devices = std::move(devices)});
  }
  return out;
}

}  // namespace anybind
