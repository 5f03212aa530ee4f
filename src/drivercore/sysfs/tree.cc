// Each kind of directory has two functions: one finds a name in it, one lists it.
#include "drivercore/sysfs/tree.h"

#include <algorithm>
#include <array>
#include <ranges>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "drivercore/core/bus_type.h"
#include "drivercore/core/made.h"
#include "drivercore/core/sriov.h"
#include "drivercore/sysfs/classes.h"
#include "drivercore/sysfs/entries.h"
#include "drivercore/sysfs/pci_config.h"

namespace anybind::drivercore {
namespace {

std::string driver_path(const Driver& driver) {
  return "bus/" + driver.bus + "/drivers/" + driver.name;
}

// ---- directories that are always there

struct Fixed {
  Kind in;
  std::string_view name;
  Kind is;
};
constexpr std::array kFixed = std::to_array<Fixed>({
    {Kind::kRoot, "bus", Kind::kBuses},
    {Kind::kRoot, "class", Kind::kClasses},
    {Kind::kRoot, "devices", Kind::kDevices},
    {Kind::kRoot, "kernel", Kind::kKernel},
    {Kind::kRoot, "module", Kind::kModules},
    {Kind::kBus, "devices", Kind::kBusDevices},
    {Kind::kBus, "drivers", Kind::kBusDrivers},
    {Kind::kDevices, "virtual", Kind::kVirtual},
    {Kind::kKernel, "iommu_groups", Kind::kGroups},
    {Kind::kGroup, "devices", Kind::kGroupDevices},
    {Kind::kKernel, "debug", Kind::kDebug},
});

MaybeEntry find_fixed(const Place& at, std::string_view name) {
  for (const Fixed& fixed : kFixed) {
    if (fixed.in == at.kind && fixed.name == name) return directory(fixed.is, at.name, at.key);
  }
  return std::nullopt;
}

void list_fixed(const Place& at, Names& out) {
  for (const Fixed& fixed : kFixed) {
    if (fixed.in == at.kind) out.emplace_back(fixed.name);
  }
}

// ---- bus/

MaybeEntry find_bus(const DriverCore& core, const Place& /*at*/, const std::string& name) {
  if (!core.state().buses.contains(name)) return std::nullopt;
  return directory(Kind::kBus, name);
}
void list_buses(const DriverCore& core, const Place& /*at*/, Names& out) {
  append_names(out, core.state().buses);
}

MaybeEntry find_bus_device(const DriverCore& core, const Place& at, const std::string& name) {
  return link_to_device(core, core.key_of(at.name, name));
}
void list_bus_devices(const DriverCore& core, const Place& at, Names& out) {
  append_names(out, core.state().buses.at(at.name).device_names);
}

MaybeEntry find_bus_driver(const DriverCore& core, const Place& at, const std::string& name) {
  const DriverKey key = key_of(core.state().buses.at(at.name).driver_names, name);
  const Driver* driver = core.find_driver(key);
  if (driver == nullptr) return std::nullopt;
  MaybeEntry out = directory(Kind::kDriver, at.name, key);
  out->place.registration = driver->registration;
  return out;
}
void list_bus_drivers(const DriverCore& core, const Place& at, Names& out) {
  append_names(out, core.state().buses.at(at.name).driver_names);
}

/// Made when the driver has taken devices, gone when it has let go of them: its files go before.
bool has_module_link(const DriverCore& core, const Driver& driver) {
  if (driver.module.empty()) return false;
  if (driver.bus == "platform" && driver.built_in &&
      !core.state().profile.has(Change::kBuiltInPlatformModules))
    return false;
  return driver.files || !core.state().modules_coming.contains(Index::module_name(driver.module));
}

MaybeEntry find_in_driver(const DriverCore& core, const Place& at, const std::string& name) {
  const Driver& driver = *core.find_driver(at.key);
  if (name == "module" && has_module_link(core, driver)) {
    return link_to("module/" + Index::module_name(driver.module));
  }
  if (MaybeEntry found = find_attribute_file(core, at, name)) return found;
  const DeviceKey key = core.key_of(driver.bus, name);
  const Device* device = core.find(key);
  const bool linked = device != nullptr && device->driver == at.key && device->driver_link;
  return linked ? link_to_device(core, key) : std::nullopt;
}
void list_driver(const DriverCore& core, const Place& at, Names& out) {
  const Driver& driver = *core.find_driver(at.key);
  list_attributes(core, at, out);
  if (has_module_link(core, driver)) out.emplace_back("module");
  const auto add = [&](DeviceKey key) {
    const Device& device = core.existing(key);
    if (device.driver == at.key && device.driver_link) out.push_back(device.name);
  };
  std::ranges::for_each(driver.bound, add);
  std::ranges::for_each(core.index().probing(), add);
}

// ---- devices/

MaybeEntry find_root(const DriverCore& core, const Place& /*at*/, const std::string& name) {
  if (!core.index().roots().contains(name)) return std::nullopt;
  return directory(Kind::kDeviceRoot, name);
}
void list_roots(const DriverCore& core, const Place& /*at*/, Names& out) {
  append_names(out, core.index().roots());
}

MaybeEntry find_in_root(const DriverCore& core, const Place& at, const std::string& name) {
  if (const DeviceKey key = key_of(core.index().root(at.name), name))
    return directory(Kind::kDevice, "", key);
  if (name == kPciBusClass && is_pci_root(at.name)) return directory(Kind::kPciBuses, at.name);
  return find_attribute_file(core, at, name);
}
void list_root(const DriverCore& core, const Place& at, Names& out) {
  append_names(out, core.index().root(at.name));
  if (is_pci_root(at.name)) out.emplace_back(kPciBusClass);
  list_attributes(core, at, out);
}

/// The name that stands right below `above` on the way to `path`; empty when it is not on the way.
std::string next_on_path(const std::string& path, const std::string& above) {
  const std::string start = above.empty() ? "" : above + "/";
  if (!path.starts_with(start) || path.size() == start.size()) return "";
  return path.substr(start.size(), path.find('/', start.size()) - start.size());
}

bool is_on_a_path(const Device& device, const std::string& path) {
  return std::ranges::any_of(made_by_driver(device), [&](const auto& made) {
    return made.first == path || made.first.starts_with(path + "/");
  });
}

/// virtfn0, virtfn1 ...
MaybeEntry find_virtual_function(const DriverCore& core, const Place& at, std::string_view name) {
  if (!name.starts_with("virtfn")) return std::nullopt;
  const auto number = parse_decimal(name.substr(6), UINT16_MAX);
  if (!number || fmt::format("virtfn{}", *number) != name) return std::nullopt;
  const auto address = vf_address(core.existing(at.key), static_cast<unsigned>(*number));
  if (!address) return std::nullopt;
  const DeviceKey key = key_of(core.index().virtual_functions(at.key), *address);
  return key != 0 && core.existing(key).vf_linked ? link_to_device(core, key) : std::nullopt;
}
void list_virtual_functions(const DriverCore& core, const Place& at, Names& out) {
  const Device& device = core.existing(at.key);
  const auto& functions = core.index().virtual_functions(at.key);
  std::size_t left = functions.size();
  for (unsigned number = 0; left > 0 && number < device.total_vfs; ++number) {
    const DeviceKey key = key_of(functions, vf_address(device, number).value_or(""));
    if (key == 0) continue;
    --left;
    if (core.existing(key).vf_linked) out.push_back(fmt::format("virtfn{}", number));
  }
}

MaybeEntry find_device_link(const DriverCore& core, const Device& device, std::string_view name) {
  if (name == "subsystem") return link_to("bus/" + device.bus);
  if (name == "driver" && device.driver && device.driver_link) {
    return link_to(driver_path(core.state().drivers.at(*device.driver)));
  }
  if (name == "iommu_group" && device.group) {
    return link_to(fmt::format("kernel/iommu_groups/{}", *device.group));
  }
  if (name == "iommu" && device.group && core.state().iommu)
    return link_to("devices/virtual/iommu/" + std::string(kIommuUnit));
  if (name == "physfn" && device.vf_linked) {
    return link_to_device(core, core.key_of(device.bus, device.physfn));
  }
  return std::nullopt;
}

constexpr std::string_view kPower = "power";

MaybeEntry find_in_device(const DriverCore& core, const Place& at, const std::string& name) {
  const Device& device = core.existing(at.key);
  const DeviceKey child = key_of(core.index().children(at.key), name);
  if (child != 0) return directory(Kind::kDevice, "", child);
  if (name == kPower && bus_type(device.bus).has_power)
    return directory(Kind::kPower, at.name, at.key);
  if (MaybeEntry found = find_device_link(core, device, name)) return found;
  if (MaybeEntry found = find_attribute_file(core, at, name)) return found;
  if (MaybeEntry found = find_virtual_function(core, at, name)) return found;
  if (name == kPciBusClass && bus_behind(core, at.key))
    return directory(Kind::kPciBuses, "", at.key);
  return is_on_a_path(device, name) ? directory(Kind::kMade, name, at.key) : std::nullopt;
}
void list_device(const DriverCore& core, const Place& at, Names& out) {
  const Device& device = core.existing(at.key);
  list_attributes(core, at, out);
  for (const char* link : {"subsystem", "driver", "iommu", "iommu_group", "physfn"}) {
    if (find_device_link(core, device, link)) out.emplace_back(link);
  }
  if (bus_type(device.bus).has_power) out.emplace_back(kPower);
  append_names(out, core.index().children(at.key));
  list_virtual_functions(core, at, out);
  if (bus_behind(core, at.key)) out.emplace_back(kPciBusClass);
  for (const auto& [path, kind] : made_by_driver(device)) out.push_back(next_on_path(path, ""));
}

/// What a made thing hangs on: the nearest made thing above it, or the device.
std::string above_made(const DriverCore& core, const Device& device, std::string path) {
  while (path.contains('/')) {
    path.resize(path.rfind('/'));
    if (!class_of_made(device, path).empty()) return path_of(core, device) + "/" + path;
  }
  return path_of(core, device);
}

MaybeEntry find_in_made(const DriverCore& core, const Place& at, const std::string& name) {
  const Device& device = core.existing(at.key);
  const std::string below = at.name + "/" + name;
  if (is_on_a_path(device, below)) return directory(Kind::kMade, below, at.key);
  const std::string kind = class_of_made(device, at.name);
  if (kind.empty()) return std::nullopt;
  if (MaybeEntry found = find_attribute_file(core, at, name)) return found;
  if (name == "subsystem") return link_to("class/" + kind);
  if (name == "device") return link_to(above_made(core, device, at.name));
  return std::nullopt;
}
void list_made(const DriverCore& core, const Place& at, Names& out) {
  const Device& device = core.existing(at.key);
  if (!class_of_made(device, at.name).empty()) out = {"device", "subsystem"};
  list_attributes(core, at, out);
  for (const auto& [path, kind] : made_by_driver(device)) {
    const std::string next = next_on_path(path, at.name);
    if (!next.empty()) out.push_back(next);
  }
}

// ---- kernel/iommu_groups

std::optional<unsigned> group_named(const DriverCore& core, const std::string& name) {
  const auto number = parse_decimal(name, UINT32_MAX);
  if (!number || std::to_string(*number) != name) return std::nullopt;
  const auto group = static_cast<unsigned>(*number);
  return core.index().groups().contains(group) ? std::optional(group) : std::nullopt;
}
MaybeEntry find_group(const DriverCore& core, const Place& /*at*/, const std::string& name) {
  const auto group = group_named(core, name);
  return group ? directory(Kind::kGroup, "", *group) : std::nullopt;
}
void list_groups(const DriverCore& core, const Place& /*at*/, Names& out) {
  for (const auto& [group, members] : core.index().groups()) out.push_back(std::to_string(group));
}

MaybeEntry find_member(const DriverCore& core, const Place& at, const std::string& name) {
  return link_to_device(core, key_of(core.index().members(at.key), name));
}
void list_members(const DriverCore& core, const Place& at, Names& out) {
  append_names(out, core.index().members(at.key));
}

// ---- module/

bool is_loaded(const DriverCore& core, const std::string& module) {
  return core.state().modules_coming.contains(module) || core.is_loaded(module);
}
MaybeEntry find_module(const DriverCore& core, const Place& /*at*/, const std::string& name) {
  return is_loaded(core, name) ? directory(Kind::kModule, name) : std::nullopt;
}
void list_modules(const DriverCore& core, const Place& /*at*/, Names& out) {
  for (const auto& [name, keys] : core.index().modules()) {
    if (is_loaded(core, name)) out.push_back(name);
  }
}

bool is_built_in(const DriverCore& core, const std::string& module) {
  return std::ranges::any_of(core.index().modules().at(module),
                             [&](DriverKey key) { return core.state().drivers.at(key).built_in; });
}

/// By "BUS:DRIVER".
std::map<std::string, std::string> module_drivers(const DriverCore& core, const Place& at) {
  std::map<std::string, std::string> out;
  const auto found = core.index().modules().find(at.name);
  if (found == core.index().modules().end()) return out;
  for (const DriverKey key : found->second) {
    const Driver* driver = core.find_driver(key);
    if (driver == nullptr || !has_module_link(core, *driver)) continue;
    out.emplace(driver->bus + ":" + driver->name, driver_path(*driver));
  }
  return out;
}
/// Those that the model knows the meaning of, and those of the machine file.
MaybeEntry find_parameter(const DriverCore& core, const Place& at, const std::string& name) {
  if (MaybeEntry found = find_attribute_file(core, at, name)) return found;
  const auto& modules = core.state().modules;
  const auto module = modules.find(at.name);
  if (module == modules.end() || !module->second.parameters.contains(name)) return std::nullopt;
  const Place parameter{.kind = Kind::kModuleParameters, .name = at.name + "/" + name};
  return Entry{
      .kind = Entry::Kind::kAttribute, .place = parameter, .attribute = &parameter_attribute()};
}
void list_parameters(const DriverCore& core, const Place& at, Names& out) {
  list_attributes(core, at, out);
  const auto module = core.state().modules.find(at.name);
  if (module != core.state().modules.end()) append_names(out, module->second.parameters);
}

std::vector<std::pair<std::string, Kind>> module_directories(const DriverCore& core,
                                                             const Place& at) {
  std::vector<std::pair<std::string, Kind>> out;
  const bool coming = core.state().modules_coming.contains(at.name);
  const bool has_drivers = !core.index().modules().at(at.name).empty();
  if (has_drivers && (!coming || !module_drivers(core, at).empty())) {
    out.emplace_back("drivers", Kind::kModuleDrivers);
  }
  if (!is_built_in(core, at.name)) out.emplace_back("holders", Kind::kModuleHolders);
  const Place parameters{.kind = Kind::kModuleParameters, .name = at.name};
  Names names;
  list_parameters(core, parameters, names);
  if (!names.empty()) out.emplace_back("parameters", parameters.kind);
  return out;
}
MaybeEntry find_in_module(const DriverCore& core, const Place& at, const std::string& name) {
  for (const auto& [directory_name, kind] : module_directories(core, at)) {
    if (directory_name == name) return directory(kind, at.name);
  }
  return find_attribute_file(core, at, name);
}
void list_module(const DriverCore& core, const Place& at, Names& out) {
  list_attributes(core, at, out);
  append_names(out, module_directories(core, at));
}

MaybeEntry find_module_driver(const DriverCore& core, const Place& at, const std::string& name) {
  const auto drivers = module_drivers(core, at);
  const auto found = drivers.find(name);
  return found == drivers.end() ? std::nullopt : link_to(found->second);
}
void list_module_drivers(const DriverCore& core, const Place& at, Names& out) {
  append_names(out, module_drivers(core, at));
}

// ---- kernel/debug

/// dd.c:deferred_devs_show: those that wait for a bind, without those that the worker has taken.
MaybeEntry find_in_debug(const DriverCore& core, const Place& /*at*/, const std::string& name) {
  if (name != "devices_deferred") return std::nullopt;
  std::string text;
  for (const DeviceKey key : core.state().deferred) text += core.existing(key).name + "\t\n";
  return fixed_text(text);
}
void list_debug(const DriverCore& /*core*/, const Place& /*at*/, Names& out) {
  out.emplace_back("devices_deferred");
}

// ---- the table

struct Directory {
  Kind kind;
  MaybeEntry (*find)(const DriverCore&, const Place&, const std::string&);
  void (*list)(const DriverCore&, const Place&, Names&);
};
constexpr std::array kDirectories = std::to_array<Directory>({
    {Kind::kBuses, find_bus, list_buses},
    {Kind::kBus, find_attribute_file, list_attributes},
    {Kind::kBusDevices, find_bus_device, list_bus_devices},
    {Kind::kBusDrivers, find_bus_driver, list_bus_drivers},
    {Kind::kDriver, find_in_driver, list_driver},
    {Kind::kDevices, find_root, list_roots},
    {Kind::kDeviceRoot, find_in_root, list_root},
    {Kind::kDevice, find_in_device, list_device},
    {Kind::kPower, find_attribute_file, list_attributes},
    {Kind::kMade, find_in_made, list_made},
    {Kind::kVirtual, find_virtual, list_virtual},
    {Kind::kVirtualClass, find_in_virtual_class, list_virtual_class},
    {Kind::kVirtualOne, find_in_virtual_one, list_virtual_one},
    {Kind::kIommuDevices, find_iommu_device, list_iommu_devices},
    {Kind::kIommuRegisters, find_attribute_file, list_attributes},
    {Kind::kPciBuses, find_pci_bus_in, list_pci_buses_in},
    {Kind::kPciBus, find_in_pci_bus, list_pci_bus},
    {Kind::kClasses, find_class, list_classes},
    {Kind::kClass, find_in_class, list_class},
    {Kind::kGroups, find_group, list_groups},
    {Kind::kGroup, find_attribute_file, list_attributes},
    {Kind::kGroupDevices, find_member, list_members},
    {Kind::kModules, find_module, list_modules},
    {Kind::kModule, find_in_module, list_module},
    {Kind::kModuleDrivers, find_module_driver, list_module_drivers},
    {Kind::kModuleParameters, find_parameter, list_parameters},
    {Kind::kDebug, find_in_debug, list_debug},
});

constexpr bool each_once() {
  for (std::size_t i = 0; i < kDirectories.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (kDirectories[i].kind == kDirectories[j].kind) return false;
    }
  }
  return true;
}
static_assert(each_once(), "a kind of directory has one row, or the second is never found");

/// nullptr for a directory that has only what is always there.
const Directory* directory_of(Kind kind) {
  const auto* found = std::ranges::find(kDirectories, kind, &Directory::kind);
  return found == kDirectories.end() ? nullptr : found;
}

}  // namespace

