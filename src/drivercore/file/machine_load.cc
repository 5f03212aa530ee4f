// From the text of a machine file to a State that has been booted.
#include "drivercore/file/machine.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/ids.h"
#include "base/text.h"
#include "base/toml_reader.h"
#include "base/try.h"
#include "drivercore/core/bus_type.h"
#include "drivercore/core/driver_core.h"
#include "drivercore/core/machine_ids.h"

namespace anybind::drivercore {
namespace {

constexpr std::size_t kMaxFile = 16U << 20;
constexpr std::size_t kMaxDevices = 200'000;
constexpr std::size_t kMaxDrivers = 20'000;
constexpr std::size_t kMaxChildren = kMostChildren;
constexpr std::size_t kMaxNesting = 64;
constexpr std::size_t kMaxOverride = 4094;
constexpr std::size_t kMaxRegions = 256;
constexpr std::size_t kMaxUses = 64;
constexpr std::int64_t kMaxInstance = 4'000'000'000;

using Tables = std::vector<const toml::table*>;

TomlFile machine_file(std::string_view name) {
  return {.name = name, .form = "docs/machine-file.md"};
}

/// With what only machine files have.
class MachineReader : public TomlReader {
 public:
  MachineReader(std::string_view file, const toml::table& table)
      : TomlReader(machine_file(file), table) {}

  std::vector<PciId> ids(std::string_view key) {
    const auto all = texts(key);
    std::vector<PciId> out;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto id = parse_pci_id(all[i]);
      if (!id) complain(key, i, "not an id: " + printable(all[i]));
      out.push_back(id.value_or(PciId{}));
    }
    return out;
  }

  std::optional<PciId> id(std::string_view key) {
    if (!has(key)) return std::nullopt;
    const auto out = parse_pci_id(text(key));
    if (!out) complain(key, "not an id");
    return out;
  }

  /// "ok", "defer", "EIO": 0 or a negative errno.
  int probe(std::string_view key) {
    if (!has(key)) return 0;
    const auto result = parse_probe(text(key));
    if (!result) complain(key, "must be \"ok\", \"defer\" or an errno such as \"EIO\"");
    return result.value_or(0);
  }
};

class Loader {
 public:
  /// `kernel`: in place of the file's; nullptr: that.
  Loader(std::string_view file, const KernelProfile* kernel) : file_(file), kernel_(kernel) {}

  Result<State> load(const toml::table& top) {
    for (const char* always : {"pci", "platform"}) state_.buses[always].name = always;
    MachineReader in(file_, top);
    TRY(load_top(in));
    const Tables drivers = in.tables("driver");
    const Tables devices = in.tables("device");
    const Tables groups = in.tables("group");
    const Tables buses = in.tables("bus");
    const Tables modules = in.tables("module");
    const auto deferred = in.texts("deferred");
    for (std::string& path : in.texts("said_removed")) state_.said_removed.insert(std::move(path));
    if (drivers.size() > kMaxDrivers) in.complain("driver", "more than 20000 drivers");
    if (devices.size() > kMaxDevices) in.complain("device", "more than 200000 devices");
    TRY(in.finish());
    for (const Tables* tables : {&drivers, &devices}) reserve_instances(*tables);
    for (const auto* table : buses) TRY(load_bus(*table));
    for (const auto* table : modules) TRY(load_module(*table));
    for (const auto* table : drivers) TRY(load_driver(*table));
    register_drivers();
    for (const auto* table : groups) TRY(load_group(*table));
    for (const auto* table : devices) TRY(load_device(*table));
    for (std::size_t i = 0; i < devices.size(); ++i) TRY(check_relatives(*devices[i], keys_[i]));
    for (const auto* table : drivers) TRY(order_bound(*table));
    for (auto& [name, bus] : state_.buses) std::ranges::sort(bus.devices);
    TRY(load_deferred(top, deferred));
    DriverCore core(std::move(state_));
    core.boot(to_probe_);
    return core.state();
  }

