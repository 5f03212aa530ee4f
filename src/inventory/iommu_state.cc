#include "inventory/iommu_state.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "base/text.h"
#include "inventory/boot_parameters.h"
#include "inventory/device.h"

namespace anybind {
namespace {

constexpr const char* kTables = "firmware/acpi/tables";
constexpr std::size_t kMostOut = 4;

using Ids = std::vector<DeviceId>;

std::vector<std::string> sorted_names(Sysfs& root, const std::string& path) {
  auto out = root.list(path).value_or(std::vector<std::string>{});
  std::ranges::sort(out);
  return out;
}

std::string text_at(Sysfs& root, const std::string& path) {
  const auto text = root.read(path);
  return text ? std::string(trim_newline(*text)) : "";
}

/// The table by which the firmware tells of an IOMMU: Intel, AMD, virtio, Arm.
std::string firmware_table(Sysfs& root) {
  const auto tables = sorted_names(root, kTables);
  for (const std::string_view name : {"DMAR", "IVRS", "VIOT", "IORT"}) {
    if (std::ranges::binary_search(tables, name)) return std::string(name);
  }
  return "";
}

/// A field of /proc/cpuinfo, of the first processor.
std::string processor_field(std::string_view text, std::string_view key) {
  const auto at = text.find(key);
  const auto colon = at == std::string_view::npos ? at : text.find(": ", at);
  if (colon == std::string_view::npos) return "";
  return std::string(text.substr(colon + 2, text.find('\n', colon) - colon - 2));
}

/// The makers of hypervisors, as they name themselves in the tables of a virtual machine.
bool names_hypervisor(Sysfs& root) {
  constexpr auto kVendors = std::to_array<std::string_view>(
      {"QEMU", "VMware, Inc.", "innotek GmbH", "Xen", "Amazon EC2", "Google Compute Engine",
       "OpenStack Foundation", "Parallels Software International Inc."});
  const std::string vendor = text_at(root, "class/dmi/id/sys_vendor");
  const std::string product = text_at(root, "class/dmi/id/product_name");
  const auto is_it = [&](std::string_view name) { return vendor == name || product == name; };
  if (std::ranges::any_of(kVendors, is_it)) return true;
  if (vendor == "Microsoft Corporation" && product == "Virtual Machine") return true;
  return root.read("firmware/devicetree/base/compatible")
      .value_or("")
      .starts_with("linux,dummy-virt");
}

/// Only hypervisors make such devices: VMware, VirtualBox, QEMU, whose emulated devices have a
/// subsystem of their own (QEMU, docs/specs/pci-ids.rst). A virtio device alone may be a real
/// card's.
bool names_hypervisor(Sysfs& root, const Ids& functions) {
  std::size_t of_qemu = 0;
  for (const DeviceId& device : functions) {
    const auto dir = root.open_dir(device.path());
    if (!dir) return false;
    const std::string vendor = text_at(**dir, "vendor");
    if (vendor == "0x15ad" || vendor == "0x80ee") return true;
    if (text_at(**dir, "subsystem_vendor") == "0x1af4" &&
        text_at(**dir, "subsystem_device") == "0x1100")
      return true;
    if (vendor == "0x1af4" || vendor == "0x1b36") ++of_qemu;
  }
  return of_qemu > 0 && of_qemu == functions.size();
}

IommuMaker maker_of(const IommuState& state, const std::string& processor) {
  const auto has_unit = [&](std::string_view start) {
    return std::ranges::any_of(state.units, [&](const auto& u) { return u.starts_with(start); });
  };
  if (has_unit("dmar")) return IommuMaker::kIntel;
  if (has_unit("ivhd")) return IommuMaker::kAmd;
  if (!state.units.empty()) return IommuMaker::kOther;
  if (state.table == "DMAR") return IommuMaker::kIntel;
  if (state.table == "IVRS") return IommuMaker::kAmd;
  if (!state.table.empty()) return IommuMaker::kOther;
  // Which one a virtual machine would be given is not its processor's business.
  if (state.is_virtual) return IommuMaker::kUnknown;
  if (processor == "GenuineIntel") return IommuMaker::kIntel;
  return processor == "AuthenticAMD" ? IommuMaker::kAmd : IommuMaker::kUnknown;
}

/// The parameter of the command line that keeps the IOMMU off; empty when there is none.
std::string switched_off(const BootParameters& boot) {
  for (const std::string_view name : {"intel_iommu", "amd_iommu", "iommu"}) {
    const std::string value = boot.value(name).value_or("");
    for (std::string_view rest = value; !rest.empty();) {
      const auto end = std::min(rest.find(','), rest.size());
      if (rest.substr(0, end) == "off") return fmt::format("{}={}", name, value);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return "";
}

struct Absence {
  std::string why;
  std::string advice;
};

/// The firmware tells of an IOMMU, and the kernel does not use it.
Absence why_unused(const IommuState& state, const BootParameters& boot) {
  if (state.table == "DMAR") {
    if (boot.value("intel_iommu").value_or("").contains("on"))
      return {"the IOMMU is off, although the firmware has VT-d and intel_iommu=on is given",
              "see why: dmesg | grep -i -e DMAR -e IOMMU"};
    return {"the IOMMU is off: the firmware has VT-d (table DMAR), the kernel does not use it",
            boot.how_to_add("intel_iommu=on")};
  }
  if (state.table == "IORT")
    return {
        "the IOMMU is off, or there is none: the firmware's table IORT may tell of an SMMU",
        "turn the SMMU on in the firmware setup; what the kernel found: dmesg | grep -i -e SMMU "
        "-e IORT"};
  return {fmt::format("the IOMMU is off, although the firmware has one (table {})", state.table),
          "see why: dmesg | grep -i -e AMD-Vi -e IOMMU"};
}

/// Nothing on this machine tells of an IOMMU.
Absence why_none(Sysfs& root, const IommuState& state, const std::string& processor) {
  if (state.is_virtual)
    return {
        "there is no IOMMU: this is a virtual machine without one of its own",
        "give it one (QEMU: -device intel-iommu,intremap=on,caching-mode=on, or on ARM -machine "
        "virt,iommu=smmuv3; VMware: I/O MMU, among the settings of its CPU)"};
  if (processor == "IBM/S390" && state.functions == 0)
    return {
        "there are no IOMMU groups: on this machine each PCI function brings its own, and it "
        "has none",
        "configure a function: echo 1 > /sys/bus/pci/slots/NUMBER/power"};
  if (root.open_dir(kTables)) {
    const char* name = state.maker == IommuMaker::kAmd     ? "IOMMU (AMD-Vi)"
                       : state.maker == IommuMaker::kIntel ? "VT-d"
                                                           : "the IOMMU (VT-d, AMD-Vi, SMMU)";
    return {"there is no IOMMU: the firmware tells of none",
            fmt::format("turn on {} in the firmware setup", name)};
  }
  if (root.open_dir("firmware/devicetree/base"))
    return {"there is no IOMMU: the kernel found none in the device tree of this board",
            "a board, or a device tree, with an SMMU before its devices; what the kernel found: "
            "dmesg | grep -i -e SMMU -e IOMMU"};
  return {"the IOMMU is off, or there is none",
          "turn the IOMMU on in the firmware setup and on the kernel command line (intel_iommu=on; "
          "on AMD it is on by itself)"};
}

void count_functions(Sysfs& root, const Ids& functions, IommuState& out) {
  out.functions = functions.size();
  for (const DeviceId& device : functions) {
    if (root.read_link(device.path() + "/iommu_group")) {
      ++out.in_groups;
      continue;
    }
    const auto dir = root.open_dir(device.path());
    const auto code = dir ? read_pci_class(**dir).value_or(std::nullopt) : std::nullopt;
    const bool is_bridge = code && is_bridge_class(*code);
    if (!is_bridge && out.out.size() < kMostOut) out.out.push_back(device.str());
  }
}

}  // namespace

std::vector<std::string> iommu_groups(Sysfs& root) {
  std::vector<std::string> out;
  for (const std::string& name : sorted_names(root, "kernel/iommu_groups")) {
    if (!parse_decimal(name)) continue;
    // A group without an IOMMU behind it: drivers/vfio/group.c:vfio_noiommu_group_alloc.
    if (text_at(root, fmt::format("kernel/iommu_groups/{}/name", name)) != "vfio-noiommu")
      out.push_back(name);
  }
  std::ranges::sort(out, [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  });
  return out;
}

IommuState read_iommu_state(const Host& host) {
  Sysfs& root = host.sysfs;
  const std::string cpu = host.files.read("proc/cpuinfo").value_or("");
  const std::string processor = processor_field(cpu, "vendor_id");
  IommuState out{.groups = iommu_groups(root).size(),
                 .units = sorted_names(root, "class/iommu"),
                 .table = firmware_table(root)};
  const auto functions = read_device_ids(root, BusName::literal("pci")).value_or(Ids());
  out.is_virtual = (processor_field(cpu, "flags") + " ").contains(" hypervisor ") ||
                   names_hypervisor(root) || (out.groups == 0 && names_hypervisor(root, functions));
  out.maker = maker_of(out, processor);
  count_functions(root, functions, out);
  if (out.is_on()) {
    if (out.out.empty()) return out;
    out.why = fmt::format("the IOMMU does not cover {}: {} of {} PCI functions are in a group",
                          join_words(out.out), out.in_groups, out.functions);
    out.advice = "see why: dmesg | grep -i -e DMAR -e AMD-Vi -e IOMMU";
    return out;
  }
  const BootParameters boot(host);
  const std::string off = switched_off(boot);
  Absence absence;
  if (!off.empty()) {
    absence = {fmt::format("the IOMMU is off: {} is on the kernel command line", off),
               boot.how_to_remove(off)};
  } else if (!out.table.empty()) {
    absence = why_unused(out, boot);
  } else {
    absence = why_none(root, out, processor);
  }
  out.why = std::move(absence.why);
  out.advice = std::move(absence.advice);
  return out;
}

}  // namespace anybind
