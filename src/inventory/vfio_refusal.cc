// What VFIO refuses, asked for before anything is written: a bind that succeeds is of no use when
// its device cannot be opened, and one that the driver refuses has cost the device its host driver
// for a moment.
//
// What can go wrong is to refuse what would have worked. So only what the kernel decides by the
// very thing that is looked at counts here (the places in its source are named), and each has a
// name by which it can be ignored. A region that is only preferred 1:1 (direct-relaxable) does
// not count, and neither does what cannot be read.
#include "inventory/vfio_refusal.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include <fmt/format.h>

#include "base/text.h"
#include "inventory/device.h"
#include "inventory/vfio_driver.h"

namespace anybind {
namespace {

constexpr std::size_t kMostRegions = 256;  // lines that are looked at
constexpr std::size_t kMostNamed = 4;

/// "0x00000000cd000000-0x00000000cd0fffff" for each line "START END direct" of reserved_regions
/// (linux drivers/iommu/iommu.c:iommu_group_show_resv_regions).
std::vector<std::string> direct_regions(std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < kMostRegions && !text.empty(); ++i) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const auto first = line.find(' ');
    const auto second = line.find(' ', std::min(first, line.size() - 1) + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    if (line.substr(second + 1) != "direct") continue;
    out.push_back(printable(
        fmt::format("{}-{}", line.substr(0, first), line.substr(first + 1, second - first - 1))));
  }
  return out;
}

/// The kernel then attaches no device of the group to the domain of a user
/// (linux drivers/iommu/iommu.c:__iommu_device_set_domain, require_direct, since 6.6; before,
/// drivers/iommu/intel/iommu.c:device_is_rmrr_locked).
std::optional<VfioRefusal> refused_group(Sysfs& root, unsigned group) {
  const auto text = root.read(fmt::format("kernel/iommu_groups/{}/reserved_regions", group));
  auto regions = text ? direct_regions(*text) : std::vector<std::string>();
  if (regions.empty()) return std::nullopt;
  if (regions.size() > kMostNamed) {
    const std::string more = fmt::format("{} more", regions.size() - kMostNamed);
    regions.resize(kMostNamed);
    regions.push_back(more);
  }
  return VfioRefusal{
      .guard = std::string(kReservedRegion),
      .object = fmt::format("IOMMU group {}", group),
      .what = fmt::format("the firmware wants {} mapped one to one for a device of the group (a "
                          "reserved region of type direct), and so user space cannot open it: "
                          "EINVAL, before Linux 6.6 EPERM",
                          join_words(regions)),
      .advice =
          "switch off in the firmware what wants that memory (on HPE servers the shared "
          "memory of the slot), or take a card without such a region"};
}

/// Intel's accelerators whose errata a user could exploit (linux
/// drivers/vfio/pci/vfio_pci.c:vfio_pci_dev_in_denylist; the last two since 6.9).
bool is_denied(unsigned vendor, unsigned device) {
  constexpr std::array<unsigned, 8> kDenied = {0x0435, 0x0443, 0x19E2, 0x19E3,
                                               0x37C8, 0x37C9, 0x0B25, 0x0CFE};
  return vendor == 0x8086 && std::ranges::find(kDenied, device) != kDenied.end();
}

/// Only vfio-pci itself looks at the list, unless its parameter says no. Before its module is
/// loaded nobody knows that.
bool has_denylist(Sysfs& root, const DriverName& driver) {
  if (driver.str() != "vfio-pci") return false;
  const auto off = root.read("module/vfio_pci/parameters/disable_denylist");
  return off && off->starts_with('N');
}

VfioRefusal denied(std::string object, unsigned vendor, unsigned device, std::string_view who) {
  return {.guard = std::string(kDeniedDevice),
          .object = std::move(object),
          .what = fmt::format("vfio-pci refuses {} of this type ({:04x}:{:04x}), whose errata a "
                              "user could exploit",
                              who, vendor, device),
          .advice =
              "if all users of it are trusted: options vfio_pci disable_denylist=1 in "
              "modprobe.d, and load vfio-pci again"};
}

/// A bridge by its header, whatever its class: only such functions have this file (linux
/// drivers/pci/pci-sysfs.c:pci_bridge_attrs_are_visible). VFIO takes functions of header type 0
/// (drivers/vfio/pci/vfio_pci_core.c:vfio_pci_core_register_device).
bool has_bridge_header(Sysfs& root, const DeviceId& device) {
  return root.read(device.path() + "/secondary_bus_number").has_value();
}

std::optional<unsigned> hex_in(Sysfs& root, const std::string& path) {
  const auto text = root.read(path);
  if (!text) return std::nullopt;
  std::string_view digits = trim_newline(*text);
  if (digits.starts_with("0x")) digits.remove_prefix(2);
  const auto value = parse_hex(digits, 0xFFFF);
  return value ? std::optional(static_cast<unsigned>(*value)) : std::nullopt;
}

}  // namespace

