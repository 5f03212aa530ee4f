#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "base/ids.h"
#include "base/text.h"
#include "drivercore/driver_core.h"
#include "drivercore/machine.h"
#include "drivercore/machine_ids.h"

namespace anybind::drivercore {
namespace {

constexpr std::size_t kMaxBytes = 16U << 20;
constexpr std::size_t kMaxDevices = 200'000;

Error bad(std::string_view file, const toml::source_region& where, std::string why) {
  return {.code = Code::kUsage,
          .object = fmt::format("{}:{}:{}", file, where.begin.line, where.begin.column),
          .why = std::move(why),
          .next = "docs/machine-file.md describes the form"};
}

/// One table of the file: takes keys out of it, with their type and range, and in the end finds
/// what nobody asked for. The first fault is kept; what is taken after it does not matter.
class Reader {
 public:
  Reader(std::string_view file, const toml::table& table) : file_(file), table_(table) {}

  [[nodiscard]] bool has(std::string_view key) const { return table_.contains(key); }

  std::string text(std::string_view key, std::string otherwise = "") {
    const toml::node* node = take(key);
    if (node == nullptr) return otherwise;
    if (const auto value = node->value_exact<std::string>()) return *value;
    complain(*node, key, "must be a text");
    return otherwise;
  }
  std::string name(std::string_view key, std::string otherwise = "") {
    std::string out = text(key, std::move(otherwise));
    if (has(key) && !is_sysfs_name(out))
      complain(*table_.get(key), key, "is no possible name in sysfs");
    return out;
  }
  bool flag(std::string_view key, bool otherwise) {
    const toml::node* node = take(key);
    if (node == nullptr) return otherwise;
    if (const auto value = node->value_exact<bool>()) return *value;
    complain(*node, key, "must be true or false");
    return otherwise;
  }
  std::int64_t number(std::string_view key, std::int64_t least, std::int64_t most,
                      std::int64_t otherwise) {
    const toml::node* node = take(key);
    if (node == nullptr) return otherwise;
    const auto value = node->value_exact<std::int64_t>();
    if (value && *value >= least && *value <= most) return *value;
    complain(*node, key, fmt::format("must be a number from {} to {}", least, most));
    return otherwise;
  }
  /// Hex digits in a text: "020000".
  std::uint32_t hex(std::string_view key, std::uint32_t most, std::uint32_t otherwise) {
    if (!has(key)) return otherwise;
    const auto value = parse_hex(text(key), most);
    if (!value)
      complain(*table_.get(key), key, fmt::format("must be hex digits, at most {:x}", most));
    return static_cast<std::uint32_t>(value.value_or(otherwise));
  }
  /// "8086:10d3"
  std::pair<std::uint16_t, std::uint16_t> id_pair(std::string_view key) {
    if (!has(key)) return {};
    const std::string pair = text(key);
    const auto colon = std::min(pair.find(':'), pair.size());
    const auto first = parse_hex(pair.substr(0, colon), 0xFFFF);
    const auto second =
        colon < pair.size() ? parse_hex(pair.substr(colon + 1), 0xFFFF) : std::nullopt;
    if (!first || !second) complain(*table_.get(key), key, "must be two ids such as \"8086:10d3\"");
    return {static_cast<std::uint16_t>(first.value_or(0)),
            static_cast<std::uint16_t>(second.value_or(0))};
  }
  std::vector<std::string> texts(std::string_view key) {
    std::vector<std::string> out;
    const toml::node* node = take(key);
    if (node == nullptr) return out;
    if (!node->is_array()) return complain(*node, key, "must be a list of texts"), out;
    for (const toml::node& element : *node->as_array()) {
      const auto value = element.value_exact<std::string>();
      if (!value) complain(element, key, "must be a list of texts");
      out.push_back(value.value_or(""));
    }
    return out;
  }
  std::vector<PciId> ids(std::string_view key) {
    std::vector<PciId> out;
    for (const std::string& one : texts(key)) {
      const auto id = parse_pci_id(one);
      if (!id) complain(*table_.get(key), key, "not an id: " + printable(one));
      out.push_back(id.value_or(PciId{}));
    }
    return out;
  }
  int probe(std::string_view key) {
    if (!has(key)) return 0;
    const auto result = parse_probe(text(key));
    if (!result)
      complain(*table_.get(key), key, "must be \"ok\", \"defer\" or an errno such as \"EIO\"");
    return result.value_or(0);
  }
  /// The tables of `key = [ {...} ]` or of [[key]]; or the one of [key].
  std::vector<const toml::table*> tables(std::string_view key) {
    std::vector<const toml::table*> out;
    const toml::node* node = take(key);
    if (node == nullptr) return out;
    if (const toml::table* one = node->as_table()) return {one};
    if (!node->is_array()) return complain(*node, key, "must be a table"), out;
    for (const toml::node& element : *node->as_array()) {
      if (!element.is_table()) complain(element, key, "must be a table");
      if (element.is_table()) out.push_back(element.as_table());
    }
    return out;
  }
  void complain(std::string_view key, std::string why) {
    complain(has(key) ? *table_.get(key) : static_cast<const toml::node&>(table_), key,
             std::move(why));
  }
  /// After everything was taken: the first fault, or the first key that nobody took.
  Result<> finish() {
    for (const auto& [key, node] : table_) {
      if (taken_.contains(key.str())) continue;
      const std::vector<std::string> known(taken_.begin(), taken_.end());
      const auto near = nearest(key.str(), known, 1);
      complain(
          node, key.str(),
          near.empty() ? "no such key here" : "no such key here; did you mean " + near[0] + "?");
    }
    if (fault_) return fail(*fault_);
    return {};
  }

