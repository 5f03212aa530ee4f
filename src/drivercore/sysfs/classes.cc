// devices/virtual, class/, and the buses of PCI, which are a class.
#include "drivercore/sysfs/classes.h"

#include <algorithm>
#include <array>
#include <set>

#include "drivercore/core/made.h"
#include "drivercore/sysfs/pci_config.h"

namespace anybind::drivercore {
namespace {

/// Of the kernel itself: there also while nothing is in them.
constexpr std::array<std::string_view, 4> kBuiltInClasses = {"block", "iommu", "net", kPciBusClass};

Names virtual_names(const DriverCore& core, std::string_view kind) {
  Names out;
  if (kind == "iommu" && core.state().iommu) out.emplace_back("dmar0");
  if (kind != "vfio") return out;
  for (const auto& [group, users] : core.index().vfio_groups())
    out.push_back(std::to_string(group));
  return out;
}
bool has_name(const Names& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

/// Its classes come with its module.
bool vfio_is_loaded(const DriverCore& core) {
  return std::ranges::any_of(core.state().drivers, [](const auto& each) {
    return each.second.registered && each.second.needs_group;
  });
}

// ---- the buses of PCI

constexpr std::string_view kPciRoot = "pci";
constexpr std::size_t kBusName = 7;  // "0000:03"

/// The directory of the device that the bus is behind: a bridge's or a root's.
std::string above_bus(const DriverCore& core, const Place& at) {
  return at.key == 0 ? "devices/" + at.name : path_of(core, core.existing(at.key));
}
/// The bus that pci_bus/ of a place has.
std::string bus_in(const DriverCore& core, const Place& at) {
  if (at.key == 0) return at.name.substr(kPciRoot.size());
  return bus_behind(core, at.key).value_or("");
}

/// The bridge to a bus that is behind none of the roots itself; 0 for none.
DeviceKey bridge_to(const DriverCore& core, const std::string& bus) {
  const auto leads = [&](const Device& device) -> DeviceKey {
    const DeviceKey above = Index::parent_of(core.state(), device);
    return above != 0 && bus_behind(core, above) == bus ? above : 0;
  };
  const auto& names = core.state().buses.at("pci").device_names;
  for (auto at = names.lower_bound(bus + ":"); at != names.end() && at->first.starts_with(bus);
       ++at) {
    if (const DeviceKey found = leads(core.existing(at->second))) return found;
  }
  for (const DeviceKey card : core.state().drawer) {
    const Device& device = core.state().devices.at(card);
    if (device.bus != "pci" || !device.name.starts_with(bus + ":")) continue;
    if (const DeviceKey found = leads(device)) return found;
  }
  return 0;
}

MaybeEntry link_to_pci_bus(const DriverCore& core, const std::string& bus) {
  const std::string root = std::string(kPciRoot) + bus;
  const DeviceKey bridge = core.index().roots().contains(root) ? 0 : bridge_to(core, bus);
  if (bridge == 0 && !core.index().roots().contains(root)) return std::nullopt;
  const Place at{.kind = Kind::kPciBuses, .name = root, .key = bridge};
  return link_to(above_bus(core, at) + "/" + kPciBusClass + "/" + bus);
}

void list_all_pci_buses(const DriverCore& core, Names& out) {
  std::set<std::string> names;
  for (const auto& [root, devices] : core.index().roots()) {
    if (is_pci_root(root)) names.insert(root.substr(kPciRoot.size()));
  }
  for (const auto& [name, key] : core.state().buses.at("pci").device_names)
    names.insert(name.substr(0, std::min(name.rfind(':'), kBusName + 1)));
  for (const DeviceKey card : core.state().drawer) {
    const Device& device = core.state().devices.at(card);
    if (device.bus == "pci") names.insert(device.name.substr(0, device.name.rfind(':')));
  }
  for (const std::string& name : names) {
    if (link_to_pci_bus(core, name)) out.push_back(name);
  }
}

}  // namespace

bool is_pci_root(std::string_view root) {
  return root.starts_with(kPciRoot) && root.contains(':');
}

bool pci_bus_is_there(const DriverCore& core, const Place& at) {
  if (at.key == 0) return core.index().roots().contains(at.name);
  return core.find(at.key) != nullptr && bus_behind(core, at.key).has_value();
}

MaybeEntry find_pci_bus_in(const DriverCore& core, const Place& at, const std::string& name) {
  return name == bus_in(core, at) ? directory(Kind::kPciBus, at.name, at.key) : std::nullopt;
}
void list_pci_buses_in(const DriverCore& core, const Place& at, Names& out) {
  out.push_back(bus_in(core, at));
}

MaybeEntry find_in_pci_bus(const DriverCore& core, const Place& at, const std::string& name) {
  if (name == "subsystem") return link_to(std::string("class/") + kPciBusClass);
  if (name == "device") return link_to(above_bus(core, at));
  return find_attribute_file(core, at, name);
}
void list_pci_bus(const DriverCore& core, const Place& at, Names& out) {
  out = {"device", "subsystem"};
  list_attributes(core, at, out);
}

// ---- devices/virtual: what hangs on no device

void list_virtual(const DriverCore& core, const Place& /*at*/, Names& out) {
  for (const char* kind : {"iommu", "vfio"}) {
    if (!virtual_names(core, kind).empty()) out.emplace_back(kind);
  }
}
MaybeEntry find_virtual(const DriverCore& core, const Place& at, const std::string& name) {
  Names names;
  list_virtual(core, at, names);
  return has_name(names, name) ? directory(Kind::kVirtualClass, name) : std::nullopt;
}

void list_virtual_class(const DriverCore& core, const Place& at, Names& out) {
  out = virtual_names(core, at.name);
}
MaybeEntry find_in_virtual_class(const DriverCore& core, const Place& at, const std::string& name) {
  if (!has_name(virtual_names(core, at.name), name)) return std::nullopt;
  return directory(Kind::kVirtualOne, at.name + "/" + name);
}

MaybeEntry find_in_virtual_one(const DriverCore& core, const Place& at, const std::string& name) {
  if (name == "subsystem") return link_to("class/" + at.name.substr(0, at.name.find('/')));
  if (at.name.starts_with("iommu/") && name == "devices")
    return directory(Kind::kIommuDevices, at.name);
  if (at.name.starts_with("iommu/") && name == "intel-iommu")
    return directory(Kind::kIommuRegisters, at.name);
  return find_attribute_file(core, at, name);
}
void list_virtual_one(const DriverCore& core, const Place& at, Names& out) {
  out = {"subsystem"};
  if (at.name.starts_with("iommu/")) out.insert(out.end(), {"devices", "intel-iommu"});
  list_attributes(core, at, out);
}

MaybeEntry find_iommu_device(const DriverCore& core, const Place& /*at*/, const std::string& name) {
  for (const auto& [group, members] : core.index().groups()) {
    if (const DeviceKey key = key_of(members, name)) return link_to_device(core, key);
  }
  return std::nullopt;
}
void list_iommu_devices(const DriverCore& core, const Place& /*at*/, Names& out) {
  for (const auto& [group, members] : core.index().groups()) append_names(out, members);
}

// ---- class/

void list_classes(const DriverCore& core, const Place& /*at*/, Names& out) {
  append_names(out, core.index().classes());
  out.insert(out.end(), kBuiltInClasses.begin(), kBuiltInClasses.end());
  for (const std::string& kind : core.index().kinds()) out.push_back(kind);
  if (vfio_is_loaded(core)) out.insert(out.end(), {"vfio", "vfio-dev"});
}
MaybeEntry find_class(const DriverCore& core, const Place& /*at*/, const std::string& name) {
  const bool is_vfio = name == "vfio" || name == "vfio-dev";
  const bool there = std::ranges::find(kBuiltInClasses, name) != kBuiltInClasses.end() ||
                     core.index().classes().contains(name) || core.index().kinds().contains(name) ||
                     (is_vfio && vfio_is_loaded(core));
  return there ? directory(Kind::kClass, name) : std::nullopt;
}

void list_class(const DriverCore& core, const Place& at, Names& out) {
  if (at.name == kPciBusClass) return list_all_pci_buses(core, out);
  out = virtual_names(core, at.name);
  append_names(out, core.index().interfaces(at.name));
}
MaybeEntry find_in_class(const DriverCore& core, const Place& at, const std::string& name) {
  if (at.name == kPciBusClass) return link_to_pci_bus(core, name);
  if (has_name(virtual_names(core, at.name), name)) {
    return link_to("devices/virtual/" + at.name + "/" + name);
  }
  const Device* device = core.find(key_of(core.index().interfaces(at.name), name));
  if (device == nullptr) return std::nullopt;
  for (const auto& [path, kind] : made_by_driver(*device)) {
    if (kind == at.name && path.substr(path.rfind('/') + 1) == name) {
      return link_to(path_of(core, *device) + "/" + path);
    }
  }
  return std::nullopt;
}

}  // namespace anybind::drivercore
