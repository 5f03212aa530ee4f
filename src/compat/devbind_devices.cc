// Which devices dpdk-devbind.py knows, and what it tells of them. It goes by ids: whole classes of
// PCI, and single devices of makers that have no class of their own. The ids are facts about
// hardware; which it counts was found by showing it every id of these makers, one by one
// (docs/from-driverctl-and-devbind.md).
#include "compat/devbind_devices.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/text.h"
#include "base/try.h"
#include "cli/names_file.h"
#include "host/modules.h"
#include "inventory/match.h"
#include "inventory/names.h"
#include "inventory/net_interface.h"

namespace anybind::compat {
namespace {

constexpr auto kKinds = std::to_array<DevbindKind>({
    {"net", "Network"},
    {"baseband", "Baseband"},
    {"crypto", "Crypto"},
    {"dma", "DMA"},
    {"event", "Eventdev"},
    {"mempool", "Mempool"},
    {"compress", "Compress"},
    {"misc", "Misc (rawdev)"},
    {"regex", "Regex"},
    {"ml", "ML"},
});

constexpr unsigned kAny = 0x10000;

struct Row {
  std::string_view kind;
  unsigned base_class;
  unsigned vendor;  ///< kAny: any
  unsigned first;
  unsigned last;  ///< kAny: every device of the vendor
};

constexpr unsigned kIntel = 0x8086;
constexpr unsigned kCavium = 0x177d;
constexpr unsigned kHisilicon = 0x19e5;
constexpr unsigned kRedHat = 0x1af4;

constexpr auto kRows = std::to_array<Row>({
    {"net", 0x02, kAny, 0, kAny},
    {"net", 0x05, kRedHat, 0x1110, 0x1110},
    {"net", 0x08, kCavium, 0xa049, 0xa049},
    {"net", 0x08, kCavium, 0xa0dd, 0xa0dd},
    {"net", 0x12, kIntel, 0x0b30, 0x0b30},
    {"baseband", 0x12, kAny, 0, kAny},
    {"crypto", 0x10, kAny, 0, kAny},
    {"crypto", 0x0b, kIntel, 0, kAny},
    {"dma", 0x08, kIntel, 0x0b00, 0x0b00},
    {"dma", 0x08, kIntel, 0x0b25, 0x0b25},
    {"dma", 0x08, kIntel, 0x11fb, 0x11fb},
    {"dma", 0x08, kIntel, 0x1212, 0x1212},
    {"dma", 0x08, kIntel, 0x2021, 0x2021},
    {"dma", 0x08, kIntel, 0x6f20, 0x6f27},
    {"dma", 0x08, kIntel, 0x6f2e, 0x6f2f},
    {"dma", 0x08, kCavium, 0xa081, 0xa081},
    {"dma", 0x08, kCavium, 0xa08c, 0xa08c},
    {"dma", 0x08, kHisilicon, 0xa122, 0xa122},
    {"event", 0x08, kCavium, 0xa04b, 0xa04b},
    {"event", 0x08, kCavium, 0xa04d, 0xa04d},
    {"event", 0x08, kCavium, 0xa051, 0xa051},
    {"event", 0x08, kCavium, 0xa0f9, 0xa0fa},
    {"event", 0x0b, kIntel, 0x270b, 0x270b},
    {"event", 0x0b, kIntel, 0x2710, 0x2710},
    {"event", 0x0b, kIntel, 0x2714, 0x2714},
    {"mempool", 0x08, kCavium, 0xa053, 0xa053},
    {"mempool", 0x08, kCavium, 0xa0fb, 0xa0fc},
    {"compress", 0x12, kCavium, 0xa037, 0xa037},
    {"misc", 0x01, kRedHat, 0x1001, 0x1001},
    {"misc", 0x01, kRedHat, 0x1042, 0x1042},
    {"misc", 0x06, kIntel, 0x201c, 0x201c},
    {"misc", 0x06, kIntel, 0x347e, 0x347e},
    {"misc", 0x08, kCavium, 0xa059, 0xa059},
    {"misc", 0x08, kCavium, 0xa060, 0xa060},
    {"misc", 0x08, kCavium, 0xa089, 0xa089},
    {"misc", 0x08, kCavium, 0xa0f0, 0xa0f1},
    {"regex", 0x08, kCavium, 0xa0f4, 0xa0f4},
    {"ml", 0x08, kCavium, 0xa092, 0xa092},
});

constexpr auto kForDpdk =
    std::to_array<std::string_view>({"igb_uio", "vfio-pci", "uio_pci_generic"});

bool fits(const Row& row, const PciIds& ids) {
  if (ids.class_code >> 16 != row.base_class) return false;
  if (row.vendor != kAny && row.vendor != ids.vendor) return false;
  return row.last == kAny || (ids.device >= row.first && ids.device <= row.last);
}

std::vector<std::string_view> kinds_of(const PciIds& ids) {
  std::vector<std::string_view> out;
  for (const Row& row : kRows) {
    if (fits(row, ids) && std::ranges::find(out, row.kind) == out.end()) out.push_back(row.kind);
  }
  return out;
}

/// The interfaces through which the main table routes IPv4, but what each link gives itself
/// (RFC 3927): proc(5), net/route.
std::set<std::string> routed_interfaces(const Proc& proc) {
  std::set<std::string> out;
  const auto text = proc.read("self/net/route");
  std::string_view rest = text ? std::string_view(*text) : "";
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const auto tab = line.find('\t');
    if (tab == std::string_view::npos || line.starts_with("Iface\t")) continue;
    // In the byte order of the machine, which is little-endian wherever Debian runs but for s390x.
    const bool is_of_link = line.substr(tab + 1, 8).ends_with("FEA9");
    if (!is_of_link) out.emplace(line.substr(0, tab));
  }
  return out;
}

std::vector<std::string> net_names(const UsersByDevice& users, const DeviceId& id) {
  constexpr std::string_view kNet = "net:";
  std::vector<std::string> out;
  const auto found = users.find(id);
  if (found == users.end()) return out;
  for (const std::string& user : found->second) {
    if (user.starts_with(kNet)) out.push_back(user.substr(kNet.size()));
  }
  return out;
}

std::optional<unsigned> numa_node_of(Sysfs& dir) {
  const auto text = dir.read("numa_node");
  const auto node = text ? parse_decimal(trim_newline(*text), UINT16_MAX) : std::nullopt;
  return node ? std::optional(static_cast<unsigned>(*node)) : std::nullopt;
}

std::vector<std::string> could_have(const Host& host, const Device& device) {
  std::vector<std::string> out;
  const auto add = [&](const std::string& name) {
    const bool is_own = device.driver && device.driver->str() == name;
    if (!is_own && std::ranges::find(out, name) == out.end()) out.push_back(name);
  };
  if (host.modules != nullptr) {
    for (const Candidate& each : match_aliases(host.modules->aliases(), device.modalias)) {
      if (!each.is_vfio && !each.module.empty()) add(each.module);
    }
  }
  for (const std::string_view name : kForDpdk) {
    if (is_there(host.sysfs, std::string(name))) add(std::string(name));
  }
  return out;
}

}  // namespace