bool has_remapped(std::string_view interrupts) {
  return interrupts.contains(" IR-") || interrupts.contains(" AMD-IR") ||
         interrupts.contains(" DMAR-IR");
}

const std::vector<std::string>& vfio_guard_names() {
  static const std::vector<std::string> kNames = {
      std::string(kDeniedDevice), std::string(kInterruptRemapping), std::string(kPciHeader),
      std::string(kReservedRegion)};
  return kNames;
}

Remark VfioRefusal::way_out() const {
  return advice + " (or " + Remark(Action::kIgnore, {guard}) + ")";
}

std::vector<VfioRefusal> vfio_refusals(Sysfs& root, const DriverName& driver,
                                       const std::vector<DeviceId>& devices,
                                       const std::vector<unsigned>& groups) {
  std::vector<VfioRefusal> out;
  if (!is_vfio_driver(driver.str())) return out;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const auto end = groups.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::find(groups.begin(), end, groups[i]) != end) continue;
    if (auto refused = refused_group(root, groups[i])) out.push_back(*std::move(refused));
  }
  const bool asks_list = has_denylist(root, driver);
  for (const DeviceId& device : devices) {
    if (device.bus.str() != "pci") continue;
    if (has_bridge_header(root, device)) {
      out.push_back(
          {.guard = std::string(kPciHeader),
           .object = device.str(),
           .what = "its configuration space is that of a bridge, which VFIO does not take",
           .advice = "leave it out: bridges do not hinder the other members of a group"});
    }
    if (!asks_list || hex_in(root, device.path() + "/vendor") != 0x8086U) continue;
    const unsigned id = hex_in(root, device.path() + "/device").value_or(0);
    if (is_denied(0x8086, id)) out.push_back(denied(device.str(), 0x8086, id, "devices"));
  }
  return out;
}

std::optional<VfioRefusal> refused_interrupts(const Host& host) {
  // Before the module is loaded nobody knows what it will allow.
  const auto unsafe = host.sysfs.read("module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");
  const auto units = host.sysfs.list("class/iommu");
  if (!unsafe || !unsafe->starts_with('N') || !units) return std::nullopt;
  // Elsewhere the interrupt controller keeps them apart by itself.
  const bool is_x86 = std::ranges::any_of(*units, [](const std::string& unit) {
    return unit.starts_with("dmar") || unit.starts_with("ivhd");
  });
  const auto interrupts =
      is_x86 ? host.files.read("proc/interrupts") : Reply<std::string>(std::unexpected(Errno{}));
  if (!interrupts || has_remapped(*interrupts)) return std::nullopt;
  return VfioRefusal{
      .guard = std::string(kInterruptRemapping),
      .object = "this machine",
      .what = "no interrupt is remapped; without that VFIO refuses every group (EPERM)",
      .advice =
          "turn interrupt remapping (x2APIC) on in the firmware setup; only if all users of "
          "devices are trusted: options vfio_iommu_type1 allow_unsafe_interrupts=1 in "
          "modprobe.d"};
}

std::optional<VfioRefusal> refused_functions(Sysfs& root, const DriverName& driver,
                                             const DeviceId& pf) {
  if (!has_denylist(root, driver)) return std::nullopt;
  const unsigned vendor = hex_in(root, pf.path() + "/vendor").value_or(0);
  const unsigned id = hex_in(root, pf.path() + "/sriov_vf_device").value_or(0);
  if (!is_denied(vendor, id)) return std::nullopt;
  return denied(pf.str(), vendor, id, "virtual functions");
}

}  // namespace anybind
