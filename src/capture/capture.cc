// A model of a machine from what its sysfs shows. `--dry-run` tries a change out on it, and a bug
// report can bring it along, so two things matter: that the model answers as the machine would, and
// that it gives nothing away.
//
// sysfs shows which devices and drivers there are, but of what a driver matches nothing: the tables
// are inside the module. They are put together from the aliases of its file, and from what is bound
// to it now, as a driver surely matches that. A device with an override is no such proof: it was
// bound by its name. Not to be seen are dynamic ids (they can be written, and not read),
// driver_data and the order of registration; capture.h names them, and a user is told.
//
// It is read while the machine goes on. A device that vanishes is left out, and so the links of
// others to it must go as well. One whose lock is held does not answer: without its override, the
// model might let another driver have it, so it is handed to whoever asked, by name.
//
// The tree may be no kernel's at all (a copy, a fuzzer's). A model must be one that a machine file
// can hold and load again, so what cannot be stored is dropped here and not found out later: names
// that are no file names, numbers out of range, a parent that is its own child.
//
// No serial number, MAC address or host name is taken. What is read is a list of attributes here,
// and not all but some.
#include "capture/capture.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <regex>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "drivercore/core/bus_type.h"
#include "drivercore/core/index.h"
#include "drivercore/core/machine_ids.h"
#include "drivercore/core/uevent.h"
#include "drivercore/file/machine.h"
#include "host/modules.h"
#include "inventory/device.h"
#include "inventory/group.h"
#include "inventory/net_interface.h"
#include "inventory/vfio_driver.h"

namespace anybind::lab {
namespace {

using drivercore::DeviceKey;
using drivercore::Driver;
using drivercore::DriverKey;
using drivercore::Sriov;
using drivercore::State;

constexpr std::uint64_t kMostFunctions = 0xFFFF;

/// The number in an attribute, also "0x1f"; nullopt when there is no such attribute.
std::optional<std::uint64_t> number_in(Sysfs& dir, std::string_view attribute) {
  const auto text = dir.read(attribute);
  if (!text) return std::nullopt;
  std::string_view digits = trim_newline(*text);
  if (!digits.starts_with("0x")) return parse_decimal(digits, UINT32_MAX);
  digits.remove_prefix(2);
  return parse_hex(digits, UINT32_MAX);
}

/// A path without MAC addresses: "net/enx525400123456" becomes "net/enx000000000001", and
/// "hid-52:54:00:12:34:56-battery" likewise.
std::string harmless(const std::string& path, std::size_t number) {
  static const std::regex kMac(
      "(^|[^0-9a-f:])([0-9a-f]{12}|[0-9a-f]{2}(:[0-9a-f]{2}){5})(?![0-9a-f:])",
      std::regex::icase | std::regex::optimize);
  return std::regex_replace(path, kMac, fmt::format("$01{:012}", number));
}

void take_ids(Driver& driver, const Aliases& aliases) {
  const auto found = aliases.find(module_key(driver.module.empty() ? driver.name : driver.module));
  if (found != aliases.end() && driver.bus == "pci") driver.ids = found->second.pci;
  if (found != aliases.end() && driver.bus == "platform") driver.names = found->second.platform;
  if (found != aliases.end()) {
    for (const std::string& alias : found->second.others) {
      if (alias.starts_with(driver.bus + ":")) driver.aliases.push_back(alias);
    }
  }
  // A table that nothing matches: then what it matches is learnt from what is bound to it.
  if (driver.bus == "platform" && driver.names.empty() && aliases.empty()) driver.names = {"-"};
}

/// A machine file is UTF-8; the name of a network interface, for one, need not be.
bool is_storable(std::string_view name) {
  return is_sysfs_name(name) && printable(name, name.size()) == name;
}

/// Only what a machine file can hold, for the sake of trees that no kernel has made. False: the
/// device cannot stand in one.
bool make_storable(drivercore::Device& device) {
  constexpr std::uint32_t kClass = 0xFFFFFF;
  constexpr unsigned kGroup = INT32_MAX;
  constexpr std::size_t kLongestOverride = 4094;
  if (device.bus == "pci") {
    const auto address = PciAddress::parse(device.name);
    if (!address || !address->function || address->str() != device.name) return false;
  }
  if (!is_storable(device.name)) return false;
  device.class_code &= kClass;
  if (device.group.value_or(0) > kGroup) device.group.reset();
  if (!is_printable_ascii(device.modalias)) device.modalias.clear();
  const std::string& name = device.driver_override.value_or("");
  if (name.size() > kLongestOverride || name.contains('\n') || name.contains('\0'))
    device.driver_override.reset();
  const auto* type = drivercore::find_bus_type(device.bus);
  return type == nullptr || !type->has_modalias || !drivercore::modalias_of(device).empty();
}

bool is_storable(const drivercore::Child& child) {
  std::string_view rest = child.name;
  for (bool more = true; more;) {
    const auto slash = rest.find('/');
    if (!is_storable(rest.substr(0, slash))) return false;
    more = slash != std::string_view::npos;
    if (more) rest.remove_prefix(slash + 1);
  }
  return is_storable(child.kind);
}

class Capturer {
 public:
  Capturer(Sysfs& root, const Aliases& aliases, Detail detail)
      : root_(root), aliases_(aliases), detail_(detail) {
    if (detail == Detail::kAll) users_ = read_users(root);
  }