 private:
  const toml::node* take(std::string_view key) {
    taken_.insert(std::string(key));
    return table_.get(key);
  }
  void complain(const toml::node& node, std::string_view key, std::string why) {
    if (!fault_) fault_ = bad(file_, node.source(), printable(key) + ": " + std::move(why));
  }

  std::string_view file_;
  const toml::table& table_;
  std::set<std::string, std::less<>> taken_;
  std::optional<Error> fault_;
};

/// Builds the State from the file, then boots it.
class Loader {
 public:
  explicit Loader(std::string_view file) : file_(file) {}

  Result<State> load(const toml::table& top) {
    Reader in(file_, top);
    state_.iommu = in.flag("iommu", true);
    state_.seqnum = static_cast<std::uint64_t>(in.number("seqnum", 1, INT64_MAX, 1));
    state_.next_key =
        static_cast<DeviceKey>(in.number("next_instance", 1, UINT32_MAX - kMaxDevices, 1));
    auto profile = find_profile(in.text("kernel", "linux-6.12"));
    if (!profile) in.complain("kernel", profile.error().why + "; " + profile.error().next);
    if (profile) state_.profile = *std::move(profile);
    for (const char* bus : {"pci", "platform"}) state_.buses[bus].name = bus;
    const auto buses = in.tables("bus");
    const auto drivers = in.tables("driver");
    const auto devices = in.tables("device");
    const auto groups = in.tables("group");
    TRY(in.finish());
    if (devices.size() > kMaxDevices)
      return fail(bad(file_, top.source(), "more than 200000 devices"));
    for (const auto* table : buses) TRY(load_bus(*table));
    for (const auto* table : drivers) TRY(load_driver(*table));
    for (const auto* table : groups) TRY(load_group(*table));
    for (const auto* table : devices) TRY(load_device(*table));
    for (const auto* table : devices) TRY(check_relatives(*table));
    DriverCore core(std::move(state_));
    core.boot(to_probe_);
    (void)core.take_uevents();
    return core.state();
  }

 private:
  Result<> load_bus(const toml::table& table) {
    Reader in(file_, table);
    const std::string name = in.name("name");
    const bool autoprobe = in.flag("autoprobe", true);
    if (!state_.buses.contains(name)) in.complain("name", "must be \"pci\" or \"platform\"");
    TRY(in.finish());
    state_.buses[name].autoprobe = autoprobe;
    return {};
  }

