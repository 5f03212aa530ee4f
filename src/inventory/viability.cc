#include "inventory/viability.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include <fmt/format.h>

#include "base/check.h"
#include "inventory/config_space.h"
#include "inventory/makers.h"
#include "inventory/net_interface.h"

namespace anybind {
namespace {

// Offsets and bits of a PCI configuration space, by the names of linux
// include/uapi/linux/pci_regs.h.
constexpr std::size_t kHeaderType = 0x0E;
constexpr unsigned kExpress = 0x10;
constexpr unsigned kAcs = 0x0D;
constexpr unsigned kMultifunction = 0x80;

/// What pci_acs_enabled() wants: linux drivers/iommu/iommu.c:REQ_ACS_FLAGS.
constexpr unsigned kSourceValidation = 0x01;
constexpr unsigned kRequestRedirect = 0x04;
constexpr unsigned kCompletionRedirect = 0x08;
constexpr unsigned kUpstreamForwarding = 0x10;
constexpr unsigned kWanted =
    kSourceValidation | kRequestRedirect | kCompletionRedirect | kUpstreamForwarding;

enum class Port : std::uint8_t {
  kConventional,
  kEndpoint,
  kRootPort,
  kUpstream,
  kDownstream,
  kToConventional
};

/// What the configuration space of a function says of its isolation.
struct Config {
  Port port = Port::kConventional;
  bool multifunction = false;
  bool complete = false;  ///< the extended part was there to read
  std::optional<unsigned> acs_capability{};
  unsigned acs_control = 0;
};

Port port_of(unsigned type) {
  switch (type) {
    case 0x4:
      return Port::kRootPort;
    case 0x5:
      return Port::kUpstream;
    case 0x6:
      return Port::kDownstream;
    case 0x7:
    case 0x8:
    case 0xA:
      return Port::kToConventional;  // bridges either way, and root complex event collectors
    default:
      return Port::kEndpoint;
  }
}

/// nullopt when it cannot be read far enough to tell anything: without rights the first 64 bytes.
std::optional<Config> read_config(Sysfs& root, const DeviceId& id) {
  const auto text = root.read(id.path() + "/config");
  if (!text || text->size() <= 0x40) return std::nullopt;
  const ConfigSpace bytes(*text);
  if (bytes.byte(ConfigSpace::kCapabilities) == 0)
    return std::nullopt;  // a model's, or too old to tell
  Config out{.multifunction = (bytes.byte(kHeaderType) & kMultifunction) != 0};
  const std::size_t express = bytes.find_capability(kExpress);
  if (express == 0) return out;
  out.port = port_of((bytes.word(express + 2) >> 4) & 0xFU);
  out.complete = bytes.size() > ConfigSpace::kExtended;
  const std::size_t acs = bytes.find_extended(kAcs);
  if (acs == 0) return out;
  out.acs_capability = bytes.word(acs + 4);
  out.acs_control = bytes.word(acs + 6);
  return out;
}

std::string flag_words(unsigned flags) {
  std::string out;
  const auto add = [&](unsigned flag, std::string_view word) {
    if ((flags & flag) != 0) out.append(out.empty() ? "" : ", ").append(word);
  };
  add(kSourceValidation, "source validation");
  add(kRequestRedirect, "request redirect");
  add(kCompletionRedirect, "completion redirect");
  add(kUpstreamForwarding, "upstream forwarding");
  return out;
}

/// What pci_acs_flags_enabled() misses; empty: nothing.
std::string missing_flags(const Config& config) {
  if (!config.complete) return "";
  if (!config.acs_capability) return "has no ACS";
  // A function need not have what makes no difference for it.
  const unsigned missing = kWanted & *config.acs_capability & ~config.acs_control;
  return missing == 0 ? "" : "has ACS, but switched off: " + flag_words(missing);
}

/// Why a bridge lets what is below it speak to each other, after linux drivers/pci/pci.c:
/// pci_acs_enabled; empty when it does not, or that cannot be told.
std::string leak_of(const Config& config) {
  switch (config.port) {
    case Port::kConventional:
      return "is conventional PCI, which knows no isolation";
    case Port::kToConventional:
      return "leads to conventional PCI: the IOMMU cannot tell apart what is behind it";
    case Port::kRootPort:
    case Port::kDownstream:
      return missing_flags(config);
    case Port::kUpstream:
    case Port::kEndpoint:
      return config.multifunction ? missing_flags(config) : "";
  }
  return "";
}

std::string slot_of(const DeviceId& id) {
  return id.name.str().substr(0, id.name.str().rfind('.'));
}

const GroupMember* find_member(const GroupView& group, const DeviceId& id) {
  const auto found = std::ranges::find(group.members, id, &GroupMember::id);
  return found == group.members.end() ? nullptr : &*found;
}

/// The bridges above a function, the nearest first.
std::vector<DeviceId> bridges_above(Sysfs& root, const DeviceId& id) {
  std::vector<DeviceId> out;
  const std::string real = read_syspath(root, id);
  for (std::string_view path = real; path.contains('/');) {
    path = path.substr(0, path.rfind('/'));
    const std::string name(link_name(path));
    const auto address = PciAddress::parse(name);
    if (!address || !address->function || address->str() != name) break;
    out.push_back({.bus = id.bus, .name = DeviceName::literal(name)});
  }
  return out;
}

MemberRole role_of(const GroupMember& member, GroupRule rule) {
  MemberRole out{.member = member, .blocks = member.blocks_user_space(rule), .why = {}};
  if (out.blocks) {
    out.why = "must leave its driver, which uses the group for the host";
  } else if (!member.driver) {
    out.why =
        "may stay without a driver; no host driver can have it while user space has the group";
  } else if (member.is_bridge) {
    out.why = "may stay: its driver does not use the group";
  } else {
    out.why = "may stay: its driver is for user space";
  }
  return out;
}

std::vector<Remark> changes_for(const Viability& state, const std::vector<DeviceId>& going) {
  std::vector<std::string> others;
  std::vector<std::string> bridges;
  for (const MemberRole& role : state.members) {
    if (role.blocks) (role.member.is_bridge ? bridges : others).push_back(role.member.id.str());
  }
  std::vector<Remark> out;
  if (!others.empty()) {
    const std::string device = going.empty() ? "DEVICE" : going.front().str();
    out.push_back(Remark(Action::kBindGroup, {device, "DRIVER"}) + ", or " +
                  Remark(Action::kUnbind, others));
  }
  if (!bridges.empty()) out.emplace_back(Action::kUnbindBridge, bridges);
  if (!state.isolation.empty() && !(others.empty() && bridges.empty())) {
    out.emplace_back("or put the card into another slot, below a port with ACS");
  }
  return out;
}

}  // namespace

std::vector<std::string> missing_isolation(Sysfs& root, const DeviceId& device,
                                           const GroupView& group) {
  std::vector<std::string> out;
  if (device.bus.str() != "pci") return out;
  const std::string slot = slot_of(device);
  const auto is_sibling = [&](const GroupMember& m) {
    return m.id != device && slot_of(m.id) == slot;
  };
  const auto is_apart = [&](const GroupMember& m) { return slot_of(m.id) != slot; };
  if (std::ranges::any_of(group.members, is_sibling)) {
    const auto config = read_config(root, device);
    const std::string leak = config ? leak_of(*config) : "";
    if (!leak.empty()) {
      out.push_back(
          fmt::format("{} shares its slot with other functions and {}", device.str(), leak));
    }
  }
  if (std::ranges::none_of(group.members, is_apart)) return out;
  for (const DeviceId& bridge : bridges_above(root, device)) {
    // One with a leak is in the group of what is below it; else a quirk of the kernel trusts it.
    if (find_member(group, bridge) == nullptr) continue;
    const auto config = read_config(root, bridge);
    const std::string leak = config ? leak_of(*config) : "";
    if (!leak.empty()) out.push_back(fmt::format("{}, above it, {}", bridge.str(), leak));
  }
  return out;
}

Viability judge_group(Sysfs& root, const GroupView& group, const std::vector<DeviceId>& going,
                      GroupRule rule) {
  Viability out{.group = group.number};
  out.rule = rule == GroupRule::kDmaOwnership
                 ? "a driver takes the DMA of the whole group for the host, unless it is vfio-*, "
                   "pci-stub or pcieport (Linux 5.19 and later)"
                 : "each member must be on vfio-*, pci-stub or no driver; PCI bridges do not count "
                   "(Linux before 5.19)";
  const Makers makers(root, going);
  for (const GroupMember& member : group.members) {
    if (std::ranges::find(going, member.id) != going.end()) continue;
    MemberRole role = role_of(member, rule);
    if (role.blocks && makers.takes(member.id)) {
      role.blocks = false;
      role.why = fmt::format("may stay: it goes away with the driver of {}, or may",
                             going[makers.of(member.id).front().at].str());
    }
    if (role.blocks) out.viable = false;
    out.members.push_back(std::move(role));
  }
  if (!going.empty()) out.isolation = missing_isolation(root, going.front(), group);
  if (!out.viable) out.changes = changes_for(out, going);
  // Of a group every VFIO driver's user meets the same.
  out.refusals = vfio_refusals(root, DriverName::literal("vfio-pci"), {}, {group.number});
  CHECK(out.viable == out.changes.empty(), "a group that cannot be used comes with what to do");
  return out;
}

}  // namespace anybind
