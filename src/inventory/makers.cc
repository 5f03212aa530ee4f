// What goes when a driver goes.
//
// A driver that leaves a device takes along what it has made: xhci_hcd its usb devices, virtio-pci
// its virtio device, ahci the disks, vmd a whole PCI domain, a network driver the virtual functions
// of its card. Sysfs shows who stands below whom, but not who has made whom: functions behind a PCI
// bridge stand below it, and stay when pcieport goes, since the PCI core has made them.
//
// So it is decided at the first device on the way down from the one that loses its driver:
//
//   - on another bus than that: its driver has made it. Not so for buses that firmware fills
//     (platform, acpi, ...): an ACPI device may stand below the PCI function that it belongs to.
//   - on the same bus: made by the driver on usb and fsl-mc, whose devices are found by the driver
//     of the one above. On pci it stays, unless a root bus lies between ("pci10000:e0"): a driver
//     that makes a root bus takes it away (linux drivers/pci/controller/vmd.c:vmd_remove).
//   - else nobody can tell.
//
// Virtual functions stand beside their physical function, and usb devices beside the interface of
// the hub that they hang on. Whether a driver removes its virtual functions when it goes is its own
// affair: ice and mlx5 do, nvme leaves them (linux drivers/nvme/host/pci.c:nvme_remove).
#include "inventory/makers.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "inventory/net_interface.h"

namespace anybind {
namespace {

/// Buses whose devices are made by firmware's tables, or by hand, wherever they stand.
constexpr std::array<std::string_view, 8> kFilledByOthers = {"platform", "acpi", "pnp",    "amba",
                                                             "pci",      "cpu",  "memory", "node"};

/// Buses on which the driver of a device makes the devices below it.
constexpr std::array<std::string_view, 2> kMadeFromAbove = {"usb", "fsl-mc"};

template <std::size_t N>
bool has(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

std::string_view above(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

bool is_pci_function(std::string_view name) {
  const auto address = PciAddress::parse(name);
  return address && address->function && address->str() == name;
}

/// "pci0000:00", "pci10000:e0".
bool is_root_bus(std::string_view name) {
  return name.starts_with("pci") && name.contains(':') && !name.contains('.');
}

/// Of the first device below `top`, which is on `bus`, on the way to `real`; nullopt: it stays.
std::optional<Goes> below(Sysfs& root, const BusName& bus, std::string_view top,
                          std::string_view real) {
  std::size_t end = top.size();
  while (end < real.size()) {
    end = std::min(real.find('/', end + 1), real.size());
    const std::string_view path = real.substr(0, end);
    const std::string_view name = link_name(path);
    if (is_root_bus(name)) return Goes::kSurely;
    if (bus.str() == "pci" && is_pci_function(name)) return std::nullopt;
    const auto subsystem = root.read_link(std::string(path) + "/subsystem");
    if (!subsystem || link_name(above(*subsystem)) != "bus") continue;
    const std::string_view on = link_name(*subsystem);
    if (on == bus.str()) return has(kMadeFromAbove, on) ? Goes::kSurely : Goes::kPerhaps;
    return has(kFilledByOthers, on) ? Goes::kPerhaps : Goes::kSurely;
  }
  return Goes::kPerhaps;
}

/// The nearest PCI function at or above a real path; empty when there is none.
std::string_view function_above(std::string_view real) {
  while (!real.empty() && !is_pci_function(link_name(real))) real = above(real);
  return real;
}

}  // namespace

Makers::Makers(Sysfs& root, const std::vector<DeviceId>& devices) : root_(root), devices_(devices) {
  for (std::size_t at = 0; at < devices_.size(); ++at) {
    const std::string real = read_syspath(root_, devices_[at]);
    const bool is_interface =
        devices_[at].bus.str() == "usb" && devices_[at].name.str().contains(':');
    if (is_interface) {
      const auto driver = root_.read_link(real + "/driver");
      if (driver && link_name(*driver) == "hub") hubs_.emplace(above(real), at);
    }
    at_path_.emplace(real, at);
  }
}

void Makers::add_of_path(std::string_view real, std::vector<Maker>& out) const {
  std::string_view child = real;
  for (std::string_view path = above(real); !path.empty(); child = path, path = above(path)) {
    const auto hub = hubs_.find(path);
    if (hub != hubs_.end() && !link_name(child).contains(':'))
      out.push_back({.at = hub->second, .goes = Goes::kSurely});
    const auto found = at_path_.find(path);
    if (found == at_path_.end()) continue;
    if (const auto goes = below(root_, devices_[found->second].bus, path, real))
      out.push_back({.at = found->second, .goes = *goes});
  }
}

std::vector<Makers::Maker> Makers::of(const DeviceId& device) const {
  std::vector<Maker> out;
  const std::string real = read_syspath(root_, device);
  add_of_path(real, out);
  const std::string_view function = function_above(real);
  if (function.empty()) return out;
  const auto physical = root_.read_link(std::string(function) + "/physfn");
  if (!physical) return out;
  const std::string path = fmt::format("{}/{}", above(function), link_name(*physical));
  for (std::size_t at = 0; at < devices_.size(); ++at) {
    if (devices_[at].bus.str() == "pci" && devices_[at].name.str() == link_name(*physical))
      out.push_back({.at = at, .goes = Goes::kAsFunction});
  }
  add_of_path(path, out);  // what goes with the physical function takes the virtual ones along
  return out;
}

bool Makers::takes(const DeviceId& device) const {
  return std::ranges::any_of(of(device),
                             [](const Maker& maker) { return maker.goes != Goes::kPerhaps; });
}

}  // namespace anybind