  Result<> load_group(const toml::table& table) {
    Reader in(file_, table);
    const auto number = static_cast<unsigned>(in.number("number", 0, UINT32_MAX, 0));
    const bool held = in.flag("held", false);
    TRY(in.finish());
    state_.groups[number].held = held;
    return {};
  }

  Result<> load_driver(const toml::table& table) {
    Reader in(file_, table);
    Driver driver{.bus = in.name("bus", "pci"), .name = in.name("name")};
    if (!in.has("name")) in.complain("name", "a driver must have a name");
    driver.built_in = in.flag("built_in", false);
    driver.module = in.name("module", driver.built_in ? "" : driver.name);
    driver.ids = in.ids("ids");
    driver.names = in.texts("names");
    driver.dynamic_ids = in.ids("dynamic_ids");
    driver.managed_dma = in.flag("managed_dma", false);
    driver.needs_group = in.flag("needs_group", false);
    driver.suppress_bind = in.flag("suppress_bind", false);
    driver.probe.result = in.probe("probe");
    driver.registered = in.flag("loaded", true);
    for (const auto* special : in.tables("probe_of")) {
      Reader rows(file_, *special);
      for (const auto& [device, node] : *special) {
        driver.probe.per_device[std::string(device.str())] = rows.probe(device.str());
      }
      TRY(rows.finish());
    }
    if (!state_.buses.contains(driver.bus)) in.complain("bus", "must be \"pci\" or \"platform\"");
    for (const auto& [key, other] : state_.drivers) {
      if (other.bus == driver.bus && other.name == driver.name)
        in.complain("name", "the second driver of this name");
    }
    TRY(in.finish());
    add_driver(std::move(driver));
    return {};
  }

  void add_driver(Driver driver) {
    const DriverKey key = next_driver_++;
    if (driver.registered) {
      Bus& bus = state_.buses.at(driver.bus);
      bus.drivers.push_back(key);
      bus.driver_names.emplace(driver.name, key);
    }
    state_.drivers.emplace(key, std::move(driver));
  }

  Result<> load_device(const toml::table& table) {
    Reader in(file_, table);
    Device device{.bus = in.name("bus", "pci"), .name = device_name(in)};
    if (!state_.buses.contains(device.bus)) in.complain("bus", "must be \"pci\" or \"platform\"");
    device.parent = in.name("parent");
    std::tie(device.vendor, device.device) = in.id_pair("id");
    std::tie(device.subvendor, device.subdevice) = in.id_pair("subsystem");
    if (device.bus == "pci" && !in.has("id")) in.complain("id", "a PCI function must have an id");
    device.class_code = in.hex("class", 0xFFFFFF, 0);
    device.revision = static_cast<std::uint8_t>(in.hex("revision", 0xFF, 0));
    if (in.has("group")) device.group = static_cast<unsigned>(in.number("group", 0, UINT32_MAX, 0));
    if (!state_.iommu) device.group.reset();
    device.physfn = in.name("physfn");
    device.numa_node = static_cast<int>(in.number("numa_node", -1, 1023, -1));
    device.boot_vga = in.flag("boot_vga", false);
    device.vf_autoprobe = in.flag("vf_autoprobe", true);
    device.total_vfs = static_cast<unsigned>(in.number("total_vfs", 0, 65535, 0));
    device.present = in.flag("present", true);
    device.deferred = in.flag("deferred", false);
    if (in.has("driver_override")) device.driver_override = in.text("driver_override");
    TRY(load_children(in, device));
    const std::string driver = in.text("driver");
    const bool left_to_kernel = !in.has("driver");
    const bool drawn = in.flag("removed", false) || !device.present;
    const auto key =
        static_cast<DeviceKey>(in.number("instance", 1, UINT32_MAX - kMaxDevices, state_.next_key));
    if (state_.devices.contains(key)) in.complain("instance", "the second device of this instance");
    if (!drawn && state_.buses.contains(device.bus) &&
        state_.buses[device.bus].device_names.contains(device.name)) {
      in.complain(in.has("name") ? "name" : "address", "the second device of this name");
    }
    const DriverKey bound =
        left_to_kernel || driver == "none" ? 0 : driver_named(device.bus, driver);
    if (!left_to_kernel && driver != "none" && bound == 0)
      in.complain("driver", "no such driver is loaded");
    TRY(in.finish());
    add_device(key, std::move(device), drawn);
    if (bound != 0) bind_as_told(key, bound);
    if (left_to_kernel && !drawn) to_probe_.push_back(key);
    return {};
  }