 private:
  Result<> load_top(MachineReader& in) {
    const auto profile = find_profile(in.text("kernel", "linux-6.12"));
    if (!profile)
      in.complain("kernel", profile.error().why + "; " + profile.error().advice.plain());
    state_.profile = kernel_ != nullptr ? *kernel_ : profile.value_or(KernelProfile{});
    state_.iommu = in.flag("iommu", true);
    state_.seqnum = static_cast<std::uint64_t>(in.number("seqnum", 1, INT64_MAX, 1));
    state_.next_key = static_cast<std::uint32_t>(in.number("next_instance", 1, kMaxInstance, 1));
    return {};
  }

  /// Instances that the file does not give come after all that it gives.
  void reserve_instances(const Tables& tables) {
    for (const auto* table : tables) {
      const auto given = (*table)["instance"].value<std::int64_t>().value_or(0);
      if (given < 0 || given > kMaxInstance) continue;  // complained about when it is read
      state_.next_key = std::max(state_.next_key, static_cast<std::uint32_t>(given) + 1);
    }
  }

  std::uint32_t instance(MachineReader& in) {
    if (!in.has("instance")) return state_.next_key++;
    const auto key = static_cast<std::uint32_t>(in.number("instance", 1, kMaxInstance, 1));
    if (!instances_.insert(key).second) in.complain("instance", "the second of this number");
    return key;
  }

  std::string bus_in(MachineReader& in, const char* key, const char* otherwise) {
    std::string bus = in.name(key, otherwise);
    std::vector<std::string> known;
    for (const BusType* type : bus_types()) known.push_back(fmt::format("\"{}\"", type->name));
    if (find_bus_type(bus) == nullptr) {
      in.complain(key, "must be " + join_words(known, "or"));
    } else {
      state_.buses[bus].name = bus;
    }
    return bus;
  }

  Result<> load_bus(const toml::table& table) {
    MachineReader in(file_, table);
    const std::string name = bus_in(in, "name", "");
    const bool autoprobe = in.flag("autoprobe", true);
    TRY(in.finish());
    state_.buses[name].autoprobe = autoprobe;
    return {};
  }

  Result<> load_module(const toml::table& table) {
    MachineReader in(file_, table);
    Module module{.loaded = in.flag("loaded", true), .parameters = {}};
    const std::string name = Index::module_name(in.name("name"));
    if (!in.has("name")) in.complain("name", "a module must have a name");
    for (const auto* parameters : in.tables("parameters")) {
      MachineReader rows(file_, *parameters);
      for (const std::string& key : rows.keys_as_written()) {
        std::string value = rows.text(key);
        if (!is_sysfs_name(key) || value.contains('\n') || value.contains('\0'))
          rows.complain(key, "no possible parameter");
        module.parameters[key] = std::move(value);
      }
      TRY(rows.finish());
    }
    if (!state_.modules.emplace(name, std::move(module)).second)
      in.complain("name", "the second module of this name");
    return in.finish();
  }

  Result<> load_group(const toml::table& table) {
    MachineReader in(file_, table);
    const auto number = static_cast<unsigned>(in.number("number", 0, INT32_MAX, 0));
    if (!in.has("number")) in.complain("number", "a group must have a number");
    const bool held = in.flag("held", false);
    const std::string type = in.text("type", Group::kUsualType);
    if (type != "DMA" && type != "DMA-FQ" && type != "identity") {
      in.complain("type", R"(must be "DMA", "DMA-FQ" or "identity")");
    }
    auto regions = in.texts("reserved_regions");
    for (std::string& line : regions) {
      auto region = parse_region(line);
      if (!region)
        in.complain("reserved_regions", R"(must be lines such as "0xcd000000 0xcd0fffff direct")");
      line = region.value_or("");
    }
    if (regions.size() > kMaxRegions) in.complain("reserved_regions", "more than 256");
    TRY(in.finish());
    if (held || type != Group::kUsualType || !regions.empty())
      state_.groups[number] = {.type = type, .held = held, .regions = std::move(regions)};
    return {};
  }

  // ---- drivers

