// Is there an IOMMU, is it on, and how does it cut the machine into groups?
#include <algorithm>
#include <array>
#include <map>
#include <set>

#include <fmt/format.h>

#include "base/check.h"
#include "base/text.h"
#include "doctor/checks.h"
#include "inventory/vfio_driver.h"
#include "inventory/viability.h"

namespace anybind::doctor {
namespace {

constexpr const char* kTables = "firmware/acpi/tables";
constexpr std::size_t kMostGroups = 4096;

/// The table by which the firmware tells of an IOMMU: Intel, AMD, virtio, Arm.
std::string firmware_table(const Host& host) {
  const auto tables = names_in(host, kTables);
  CHECK(std::ranges::is_sorted(tables), "names_in() sorts");
  for (const std::string_view name : {"DMAR", "IVRS", "VIOT", "IORT"}) {
    if (std::ranges::binary_search(tables, name)) return std::string(name);
  }
  return "";
}

/// "GenuineIntel", "AuthenticAMD", and whether a hypervisor is below.
struct Processor {
  std::string vendor;
  bool is_virtual = false;
};

Processor processor(const Host& host) {
  Processor out;
  const std::string text = host.files.read("proc/cpuinfo").value_or("");
  const auto field = [&](std::string_view key) -> std::string {
    const auto at = text.find(key);
    const auto colon = at == std::string::npos ? at : text.find(": ", at);
    if (colon == std::string::npos) return "";
    return text.substr(colon + 2, text.find('\n', colon) - colon - 2);
  };
  out.vendor = field("vendor_id");
  out.is_virtual = (field("flags") + " ").contains(" hypervisor ");
  return out;
}

/// The parameter of the command line that keeps the IOMMU off; empty when there is none.
std::string switched_off(const Observed& seen) {
  for (const std::string_view name : {"intel_iommu", "amd_iommu", "iommu"}) {
    const std::string value = parameter(seen, name).value_or("");
    for (std::string_view rest = value; !rest.empty();) {
      const auto end = std::min(rest.find(','), rest.size());
      if (rest.substr(0, end) == "off") return fmt::format("{}={}", name, value);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return "";
}

void explain_absence(const Observed& seen, Report& out) {
  const Host& host = seen.host;
  const std::string off = switched_off(seen);
  const std::string table = firmware_table(host);
  const Processor cpu = processor(host);
  if (!off.empty()) {
    out.problem(fmt::format("off: {} is on the kernel command line", off),
                how_to_remove(seen, off));
  } else if (table == "DMAR") {
    const bool asked = parameter(seen, "intel_iommu").value_or("").contains("on");
    out.problem(
        asked ? "off, although the firmware has VT-d and intel_iommu=on is given"
              : "off: the firmware has VT-d (table DMAR), the kernel does not use it",
        asked ? "see why: dmesg | grep -i -e DMAR -e IOMMU" : how_to_add(seen, "intel_iommu=on"));
  } else if (!table.empty()) {
    out.problem(fmt::format("off, although the firmware has one (table {})", table),
                "see why: dmesg | grep -i -e AMD-Vi -e IOMMU -e SMMU");
  } else if (cpu.is_virtual) {
    out.problem("none: this is a virtual machine without an IOMMU of its own",
                "give it one (QEMU: -device intel-iommu,intremap=on,caching-mode=on)");
  } else if (host.sysfs.open_dir(kTables)) {
    const bool is_amd = cpu.vendor == "AuthenticAMD";
    out.problem("none: the firmware tells of no IOMMU",
                fmt::format("turn on {} in the firmware setup",
                            is_amd                         ? "IOMMU (AMD-Vi)"
                            : cpu.vendor == "GenuineIntel" ? "VT-d"
                                                           : "the IOMMU (VT-d, AMD-Vi, SMMU)"));
  } else {
    out.problem("none: there are no IOMMU groups",
                "turn the IOMMU on in the firmware setup and on the kernel command line");
  }
}

/// What shares a group without being one card: the members by slot, without bridges.
std::set<std::string> slots_of(const GroupView& group) {
  std::set<std::string> out;
  for (const GroupMember& member : group.members) {
    const std::string name = member.id.name.str();
    if (!member.is_bridge) out.insert(name.substr(0, name.rfind('.')));
  }
  return out;
}

template <class F>
void each_group(const Observed& seen, F&& f) {
  for (std::size_t i = 0; i < std::min(seen.groups.size(), kMostGroups); ++i) {
    const auto number = parse_decimal(seen.groups[i], UINT32_MAX);
    const auto group = number ? read_group_view(seen.host.sysfs, static_cast<unsigned>(*number))
                              : Result<GroupView>(GroupView{});
    if (group) f(*group);
  }
}

}  // namespace

void check_iommu(const Observed& seen, Report& out) {
  if (seen.groups.empty()) return explain_absence(seen, out);
  auto units = names_in(seen.host, "class/iommu");
  const std::string made_by = units.empty() ? "" : fmt::format(" ({})", some_of(units));
  out.ok(fmt::format("on: {}{}", counted(seen.groups.size(), "IOMMU group"), made_by));
}

void check_interrupts(const Observed& seen, Report& out) {
  // Elsewhere the interrupt controller keeps them apart by itself.
  const std::string table = firmware_table(seen.host);
  if (seen.groups.empty() || (table != "DMAR" && table != "IVRS")) return;
  const auto interrupts = seen.host.files.read("proc/interrupts");
  if (!interrupts) return;
  if (interrupts->contains(" IR-") || interrupts->contains(" AMD-IR") ||
      interrupts->contains(" DMAR-IR"))
    return out.ok("interrupt remapping is on");
  const auto unsafe =
      value_of(seen.host, "module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");
  const std::string fix = "turn interrupt remapping (x2APIC) on in the firmware setup";
  if (unsafe == "Y")
    return out.warning(
        "no interrupt remapping, and allow_unsafe_interrupts is set: a device can forge interrupts",
        fix);
  out.warning("no interrupt is remapped; without that VFIO refuses every group (EPERM)",
              fix +
                  "; only if all users of devices are trusted: options vfio_iommu_type1 "
                  "allow_unsafe_interrupts=1 in /etc/modprobe.d");
}

void check_no_iommu(const Observed& seen, Report& out) {
  const std::string file = "module/vfio/parameters/enable_unsafe_noiommu_mode";
  if (value_of(seen.host, file) == "Y") {
    out.warning("VFIO's no-IOMMU mode is on: who has such a device can read and write all memory",
                fmt::format("echo N > {}/{}", seen.host.sysfs_root, file));
  }
}

void check_groups(const Observed& seen, Report& out) {
  std::vector<std::string> mixed;
  std::string why;
  std::string example;
  each_group(seen, [&](const GroupView& group) {
    if (slots_of(group).size() < 2) return;
    mixed.push_back(std::to_string(group.number));
    if (!why.empty()) return;
    const auto last = std::ranges::find_if(group.members.rbegin(), group.members.rend(),
                                           [](const GroupMember& m) { return !m.is_bridge; });
    example = last->id.str();
    const auto reasons = missing_isolation(seen.host.sysfs, last->id, group);
    if (!reasons.empty()) why = fmt::format(": {}", reasons.front());
  });
  if (mixed.empty()) {
    if (!seen.groups.empty()) out.ok("each holds the functions of one card, and bridges");
    return;
  }
  out.warning(fmt::format("{} {} more than one card, which can only be given away together{}",
                          (mixed.size() == 1 ? "group " : "groups ") + some_of(mixed),
                          mixed.size() == 1 ? "holds" : "hold", why),
              "see which isolation is missing: " + Remark(Action::kExplain, {example, "vfio-pci"}) +
                  "; another slot may help");
}

void check_viability(const Observed& seen, Report& out) {
  std::size_t used = 0;
  each_group(seen, [&](const GroupView& group) {
    std::vector<DeviceId> going;
    for (const GroupMember& member : group.members) {
      if (member.driver && is_vfio_driver(member.driver->str())) going.push_back(member.id);
    }
    if (going.empty()) return;
    ++used;
    const auto state = judge_group(seen.host.sysfs, group, going, seen.host.rule);
    if (state.viable) return;
    CHECK(!state.changes.empty(), "a group that cannot be used comes with what to do");
    std::vector<std::string> blocking;
    for (const MemberRole& role : state.members) {
      if (role.blocks)
        blocking.push_back(
            fmt::format("{} on {}", role.member.id.str(), role.member.driver->str()));
    }
    out.warning(fmt::format("group {}: {} is on a VFIO driver, but cannot be used because of {}",
                            group.number, going.front().str(), some_of(blocking)),
                state.changes.front());
  });
  if (out.empty() && used != 0)
    out.ok(fmt::format("{} in use for VFIO, each can be opened", counted(used, "group")));
}

}  // namespace anybind::doctor