  static std::string device_name(Reader& in) {
    const std::string key = in.has("name") ? "name" : "address";
    std::string out = in.name(key);
    if (!in.has(key)) in.complain(key, "a device must have an address or a name");
    if (key == "address") {
      const auto address = PciAddress::parse(out);
      if (!address || !address->function)
        in.complain(key, "must be an address such as \"0000:03:00.0\"");
      if (address) out = address->str();
    }
    return out;
  }

  Result<> load_children(Reader& in, Device& device) {
    for (const auto* table : in.tables("children")) {
      Reader kinds(file_, *table);
      for (const auto& [kind, node] : *table) {
        for (std::string& name : kinds.texts(kind.str())) {
          const bool good = is_sysfs_name(kind.str()) && is_sysfs_name(name);
          if (!good) kinds.complain(kind.str(), "is no possible name in sysfs");
          device.children.push_back({.kind = std::string(kind.str()), .name = std::move(name)});
        }
      }
      TRY(kinds.finish());
    }
    return {};
  }

  [[nodiscard]] DriverKey driver_named(const std::string& bus, const std::string& name) const {
    const auto at = state_.buses.find(bus);
    if (at == state_.buses.end()) return 0;
    const auto found = at->second.driver_names.find(name);
    return found == at->second.driver_names.end() ? 0 : found->second;
  }

  void add_device(DeviceKey key, Device device, bool drawn) {
    state_.next_key = std::max(state_.next_key, key + 1);
    if (device.group) state_.groups.try_emplace(*device.group);
    if (drawn) {
      device.dead = true;
      state_.drawer.push_back(key);
    } else {
      device.ready_to_probe = device.match_driver = true;
      if (device.deferred) state_.deferred.push_back(key);
      Bus& bus = state_.buses.at(device.bus);
      bus.devices.push_back(key);
      bus.device_names.emplace(device.name, key);
    }
    state_.devices.emplace(key, std::move(device));
  }

  void bind_as_told(DeviceKey key, DriverKey driver_key) {
    Device& device = state_.devices.at(key);
    Driver& driver = state_.drivers.at(driver_key);
    if (device.dead) return;
    device.driver = driver_key;
    device.driver_link = true;
    device.counted = !driver.managed_dma && device.group.has_value();
    if (device.counted) ++state_.groups[*device.group].in_use;
    driver.bound.push_back(key);
  }

  /// A parent and a physical function must be there, and nothing may be its own ancestor.
  Result<> check_relatives(const toml::table& table) const {
    Reader in(file_, table);
    const std::string bus = in.text("bus", "pci");
    const auto& names = state_.buses.at(bus).device_names;
    for (const char* key : {"parent", "physfn"}) {
      std::string name = in.text(key);
      for (std::size_t depth = 0; !name.empty(); ++depth) {
        const auto found = names.find(name);
        if (found == names.end())
          return fail(bad(file_, table.get(key)->source(), "no such device: " + printable(name)));
        if (depth > 64)
          return fail(
              bad(file_, table.get(key)->source(), "more than 64 levels, or a ring of parents"));
        name = state_.devices.at(found->second).parent;
      }
    }
    return {};
  }

  std::string_view file_;
  State state_;
  DriverKey next_driver_ = 1;
  std::vector<DeviceKey> to_probe_;
};

}  // namespace

Result<State> load_machine(std::string_view text, std::string_view file_name) {
  if (text.size() > kMaxBytes) {
    return fail(
        {.code = Code::kUsage, .object = std::string(file_name), .why = "larger than 16 MiB"});
  }
  try {
    const toml::table top = toml::parse(text, file_name);
    return Loader(file_name).load(top);
  } catch (const toml::parse_error& error) {
    return fail(bad(file_name, error.source(), std::string(error.description())));
  }
}

}  // namespace anybind::drivercore