  Result<> load_driver(const toml::table& table) {
    MachineReader in(file_, table);
    Driver driver{.bus = bus_in(in, "bus", "pci"), .name = in.name("name")};
    if (!in.has("name")) in.complain("name", "a driver must have a name");
    driver.built_in = in.flag("built_in", false);
    driver.module = in.name("module", driver.built_in ? "" : driver.name);
    driver.ids = in.ids("ids");
    driver.names = in.texts("names");
    driver.aliases = in.texts("aliases");
    check_table(in, driver);
    driver.dynamic_ids = in.ids("dynamic_ids");
    driver.dynamic_names = in.texts("dynamic_names");
    driver.sysfs_bind_only = in.flag("sysfs_bind_only", has_override_only_id(driver));
    driver.autoprobe = in.flag("autoprobe", !driver.sysfs_bind_only);
    driver.managed_dma = in.flag("managed_dma", false);
    driver.needs_group = in.flag("needs_group", false);
    driver.suppress_bind = in.flag("suppress_bind", false);
    driver.async_probe = in.flag("async", false);
    driver.sriov = sriov_in(in, driver.needs_group ? Sriov::kRemoves : Sriov::kNone);
    driver.enable_sriov = in.flag("enable_sriov", false);
    driver.registered = in.flag("loaded", true);
    driver.probe.result = in.probe("probe");
    TRY(load_special_probes(in, driver));
    driver.probed_id = in.id("probed_id");
    (void)in.texts("bound");
    if (driver.registered) driver.registration = instance(in);
    if (!driver_names_[driver.bus].emplace(driver.name, next_driver_).second) {
      in.complain("name", "the second driver of this name");
    }
    if (driver.registered && state_.buses.contains(driver.bus)) {
      state_.buses[driver.bus].drivers.push_back(next_driver_);
    }
    state_.drivers.emplace(next_driver_++, std::move(driver));
    return in.finish();
  }

  static Sriov sriov_in(MachineReader& in, Sriov otherwise) {
    const std::string text = in.text("sriov");
    if (text.empty()) return otherwise;
    if (text == "none") return Sriov::kNone;
    if (text == "leaves") return Sriov::kLeaves;
    if (text != "removes") in.complain("sriov", R"(must be "none", "leaves" or "removes")");
    return Sriov::kRemoves;
  }

  /// Each bus has one form of ids.
  static void check_table(MachineReader& in, const Driver& driver) {
    if (driver.bus != "pci" && !driver.ids.empty()) {
      in.complain("ids", "only pci drivers have these; say it by aliases");
    }
    if (driver.bus == "pci" && !driver.aliases.empty()) {
      in.complain("aliases", "not for pci drivers; say it by ids");
    }
    if (driver.bus != "platform" && !driver.names.empty()) {
      in.complain("names", "only platform drivers have these");
    }
  }

  Result<> load_special_probes(MachineReader& in, Driver& driver) {
    for (const auto* special : in.tables("probe_of")) {
      MachineReader rows(file_, *special);
      for (const auto& [device, node] : *special) {
        driver.probe.per_device[std::string(device.str())] = rows.probe(device.str());
      }
      TRY(rows.finish());
    }
    return {};
  }

  void register_drivers() {
    for (auto& [name, bus] : state_.buses) {
      // Equal ones stay in the order of the file, which is that of their keys.
      const auto order = [&](DriverKey key) {
        return std::pair(state_.drivers.at(key).registration, key);
      };
      std::ranges::sort(bus.drivers, {}, order);
      for (const DriverKey key : bus.drivers) {
        bus.driver_names.emplace(state_.drivers.at(key).name, key);
      }
    }
  }

  /// The order in which devices were bound, where it is not that of the devices.
  Result<> order_bound(const toml::table& table) {
    MachineReader in(file_, table);
    const auto names = in.texts("bound");
    if (names.empty()) return {};
    const std::string bus = in.text("bus", "pci");
    Driver& driver = state_.drivers.at(driver_names_.at(bus).at(in.text("name")));
    std::vector<DeviceKey> order;
    order.reserve(names.size());
    for (const std::string& name : names) order.push_back(Index::named(state_, bus, name));
    if (!std::ranges::is_permutation(order, driver.bound)) {
      return fault(table, "bound", "must list the devices whose driver it is");
    }
    driver.bound = std::move(order);
    return {};
  }

  // ---- devices

