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

/// An element by which a domain gets a PCI function: how it begins and ends, and what its tag says.
struct Element {
  std::string_view open;
  std::string_view close;
  std::string_view type;
};
constexpr std::array kElements = {Element{"<hostdev ", "</hostdev>", " type='pci'"},
                                  Element{"<interface ", "</interface>", " type='hostdev'"},
                                  Element{"<disk ", "</disk>", " type='nvme'"}};

/// Of an interface that gets its function from a pool, what libvirt has taken for it.
constexpr std::string_view kTaken = "<actual ";

/// The function that an element names; nullopt when it is of another type.
std::optional<LibvirtDevice> device_of(const Element& kind, std::string_view element) {
  if (const auto at = element.find(kTaken); at != std::string_view::npos) {
    element.remove_prefix(at);
  }
  if (!element.substr(0, element.find('>')).contains(kind.type)) return std::nullopt;
  // What stands behind the source is where the guest has it.
  auto source = element.substr(std::min(element.find("<source"), element.size()));
  source = source.substr(0, source.find("</source>"));
  const auto [domain, bus, slot, function] =
      std::array{number_in(source, "domain"), number_in(source, "bus"), number_in(source, "slot"),
                 number_in(source, "function")};
  if (!bus || !slot || !function) return std::nullopt;
  return LibvirtDevice{.address = fmt::format("{:04x}:{:02x}:{:02x}.{:x}", domain.value_or(0), *bus,
                                              *slot, *function),
                       .managed = element.contains("managed='yes'")};
}

}  // namespace

std::vector<LibvirtDevice> libvirt_devices(std::string_view xml) {
  std::vector<LibvirtDevice> out;
  for (const Element& kind : kElements) {
    std::string_view rest = xml;
    for (auto at = rest.find(kind.open); at != std::string_view::npos; at = rest.find(kind.open)) {
      const auto end = rest.find(kind.close, at);
      if (end == std::string_view::npos) break;
      if (auto device = device_of(kind, rest.substr(at, end - at))) {
        out.push_back(std::move(*device));
      }
      rest.remove_prefix(end + kind.close.size());
    }
  }
  return out;
}

std::vector<LibvirtDomain> running_domains(const Proc& run) {
  const Proc running = run.below("libvirt/qemu");
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