std::optional<Entry> Tree::find(const Place& at, const std::string& name) const {
  if (MaybeEntry found = find_fixed(at, name)) return found;
  const Directory* directory = directory_of(at.kind);
  return directory == nullptr ? std::nullopt : directory->find(core_, at, name);
}

std::vector<std::string> Tree::list(const Place& at) const {
  Names out;
  if (const Directory* directory = directory_of(at.kind)) directory->list(core_, at, out);
  list_fixed(at, out);
  std::ranges::sort(out);
  const auto repeated = std::ranges::unique(out);
  out.erase(repeated.begin(), repeated.end());
  return out;
}

std::string Tree::target(const Entry& link) const {
  if (link.place.kind != Kind::kDevice) return link.text;
  const Device* device = core_.find(link.place.key);
  return device == nullptr ? "" : path_of(core_, *device);
}

std::optional<Way> Tree::way_to(DeviceKey key) const {
  const Device* device = core_.find(key);
  if (device == nullptr) return std::nullopt;
  const auto line = core_.line_of(*device);
  const std::string root = bus_type(line.back()->bus).root(*line.back());
  Way out;
  out.reserve(line.size() + 2);
  out.push_back({.name = "devices", .place = {.kind = Kind::kDevices}});
  out.push_back({.name = root, .place = {.kind = Kind::kDeviceRoot, .name = root}});
  const Index::Names* names = &core_.index().root(root);
  for (const Device* each : line | std::views::reverse) {
    const DeviceKey at = key_of(*names, each->name);
    if (at == 0) return std::nullopt;
    out.push_back({.name = each->name, .place = {.kind = Kind::kDevice, .key = at}});
    names = &core_.index().children(at);
  }
  return out;
}

