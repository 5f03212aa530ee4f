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

constexpr std::size_t kMostGroups = 4096;

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
  const IommuState& state = seen.iommu;
  if (!state.is_on()) return out.problem(state.why, state.advice);
  const std::string made_by = state.units.empty() ? "" : fmt::format(" ({})", some_of(state.units));
  out.ok(fmt::format("on: {}{}, with {} of {} PCI functions", counted(state.groups, "IOMMU group"),
                     made_by, state.in_groups, state.functions));
  if (!state.why.empty()) out.warning(state.why, state.advice);
}

void check_interrupts(const Observed& seen, Report& out) {
  // Elsewhere the interrupt controller keeps them apart by itself.
  const bool is_x86 =
      seen.iommu.maker == IommuMaker::kIntel || seen.iommu.maker == IommuMaker::kAmd;
  if (seen.groups.empty() || !is_x86) return;
  const auto interrupts = seen.host.files.read("proc/interrupts");
  if (!interrupts) return;
  if (has_remapped(*interrupts)) return out.ok("interrupt remapping is on");
  if (auto refused = refused_interrupts(seen.host))
    return out.warning(std::move(refused->what), std::move(refused->advice));
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

void check_reserved(const Observed& seen, Report& out) {
  std::vector<std::string> refused;
  Remark fix;
  each_group(seen, [&](const GroupView& group) {
    auto found =
        vfio_refusals(seen.host.sysfs, DriverName::literal("vfio-pci"), {}, {group.number});
    if (found.empty()) return;
    refused.push_back(std::to_string(group.number));
    fix = std::move(found.front().advice);
  });
  if (refused.empty()) return;
  out.warning(fmt::format("{} cannot be given to user space: the firmware wants memory mapped one "
                          "to one there",
                          (refused.size() == 1 ? "group " : "groups ") + some_of(refused)),
              std::move(fix));
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
    if (!state.refusals.empty()) {
      const VfioRefusal& refusal = state.refusals.front();
      out.warning(fmt::format("group {}: {} is on a VFIO driver, but cannot be opened: {}",
                              group.number, going.front().str(), refusal.what),
                  refusal.advice);
    }
    if (state.viable) return;
    CHECK(!state.changes.empty(), "a group that cannot be used comes with what to do");
    std::vector<std::string> blocking;
    for (const MemberRole& role : state.members) {
      if (role.blocks)
        blocking.push_back(
            fmt::format("{} on {}", role.member.id.str(), role.member.driver_words()));
    }
    out.warning(fmt::format("group {}: {} is on a VFIO driver, but cannot be used because of {}",
                            group.number, going.front().str(), some_of(blocking)),
                state.changes.front());
  });
  if (out.empty() && used != 0)
    out.ok(fmt::format("{} in use for VFIO, each can be opened", counted(used, "group")));
}

}  // namespace anybind::doctor