  Result<> load_device(const toml::table& table) {
    MachineReader in(file_, table);
    Device device{.bus = bus_in(in, "bus", "pci"), .name = ""};
    device.name = device_name(in, device.bus);
    load_hardware(in, device);
    TRY(load_children(in, device));
    device.present = in.flag("present", true);
    device.gone = in.flag("removed", false) || !device.present;
    device.driver_override = override_in(in);
    device.probe_id = probe_id_in(in, device.bus);
    if (in.has("vfio")) device.vfio = static_cast<unsigned>(in.number("vfio", 0, kMaxDevices, 0));
    device.open = in.flag("open", false);
    const bool left_to_kernel = !in.has("driver") && !device.gone;
    const DriverKey bound = driver_in(in, device);
    const DeviceKey key = instance(in);
    if (!device.gone && Index::named(state_, device.bus, device.name) != 0) {
      in.complain(in.has("name") ? "name" : "address", "the second device of this name");
    }
    TRY(in.finish());
    if (left_to_kernel) to_probe_.push_back(key);
    add_device(key, std::move(device), bound);
    return {};
  }

  void load_hardware(MachineReader& in, Device& device) {
    device.parent = in.text("parent");
    std::tie(device.vendor, device.device) = in.id_pair("id");
    std::tie(device.subvendor, device.subdevice) = in.id_pair("subsystem");
    if (device.bus == "pci" && !in.has("id")) in.complain("id", "a PCI function must have an id");
    device.class_code = in.hex("class", 0xFFFFFF);
    device.revision = static_cast<std::uint8_t>(in.hex("revision", 0xFF));
    if (in.has("group")) device.group = static_cast<unsigned>(in.number("group", 0, INT32_MAX, 0));
    if (!state_.iommu) device.group.reset();
    device.physfn = in.text("physfn");
    device.numa_node = static_cast<int>(in.number("numa_node", -1, 1023, -1));
    device.boot_vga = in.flag("boot_vga", false);
    device.serial = serial_in(in, device.bus);
    device.in_use = uses_in(in);
    device.can_reset = in.flag("reset", device.class_code >> 16 != 0x06);
    device.bus_reset = in.flag("bus_reset", false);
    device.reset_off = in.flag("reset_off", false);
    device.vf_autoprobe = in.flag("vf_autoprobe", true);
    device.total_vfs = static_cast<unsigned>(in.number("total_vfs", 0, UINT16_MAX, 0));
    device.vf_device = static_cast<std::uint16_t>(in.hex("vf_device", UINT16_MAX));
    device.vf_offset = static_cast<std::uint16_t>(in.number("vf_offset", 1, UINT16_MAX, 1));
    device.vf_stride = static_cast<std::uint16_t>(in.number("vf_stride", 1, UINT16_MAX, 1));
    device.modalias = in.text("modalias");
    if (!device.modalias.empty() && !is_plain(device.modalias)) {
      in.complain("modalias", "must be printable ASCII");
    }
    const BusType* type = find_bus_type(device.bus);
    if (type != nullptr && type->has_modalias && modalias_of(device).empty()) {
      in.complain("modalias", "a device of this bus must have one");
    }
  }

  static std::string serial_in(MachineReader& in, const std::string& bus) {
    std::string out = in.text("serial");
    bool is_good = out.empty() || (out.size() == 23 && bus == "pci");
    for (std::size_t i = 0; i < out.size() && is_good; ++i)
      is_good = i % 3 == 2 ? out[i] == '-' : std::string_view("0123456789abcdef").contains(out[i]);
    if (!is_good)
      in.complain("serial", R"(must be the 8 bytes of a PCI function: "00-1b-21-ff-ff-6a-2c-8e")");
    return out;
  }

  static std::string device_name(MachineReader& in, const std::string& bus) {
    const char* key = in.has("name") ? "name" : "address";
    std::string out = in.name(key);
    if (!in.has(key)) in.complain(key, "a device must have an address or a name");
    if (bus != "pci") return out;
    const auto address = PciAddress::parse(out);
    if (!address || !address->function) {
      in.complain(key, "must be an address such as \"0000:03:00.0\"");
    }
    return address ? address->str() : out;
  }