bool Tree::exists(const Place& at) const {
  switch (at.kind) {
    case Kind::kDriver: {
      const Driver* driver = core_.find_driver(at.key);
      return driver != nullptr && driver->registration == at.registration;
    }
    case Kind::kDevice:
    case Kind::kPower:
      return core_.find(at.key) != nullptr;
    case Kind::kMade: {
      const Device* device = core_.find(at.key);
      return device != nullptr && is_on_a_path(*device, at.name);
    }
    case Kind::kGroup:
    case Kind::kGroupDevices:
      return core_.index().groups().contains(at.key);
    case Kind::kModule:
    case Kind::kModuleDrivers:
    case Kind::kModuleHolders:
    case Kind::kModuleParameters:
      return is_loaded(core_, at.name);
    case Kind::kDeviceRoot:
      return core_.index().roots().contains(at.name);
    case Kind::kPciBuses:
    case Kind::kPciBus:
      return pci_bus_is_there(core_, at);
    default:
      return true;
  }
}

std::string relative_link(std::span<const std::string> directory, std::string_view target) {
  std::size_t common = 0;
  while (common < directory.size()) {
    const auto slash = target.find('/');
    if (slash == std::string_view::npos || target.substr(0, slash) != directory[common]) break;
    target.remove_prefix(slash + 1);
    ++common;
  }
  std::string out;
  for (std::size_t i = common; i < directory.size(); ++i) out += "../";
  return out.append(target);
}

}  // namespace anybind::drivercore