  Result<> take_bus(const BusName& bus) {
    drivercore::Bus& out = state_.buses[bus.str()];
    out.name = bus.str();
    if (const auto flag = root_.read("bus/" + bus.str() + "/drivers_autoprobe")) {
      out.autoprobe = !flag->starts_with('0');
    }
    for (const std::string& name : TRY(read_driver_names(root_, bus))) take_driver(out, name);
    for (const DeviceId& id : TRY(read_device_ids(root_, bus))) {
      const auto dir = root_.open_dir(id.path());
      const auto seen = dir ? read_device(**dir, id) : Result<Device>(fail({}));
      if (seen) take_device(out, **dir, *seen);
      if (seen && seen->busy) busy_.push_back(id);
    }
    return {};
  }

  const std::vector<DeviceId>& busy() const { return busy_; }

  State take() {
    for (const auto& [path, key] : at_) take_parent(path, key);
    take_children();
    for (const auto& [key, device] : state_.devices) drop_lost_relatives(key);
    state_.iommu = !state_.groups.empty();
    for (auto& [number, group] : state_.groups) group.regions = regions_of(number);
    return std::move(state_);
  }

 private:
  /// The lines of reserved_regions that a machine file can hold; empty where they are the usual.
  [[nodiscard]] std::vector<std::string> regions_of(unsigned group) const {
    constexpr std::size_t kMost = 256;
    std::vector<std::string> out;
    const auto text =
        root_.read(fmt::format("kernel/iommu_groups/{}/reserved_regions", group)).value_or("");
    for (std::string_view rest = text; !rest.empty() && out.size() < kMost;) {
      const auto end = std::min(rest.find('\n'), rest.size());
      if (auto line = drivercore::parse_region(rest.substr(0, end)))
        out.push_back(*std::move(line));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    if (out == std::vector<std::string>{drivercore::Group::kUsualRegion}) out.clear();
    return out;
  }

  /// The key of a device of the same bus, or of BUS/NAME; 0 for none.
  [[nodiscard]] DeviceKey key_of(const std::string& bus, const std::string& text) const {
    if (const DeviceKey key = drivercore::Index::named(state_, bus, text)) return key;
    const auto slash = text.find('/');
    if (slash == std::string::npos) return 0;
    return drivercore::Index::named(state_, text.substr(0, slash), text.substr(slash + 1));
  }

  /// A device that vanished meanwhile was left out: those that were behind it cannot name it, nor
  /// can one that claims to be above itself. No machine file may.
  void drop_lost_relatives(DeviceKey of) {
    constexpr std::size_t kMostAbove = 64;
    drivercore::Device& device = state_.devices.at(of);
    const DeviceKey function = device.physfn.empty() ? 0 : key_of(device.bus, device.physfn);
    if (function == 0 || function == of) device.physfn.clear();
    std::size_t depth = 0;
    for (DeviceKey at = of; !state_.devices.at(at).parent.empty(); ++depth) {
      const drivercore::Device& below = state_.devices.at(at);
      const DeviceKey above = key_of(below.bus, below.parent);
      if (above == 0 && at != of) break;  // it is that device which loses its parent
      if (above == 0 || above == of || depth == kMostAbove) {
        device.parent.clear();
        break;
      }
      at = above;
    }
  }

  /// A driver that wants it so (suppress_bind_attrs).
  [[nodiscard]] bool has_no_bind_files(const std::string& driver) {
    const auto names = root_.list(driver);
    return names && std::ranges::find(*names, "bind") == names->end() &&
           std::ranges::find(*names, "unbind") == names->end();
  }

  void take_driver(drivercore::Bus& bus, const std::string& name) {
    if (!is_storable(name)) return;
    const std::string path = "bus/" + bus.name + "/drivers/" + name;
    const auto module = root_.read_link(path + "/module");
    const auto family = DriverName::parse(name);
    Driver driver{
        .bus = bus.name,
        .name = name,
        .module = module && is_storable(link_name(*module)) ? std::string(link_name(*module)) : "",
        .managed_dma = family && manages_dma(*family),
        .needs_group = needs_iommu_group(name),
        .suppress_bind = has_no_bind_files(path),
        .registered = true};
    driver.built_in = !module || !root_.read("module/" + driver.module + "/initstate");
    take_ids(driver, aliases_);
    const DriverKey key = next_driver_++;
    bus.drivers.push_back(key);
    bus.driver_names.emplace(name, key);
    state_.drivers.emplace(key, std::move(driver));
  }

  void take_device(drivercore::Bus& bus, Sysfs& dir, const Device& seen) {
    drivercore::Device out{.bus = bus.name, .name = seen.id.name.str()};
    if (seen.pci) {
      out.vendor = seen.pci->vendor;
      out.device = seen.pci->device;
      out.subvendor = seen.pci->subvendor;
      out.subdevice = seen.pci->subdevice;
      out.class_code = seen.pci->class_code;
    }
    if (bus.name != "pci" && bus.name != "platform") out.modalias = seen.modalias;
    out.group = seen.iommu_group;
    out.driver_override = seen.driver_override;
    if (!make_storable(out)) return;
    if (const auto pf = dir.read_link("physfn")) out.physfn = link_name(*pf);
    out.ready_to_probe = out.match_driver = true;
    if (out.group) state_.groups.try_emplace(*out.group);
    take_functions(out, dir);
    if (detail_ == Detail::kAll) take_details(out, dir, seen);
    const DeviceKey key = state_.next_key++;
    at_.emplace(read_syspath(root_, seen.id), key);
    if (seen.driver) bind_as_seen(bus, out, key, seen.driver->str());
    // Nothing in sysfs tells whether a driver configures virtual functions: it is taken to.
    if (out.driver && out.total_vfs != 0) state_.drivers.at(*out.driver).sriov = Sriov::kRemoves;
    bus.devices.push_back(key);
    bus.device_names.emplace(out.name, key);
    state_.devices.emplace(key, std::move(out));
  }

  static void take_functions(drivercore::Device& out, Sysfs& dir) {
    if (out.bus != "pci") return;
    out.total_vfs = static_cast<unsigned>(
        std::min(number_in(dir, "sriov_totalvfs").value_or(0), kMostFunctions));
    if (out.total_vfs == 0) return;
    out.vf_autoprobe = number_in(dir, "sriov_drivers_autoprobe").value_or(1) != 0;
    const auto word = [&](std::string_view attribute, std::uint64_t otherwise) {
      const auto number = number_in(dir, attribute).value_or(otherwise);
      return static_cast<std::uint16_t>(std::clamp<std::uint64_t>(number, 1, UINT16_MAX));
    };
    out.vf_offset = word("sriov_offset", out.vf_offset);
    out.vf_stride = word("sriov_stride", out.vf_stride);
    const auto text = dir.read("sriov_vf_device");  // in hex, without "0x"
    const auto id = text ? parse_hex(trim_newline(*text), UINT16_MAX) : std::nullopt;
    if (id && *id != out.device) out.vf_device = static_cast<std::uint16_t>(*id);
  }

  void take_details(drivercore::Device& out, Sysfs& dir, const Device& seen) {
    out.revision = static_cast<std::uint8_t>(number_in(dir, "revision").value_or(0));
    out.boot_vga = number_in(dir, "boot_vga").value_or(0) == 1;
    const auto reset = dir.read("reset_method");
    out.can_reset = reset.has_value();
    const bool is_bridge = out.class_code >> 16 == 0x06;
    if (out.bus == "pci" && !is_bridge) out.bus_reset = !reset || trim_newline(*reset) == "bus";
    constexpr std::uint64_t kMostNodes = 1024;
    const auto node = number_in(dir, "numa_node").value_or(kMostNodes);
    if (node < kMostNodes) out.numa_node = static_cast<int>(node);
    if (seen.modalias != drivercore::modalias_of(out) && is_printable_ascii(seen.modalias))
      out.modalias = seen.modalias;
  }

  /// The nearest captured device at or above a path; nullptr for none. What stands between them is
  /// no device of a captured bus (the port of a disk controller).
  [[nodiscard]] const std::pair<const std::string, DeviceKey>* nearest(
      std::string_view path) const {
    for (;;) {
      if (const auto found = at_.find(path); found != at_.end()) return &*found;
      const auto slash = path.rfind('/');
      if (slash == std::string_view::npos) return nullptr;
      path = path.substr(0, slash);
    }
  }

  /// Sets the device above as a machine file names it. Whatever made a device of another bus below
  /// its own makes such devices, also where it was bound by its name.
  void take_parent(std::string_view path, DeviceKey key) {
    drivercore::Device& device = state_.devices.at(key);
    const auto* found = nearest(path.substr(0, path.rfind('/')));
    if (found == nullptr) {
      device.bus_reset = false;
      return;
    }
    const drivercore::Device& above = state_.devices.at(found->second);
    device.parent = above.bus == device.bus ? above.name : above.bus + "/" + above.name;
    if (above.bus == device.bus || !above.driver) return;
    Driver& driver = state_.drivers.at(*above.driver);
    if (!driver.needs_group) learn(driver, above);
  }

  /// What drivers make, each thing below the nearest device: eth0 below virtio0, not below the
  /// function that virtio0 is on. What stands above another comes before it.
  void take_children() {
    std::set<std::string> all;
    for (const auto& [id, users] : users_) all.insert(users.begin(), users.end());
    std::map<std::string, std::string_view> by_path;
    for (const std::string& user : all) {
      const auto colon = user.find(':');
      const auto real =
          real_path(root_, "class/" + user.substr(0, colon) + "/" + user.substr(colon + 1));
      if (real) by_path.emplace(*real, std::string_view(user).substr(0, colon));
    }
    for (const auto& [path, kind] : by_path) take_child(path, std::string(kind));
  }

  void take_child(const std::string& path, const std::string& kind) {
    const auto* on = nearest(path);
    if (on == nullptr || on->first == path) return;
    drivercore::Device& out = state_.devices.at(on->second);
    std::string below = path.substr(on->first.size() + 1);
    if (below == kind + "/" + std::string(link_name(path))) below = link_name(path);
    const std::string name_of_it = harmless(below, ++interfaces_);
    drivercore::Child child{.kind = kind, .name = printable(name_of_it, name_of_it.size() * 4)};
    if (is_storable(child) && out.children.size() < drivercore::kMostChildren)
      out.children.push_back(std::move(child));
  }

  void bind_as_seen(drivercore::Bus& bus, drivercore::Device& device, DeviceKey key,
                    const std::string& name) {
    const auto found = bus.driver_names.find(name);
    if (found == bus.driver_names.end()) return;
    Driver& driver = state_.drivers.at(found->second);
    device.driver = found->second;
    device.driver_link = true;
    if (!device.group) driver.needs_group = false;  // it is there without one
    device.counted = !driver.managed_dma && device.group.has_value();
    if (device.counted) ++state_.groups[*device.group].in_use;
    driver.bound.push_back(key);
    if (!device.driver_override) learn(driver, device);  // else it was bound by its name
  }

  /// The driver matches the device, whatever is known of its table.
  static void learn(Driver& driver, const drivercore::Device& device) {
    if (drivercore::bus_type(device.bus).made_for(device, driver)) return;
    if (device.bus == "pci") {
      driver.ids.push_back({.vendor = device.vendor, .device = device.device});
    } else if (device.bus == "platform") {
      driver.names.push_back(device.name.substr(0, device.name.rfind('.')));
    } else if (device.bus == "usb" && !device.name.contains(':')) {
      driver.aliases.emplace_back("usb_device");
    } else {
      driver.aliases.push_back(device.modalias);
    }
  }

  Sysfs& root_;
  const Aliases& aliases_;
  Detail detail_;
  UsersByDevice users_;
  std::vector<DeviceId> busy_;
  State state_;
  std::map<std::string, DeviceKey, std::less<>> at_;  ///< by the path of its directory
  DriverKey next_driver_ = 1;
  std::size_t interfaces_ = 0;
};

}  // namespace

Result<State> capture(Sysfs& root, const std::set<BusName>& buses, const Aliases& aliases,
                      Detail detail, std::vector<DeviceId>* busy) {
  Capturer capturer(root, aliases, detail);
  for (const BusName& bus : buses) TRY(capturer.take_bus(bus));
  if (busy != nullptr) *busy = capturer.busy();
  return capturer.take();
}

void add_module(State& state, const BusName& bus, const DriverName& name, const std::string& module,
                const Aliases& aliases) {
  Driver driver{.bus = bus.str(),
                .name = name.str(),
                .module = module,
                .managed_dma = manages_dma(name),
                .needs_group = needs_iommu_group(name.str())};
  take_ids(driver, aliases);
  const DriverKey key = state.drivers.empty() ? 1 : state.drivers.rbegin()->first + 1;
  state.drivers.emplace(key, std::move(driver));
}

}  // namespace anybind::lab