  Result<> load_children(MachineReader& in, Device& device) {
    for (const auto* table : in.tables("children")) {
      MachineReader kinds(file_, *table);
      for (const std::string& kind : kinds.keys_as_written()) {
        for (std::string& name : kinds.texts(kind)) {
          if (!is_sysfs_name(kind) || !is_path(name)) {
            kinds.complain(kind, "is no possible name in sysfs");
          }
          device.children.push_back({.kind = kind, .name = std::move(name)});
        }
      }
      TRY(kinds.finish());
    }
    if (device.children.size() > kMaxChildren)
      in.complain("children", fmt::format("more than {}", kMaxChildren));
    return {};
  }

  /// A name, or several with slashes between them.
  static bool is_path(std::string_view text) {
    for (;;) {
      const auto slash = text.find('/');
      if (!is_sysfs_name(text.substr(0, slash))) return false;
      if (slash == std::string_view::npos) return true;
      text.remove_prefix(slash + 1);
    }
  }

  /// `in_use`, and the flag that is short for one of its names.
  static std::vector<std::string> uses_in(MachineReader& in) {
    constexpr std::string_view kRoute = "default-route";
    auto out = in.texts("in_use");
    if (out.size() > kMaxUses) in.complain("in_use", "more than 64");
    const bool routes = in.flag("default_route", false);
    if (routes && std::ranges::find(out, kRoute) == out.end()) out.emplace_back(kRoute);
    return out;
  }

  /// As text, or as the hex digits of its bytes, which need not be Unicode.
  static std::optional<std::string> override_in(MachineReader& in) {
    if (!in.has("driver_override_bytes")) {
      std::string text = in.text("driver_override");
      if (text.empty()) return std::nullopt;
      if (text.size() > kMaxOverride || text.contains('\n') || text.contains('\0')) {
        in.complain("driver_override", "nothing that could have been written there");
      }
      return text;
    }
    const std::string digits = in.text("driver_override_bytes");
    std::string out;
    for (std::size_t i = 0; i < digits.size(); i += 2) {
      const auto byte = parse_hex(std::string_view(digits).substr(i, 2), 0xFF);
      if (!byte || digits.size() % 2 != 0) in.complain("driver_override_bytes", "not hex digits");
      out += static_cast<char>(byte.value_or(0));
    }
    return out.empty() ? std::nullopt : std::optional(out);
  }

  static std::string probe_id_in(MachineReader& in, const std::string& bus) {
    const std::string text = in.text("driver_probe_id");
    const BusType* type = find_bus_type(bus);
    if (text.empty() || type == nullptr) return "";
    auto id = type->parse_probe_id(text);
    if (!id || text.size() > kMaxOverride || text.contains('\n') || text.contains('\0')) {
      in.complain("driver_probe_id", "nothing that could have been written there");
    }
    return id.value_or("");
  }

  /// 0 for "none", and where the kernel shall choose.
  DriverKey driver_in(MachineReader& in, const Device& device) {
    const std::string name = in.text("driver", "none");
    if (name == "none" || device.gone || find_bus_type(device.bus) == nullptr) return 0;
    const auto& names = state_.buses.at(device.bus).driver_names;
    const auto found = names.find(name);
    if (found == names.end()) {
      in.complain("driver", "no such driver is loaded");
      return 0;
    }
    const Driver& driver = state_.drivers.at(found->second);
    if (driver.needs_group && !device.group) in.complain("driver", "it needs an IOMMU group");
    const auto group = device.group ? state_.groups.find(*device.group) : state_.groups.end();
    if (device.open && !driver.needs_group) in.complain("open", "its driver is no VFIO driver");
    if (!driver.managed_dma && group != state_.groups.end() && group->second.held) {
      in.complain("driver", "user space holds the group: no host driver can be bound in it");
    }
    return found->second;
  }

  void add_device(DeviceKey key, Device device, DriverKey bound) {
    keys_.push_back(key);
    all_names_[device.bus].emplace(device.name, key);
    if (device.group) state_.groups.try_emplace(*device.group);
    if (device.gone) {
      device.dead = true;
      device.driver_override.reset();
      state_.drawer.push_back(key);
    } else {
      device.ready_to_probe = device.match_driver = true;
      Bus& bus = state_.buses.at(device.bus);
      bus.devices.push_back(key);
      bus.device_names.emplace(device.name, key);
    }
    if (bound != 0) {
      device.driver = bound;
      state_.drivers.at(bound).bound.push_back(key);
    } else {
      device.vfio.reset();
      device.open = false;
    }
    state_.devices.emplace(key, std::move(device));
  }