std::span<const DevbindKind> devbind_kinds() {
  return kKinds;
}

bool is_devbind_kind(std::string_view word) {
  return std::ranges::find(kKinds, word, &DevbindKind::word) != kKinds.end();
}

std::string devbind_kind_words() {
  return "'baseband', 'compress', 'crypto', 'dma', 'event', 'mempool', 'misc', 'net', 'regex', "
         "'ml'";
}

bool DevbindDevice::is_network() const {
  return std::ranges::find(kinds, "net") != kinds.end();
}

bool is_for_dpdk(std::string_view driver) {
  return std::ranges::find(kForDpdk, driver) != kForDpdk.end();
}

bool is_there(Sysfs& root, const std::string& driver) {
  if (!is_sysfs_name(driver)) return false;
  return root.open_dir("bus/pci/drivers/" + driver) ||
         root.open_dir("module/" + module_key(driver)) || root.open_dir("module/" + driver);
}

bool has_dpdk_driver(Sysfs& root) {
  return std::ranges::any_of(
      kForDpdk, [&](std::string_view name) { return is_there(root, std::string(name)); });
}

Result<std::vector<DevbindDevice>> read_devbind_devices(const Host& host) {
  const auto ids = TRY(read_device_ids(host.sysfs, BusName::literal("pci")));
  const UsersByDevice users = read_users(host.sysfs);
  const auto routed = routed_interfaces(host.own_proc);
  PciNames names(cli::names_file());
  std::vector<DevbindDevice> out;
  for (const DeviceId& id : ids) {
    const auto dir = TRY(open_device(host.sysfs, id));
    if (dir == nullptr) continue;  // it has gone meanwhile
    auto device = read_device(*dir, id);
    if (!device && device.error().kind == ErrorKind::kNotFound) continue;
    if (!device) return fail(device.error());
    DevbindDevice each{.device = *std::move(device)};
    if (each.device.pci) each.kinds = kinds_of(*each.device.pci);
    if (each.kinds.empty()) continue;
    each.product = names.device(each.device.pci->vendor, each.device.pci->device);
    if (each.product.empty()) each.product = "Device";
    each.numa_node = numa_node_of(*dir);
    each.interfaces = net_names(users, id);
    each.unused = could_have(host, each.device);
    each.active = std::ranges::any_of(
        each.interfaces, [&](const std::string& name) { return routed.contains(name); });
    out.push_back(std::move(each));
  }
  return out;
}

}  // namespace anybind::compat