  // ---- what refers to something else in the file

  /// The device that a text names: a name on the same bus, or BUS/NAME. 0 for none.
  [[nodiscard]] DeviceKey named(const std::string& bus, const std::string& text) const {
    const auto look_up = [&](const std::string& on, const std::string& name) -> DeviceKey {
      if (const DeviceKey there = Index::named(state_, on, name)) return there;
      const auto at = all_names_.find(on);
      if (at == all_names_.end()) return 0;
      const auto found = at->second.find(name);
      return found == at->second.end() ? 0 : found->second;
    };
    if (const DeviceKey key = look_up(bus, text)) return key;
    const auto slash = text.find('/');
    return slash == std::string::npos ? 0 : look_up(text.substr(0, slash), text.substr(slash + 1));
  }

  /// A parent and a physical function must be there, and nothing may be its own ancestor.
  Result<> check_relatives(const toml::table& table, DeviceKey of) {
    Device& device = state_.devices.at(of);
    for (const char* key : {"parent", "physfn"}) {
      const std::string& name = key == std::string_view("parent") ? device.parent : device.physfn;
      const DeviceKey found = name.empty() ? 0 : named(device.bus, name);
      if (!name.empty() && found == 0) return fault(table, key, "no such device");
      if (found == of) return fault(table, key, "that is the device itself");
      if (found != 0 && state_.devices.at(found).gone && !device.gone) {
        return fault(table, key, "that device is not in the machine");
      }
    }
    if (!device.physfn.empty() && device.parent.empty()) {
      device.parent = state_.devices.at(named(device.bus, device.physfn)).parent;
    }
    const Device* above = &device;
    for (std::size_t depth = 0; !above->parent.empty(); ++depth) {
      if (depth > kMaxNesting) return fault(table, "parent", "a ring of parents, or more than 64");
      const DeviceKey next = named(above->bus, above->parent);
      if (next == 0) break;  // complained about at that device
      above = &state_.devices.at(next);
    }
    return {};
  }

  Result<> load_deferred(const toml::table& top, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      const DeviceKey key = named("pci", name);
      if (key == 0 || state_.devices.at(key).gone || state_.devices.at(key).driver) {
        return fault(top, "deferred", "no driverless device: " + printable(name));
      }
      if (std::exchange(state_.devices.at(key).deferred, true)) {
        return fault(top, "deferred", "twice in the list: " + printable(name));
      }
      state_.deferred.push_back(key);
    }
    return {};
  }

  [[nodiscard]] Result<> fault(const toml::table& table, std::string_view key,
                               const std::string& why) const {
    const toml::node* node = table.get(key);
    const auto& where = node != nullptr ? node->source() : table.source();
    return fail(toml_error(machine_file(file_), where, fmt::format("{}: {}", key, why)));
  }

  std::string_view file_;
  const KernelProfile* kernel_;
  State state_;
  DriverKey next_driver_ = 1;
  std::set<std::uint32_t> instances_;  ///< given in the file
  std::map<std::string, std::map<std::string, DriverKey>> driver_names_;
  std::map<std::string, std::map<std::string, DeviceKey>> all_names_;  ///< also those not there
  std::vector<DeviceKey> keys_;                                        ///< in the order of the file
  std::vector<DeviceKey> to_probe_;
};

}  // namespace

Result<State> load_machine(std::string_view text, std::string_view file_name,
                           std::string_view profile) {
  KernelProfile kernel;
  if (!profile.empty()) kernel = TRY(find_profile(profile));
  if (text.size() > kMaxFile) {
    return fail(
        {.kind = ErrorKind::kUsage, .object = std::string(file_name), .why = "larger than 16 MiB"});
  }
  try {
    const toml::table top = toml::parse(text, file_name);
    return Loader(file_name, profile.empty() ? nullptr : &kernel).load(top);
  } catch (const toml::parse_error& error) {
    return fail(
        toml_error(machine_file(file_name), error.source(), std::string(error.description())));
  }
}

}  // namespace anybind::drivercore
