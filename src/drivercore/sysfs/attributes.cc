// Every attribute file of the modelled tree, as tables: one for each kind of directory.
#include "drivercore/sysfs/attributes.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>

#include <fmt/format.h>

#include "base/check.h"
#include "base/try.h"
#include "drivercore/core/bus_type.h"
#include "drivercore/core/kernel_text.h"
#include "drivercore/core/made.h"
#include "drivercore/sysfs/pci_config.h"

namespace anybind::drivercore {
namespace {

using Core = DriverCore;
using Text = std::string_view;

const Device& device_of(const Core& core, const Place& at) {
  return core.existing(at.key);
}
const Driver& driver_of(const Core& core, const Place& at) {
  const Driver* driver = core.find_driver(at.key);
  CHECK(driver != nullptr, "a driver that has attributes is registered");
  return *driver;
}

// ---- of a bus

Reply<std::string> show_autoprobe(Core& core, const Place& at) {
  return core.state().buses.at(at.name).autoprobe ? "1\n" : "0\n";
}
Reply<void> store_autoprobe(Core& core, const Place& at, Text text) {
  return core.drivers_autoprobe(at.name, text);
}
Reply<void> store_probe(Core& core, const Place& at, Text text) {
  return core.drivers_probe(at.name, text);
}
Reply<void> store_bus_rescan(Core& core, const Place& /*at*/, Text text) {
  return core.rescan(text);
}
bool is_pci_bus(const Core& /*core*/, const Place& at) {
  return at.name == "pci";
}
Reply<void> store_bus_uevent(Core& core, const Place& at, Text text) {
  return core.synthetic_uevent("/bus/" + at.name, "bus", text);
}

constexpr std::array kBusAttributes = std::to_array<Attribute>({
    {"drivers_autoprobe", show_autoprobe, store_autoprobe},
    {"drivers_probe", nullptr, store_probe},
    {"rescan", nullptr, store_bus_rescan, is_pci_bus},
    {"uevent", nullptr, store_bus_uevent},
});

// ---- of a driver

bool has_files(const Core& core, const Place& at) {
  return driver_of(core, at).files;
}
bool can_be_bound(const Core& core, const Place& at) {
  return has_files(core, at) && !driver_of(core, at).suppress_bind;
}
/// nullptr for a driver that has no new_id on this kernel.
const IdFiles* id_files(const Core& core, const Place& at) {
  const Driver& driver = driver_of(core, at);
  const IdFiles* files = bus_type(driver.bus).id_files;
  if (!driver.files || files == nullptr) return nullptr;
  if (files->mechanism && !core.state().profile.has(*files->mechanism)) return nullptr;
  return files->applies == nullptr || files->applies(driver) ? files : nullptr;
}
bool can_add_id(const Core& core, const Place& at) {
  const IdFiles* files = id_files(core, at);
  return files != nullptr && files->show == nullptr;
}
bool can_remove_id(const Core& core, const Place& at) {
  return can_add_id(core, at) && id_files(core, at)->remove != nullptr;
}
bool can_read_ids(const Core& core, const Place& at) {
  const IdFiles* files = id_files(core, at);
  return files != nullptr && files->show != nullptr;
}
Reply<std::string> show_ids(Core& core, const Place& at) {
  return id_files(core, at)->show(driver_of(core, at));
}
bool is_vfio(const Core& core, const Place& at) {
  return can_be_bound(core, at) && driver_of(core, at).needs_group;
}
Reply<std::string> show_driver_autoprobe(Core& core, const Place& at) {
  return driver_of(core, at).autoprobe ? "1\n" : "0\n";
}

template <auto Operation>
Reply<void> store_driver(Core& core, const Place& at, Text text) {
  const Driver& driver = driver_of(core, at);
  return (core.*Operation)(driver.bus, driver.name, text);
}
Reply<void> store_driver_uevent(Core& core, const Place& at, Text text) {
  const Driver& driver = driver_of(core, at);
  return core.synthetic_uevent("/bus/" + driver.bus + "/drivers/" + driver.name, "drivers", text);
}

constexpr std::array kDriverAttributes = std::to_array<Attribute>({
    {"autoprobe",
     show_driver_autoprobe,
     store_driver<&Core::driver_autoprobe>,
     has_files,
     {},
     Mechanism::kAutoprobeFlag},
    {"bind", nullptr, store_driver<&Core::bind>, can_be_bound},
    {"new_id", nullptr, store_driver<&Core::new_id>, can_add_id},
    {"new_id", show_ids, store_driver<&Core::new_id>, can_read_ids},
    {"remove_id", nullptr, store_driver<&Core::remove_id>, can_remove_id},
    {"remove_id", show_ids, store_driver<&Core::remove_id>, can_read_ids},
    {"uevent", nullptr, store_driver_uevent, has_files},
    {"unbind", nullptr, store_driver<&Core::unbind>, can_be_bound},
    {"vfio_bind", nullptr, store_driver<&Core::vfio_bind>, is_vfio, {}, Mechanism::kVfioBind},
});

// ---- of a module

Reply<void> store_module_uevent(Core& core, const Place& at, Text text) {
  return core.synthetic_uevent("/module/" + at.name, "module", text);
}

/// Its drivers that are described, registered or not.
std::vector<const Driver*> drivers_of(const Core& core, const std::string& module) {
  std::vector<const Driver*> out;
  const auto found = core.index().modules().find(module);
  if (found == core.index().modules().end()) return out;
  for (const DriverKey key : found->second) out.push_back(&core.state().drivers.at(key));
  return out;
}
bool can_be_unloaded(const Core& core, const Place& at) {
  const auto built_in = [](const Driver* driver) { return driver->built_in; };
  return std::ranges::none_of(drivers_of(core, at.name), built_in);
}

Reply<std::string> show_initstate(Core& core, const Place& at) {
  if (core.state().modules_coming.contains(at.name)) return "coming\n";
  return core.state().modules_going.contains(at.name) ? "going\n" : "live\n";
}
/// What keeps it from being unloaded: its devices that user space has open.
Reply<std::string> show_refcnt(Core& core, const Place& at) {
  unsigned count = 0;
  for (const Driver* driver : drivers_of(core, at.name)) {
    for (const DeviceKey key : driver->bound) count += core.existing(key).open ? 1U : 0U;
  }
  return fmt::format("{}\n", count);
}
Reply<std::string> show_coresize(Core& /*core*/, const Place& /*at*/) {
  return "65536\n";
}
Reply<std::string> show_nothing(Core& /*core*/, const Place& /*at*/) {
  return "\n";
}

constexpr std::array kModuleAttributes = std::to_array<Attribute>({
    {"coresize", show_coresize, nullptr, can_be_unloaded},
    {"initstate", show_initstate, nullptr, can_be_unloaded},
    {"refcnt", show_refcnt, nullptr, can_be_unloaded},
    {"taint", show_nothing, nullptr, can_be_unloaded},
    {"uevent", nullptr, store_module_uevent},
});

const Driver* vfio_driver_of(const Core& core, const Place& at) {
  const auto drivers = drivers_of(core, at.name);
  const auto found = std::ranges::find_if(drivers, &Driver::needs_group);
  return found == drivers.end() ? nullptr : *found;
}
bool has_vfio_driver(const Core& core, const Place& at) {
  return vfio_driver_of(core, at) != nullptr;
}
Reply<std::string> show_enable_sriov(Core& core, const Place& at) {
  return vfio_driver_of(core, at)->enable_sriov ? "Y\n" : "N\n";
}
Reply<void> store_enable_sriov(Core& core, const Place& at, Text text) {
  return core.enable_sriov(at.name, text);
}

/// Of a place called MODULE/PARAMETER.
Reply<std::string> show_parameter(Core& core, const Place& at) {
  const auto slash = at.name.find('/');
  const auto& module = core.state().modules.at(at.name.substr(0, slash));
  return module.parameters.at(at.name.substr(slash + 1)) + "\n";
}
Reply<void> store_parameter(Core& core, const Place& at, Text text) {
  const auto slash = at.name.find('/');
  return core.module_parameter(at.name.substr(0, slash), at.name.substr(slash + 1), text);
}

constexpr std::array kParameters = std::to_array<Attribute>({
    {"enable_sriov", show_enable_sriov, store_enable_sriov, has_vfio_driver},
});

// ---- of an IOMMU group

Reply<std::string> show_group_type(Core& core, const Place& at) {
  return core.state().groups.at(at.key).type + "\n";
}
Reply<void> store_group_type(Core& core, const Place& at, Text text) {
  return core.group_type(at.key, text);
}
Reply<std::string> show_reserved(Core& core, const Place& at) {
  const auto& regions = core.state().groups.at(at.key).regions;
  std::string out;
  for (const std::string& line : regions) out += line + "\n";
  return regions.empty() ? fmt::format("{}\n", Group::kUsualRegion) : out;
}

constexpr std::array kGroupAttributes = std::to_array<Attribute>({
    {"reserved_regions", show_reserved, nullptr},
    {"type", show_group_type, store_group_type, nullptr, {4, 11}},
});

// ---- of a device

bool is_pci(const Core& core, const Place& at) {
  return device_of(core, at).bus == "pci";
}
bool is_serio(const Core& core, const Place& at) {
  return device_of(core, at).bus == "serio";
}
bool is_vga(const Core& core, const Place& at) {
  return is_pci(core, at) && device_of(core, at).class_code >> 8 == 0x0300;
}
/// Virtual functions come and go with their physical one.
bool is_no_vf(const Core& core, const Place& at) {
  return is_pci(core, at) && device_of(core, at).physfn.empty();
}
bool is_pf(const Core& core, const Place& at) {
  return device_of(core, at).total_vfs > 0;
}
bool has_reset(const Core& core, const Place& at) {
  return is_pci(core, at) && device_of(core, at).can_reset;
}
bool is_bridge(const Core& core, const Place& at) {
  return is_pci(core, at) && device_of(core, at).class_code >> 8 == 0x0604;
}
bool has_node(const Core& core, const Place& at) {
  return is_pci(core, at) || device_of(core, at).numa_node >= 0;
}
bool has_override(const Core& core, const Place& at) {
  return bus_type(device_of(core, at).bus).has_override;
}

bool has_modalias(const Core& core, const Place& at) {
  return !modalias_of(device_of(core, at)).empty();
}

template <auto Member>
Reply<std::string> show_hex4(Core& core, const Place& at) {
  return fmt::format("0x{:04x}\n", device_of(core, at).*Member);
}
template <auto Member>
Reply<std::string> show_flag(Core& core, const Place& at) {
  return device_of(core, at).*Member ? "1\n" : "0\n";
}
template <auto Member>
Reply<std::string> show_number(Core& core, const Place& at) {
  return fmt::format("{}\n", device_of(core, at).*Member);
}
template <char... Letters>
Reply<std::string> show_fixed(Core& /*core*/, const Place& /*at*/) {
  return std::string{Letters..., '\n'};
}

Reply<std::string> show_class(Core& core, const Place& at) {
  return fmt::format("0x{:06x}\n", device_of(core, at).class_code);
}
Reply<std::string> show_revision(Core& core, const Place& at) {
  return fmt::format("0x{:02x}\n", device_of(core, at).revision);
}
Reply<std::string> show_modalias(Core& core, const Place& at) {
  return modalias_of(device_of(core, at)) + "\n";
}
Reply<std::string> show_vf_device(Core& core, const Place& at) {
  const Device& d = device_of(core, at);
  return fmt::format("{:x}\n", d.vf_device == 0 ? d.device : d.vf_device);
}

/// How often the function was enabled: once by a host driver, and not by one for user space.
Reply<std::string> show_enable(Core& core, const Place& at) {
  const Device& device = device_of(core, at);
  const bool host = device.driver && !core.state().drivers.at(*device.driver).managed_dma;
  const bool port = device.driver && device.class_code >> 8 == 0x0604;
  return host || port ? "1\n" : "0\n";
}

Reply<std::string> show_config(Core& core, const Place& at) {
  return pci_config(core, at.key);
}
/// The modelled hardware has no register that a write would change.
Reply<void> store_config(Core& /*core*/, const Place& /*at*/, Text /*text*/) {
  return {};
}

Reply<std::string> show_resource(Core& /*core*/, const Place& /*at*/) {
  std::string out;
  for (int i = 0; i < 13; ++i) out += "0x0000000000000000 0x0000000000000000 0x0000000000000000\n";
  return out;
}

template <auto Operation>
Reply<std::string> show_by(Core& core, const Place& at) {
  return (core.*Operation)(at.key);
}
template <auto Operation>
Reply<void> store_device(Core& core, const Place& at, Text text) {
  return (core.*Operation)(at.key, text);
}
Reply<void> store_device_rescan(Core& core, const Place& at, Text text) {
  return core.rescan(text, at.key);
}
Reply<void> store_device_uevent(Core& core, const Place& at, Text text) {
  return core.synthetic_uevent(at.key, text);
}
Reply<std::string> show_secondary(Core& core, const Place& at) {
  return fmt::format("{}\n", bus_numbers(core, at.key).secondary);
}
Reply<std::string> show_subordinate(Core& core, const Place& at) {
  return fmt::format("{}\n", bus_numbers(core, at.key).subordinate);
}
Reply<std::string> show_reset_method(Core& core, const Place& at) {
  if (device_of(core, at).reset_off) return "";
  return device_of(core, at).bus_reset ? "bus\n" : "flr\n";
}
/// Linux drivers/pci/pci-sysfs.c:serial_number_show().
Reply<std::string> show_serial(Core& core, const Place& at) {
  return device_of(core, at).serial + "\n";
}
bool has_serial(const Core& core, const Place& at) {
  return is_pci(core, at) && !device_of(core, at).serial.empty();
}
/// The bus cannot be reset while others are on it.
Reply<void> store_reset(Core& core, const Place& at, Text text) {
  const auto number = TRY(kstrtoul(text));
  if (number != 1) return std::unexpected(Errno{EINVAL});
  const Device& device = device_of(core, at);
  if (device.reset_off) return std::unexpected(Errno{ENOTTY});
  if (device.bus_reset && !core.is_alone(device)) return std::unexpected(Errno{ENOTTY});
  return {};
}
/// Nobody has enabled a driverless function, so that there is nothing to take back.
Reply<void> store_enable(Core& core, const Place& at, Text text) {
  const auto number = TRY(kstrtoul(text));
  if (device_of(core, at).driver) return std::unexpected(Errno{EBUSY});
  return number != 0 ? Reply<void>() : std::unexpected(Errno{EIO});
}

constexpr std::array kDeviceAttributes = std::to_array<Attribute>({
    {"ari_enabled", show_fixed<'0'>, nullptr, is_pci},
    {"boot_vga", show_flag<&Device::boot_vga>, nullptr, is_vga},
    {"class", show_class, nullptr, is_pci},
    {.name = "config",
     .show = show_config,
     .store = store_config,
     .applies = is_pci,
     .binary = true},
    {"consistent_dma_mask_bits", show_fixed<'6', '4'>, nullptr, is_pci},
    {"device", show_hex4<&Device::device>, nullptr, is_pci},
    {"dma_mask_bits", show_fixed<'6', '4'>, nullptr, is_pci},
    {"driver_override",
     show_by<&Core::read_driver_override>,
     store_device<&Core::driver_override>,
     has_override,
     {3, 16},
     Mechanism::kDriverOverride},
    {"driver_probe_id",
     show_by<&Core::read_driver_probe_id>,
     store_device<&Core::driver_probe_id>,
     nullptr,
     {},
     Mechanism::kDriverProbeId},
    {"drvctl", nullptr, store_device<&Core::drvctl>, is_serio},
    {"enable", show_enable, store_enable, is_pci},
    {"irq", show_fixed<'0'>, nullptr, is_pci},
    {"local_cpulist", show_fixed<'0', '-', '1'>, nullptr, is_pci},
    {"local_cpus", show_fixed<'3'>, nullptr, is_pci},
    {"modalias", show_modalias, nullptr, has_modalias},
    {"numa_node", show_number<&Device::numa_node>, store_device<&Core::numa_node>, has_node},
    {"power_state", show_fixed<'D', '0'>, nullptr, is_pci, {5, 11}},
    {"preferred_driver",
     show_by<&Core::read_driver_override>,
     store_device<&Core::driver_override>,
     has_override,
     {},
     Mechanism::kPreferredDriver},
    {"remove", nullptr, store_device<&Core::remove>, is_no_vf},
    {"rescan", nullptr, store_device_rescan, is_no_vf},
    {"reset", nullptr, store_reset, has_reset},
    {"reset_method", show_reset_method, store_device<&Core::reset_method>, has_reset, {5, 15}},
    {"resource", show_resource, nullptr, is_pci},
    {"revision", show_revision, nullptr, is_pci, {4, 10}},
    {"secondary_bus_number", show_secondary, nullptr, is_bridge},
    {.name = "serial_number",
     .show = show_serial,
     .applies = has_serial,
     .since = {6, 18},
     .is_secret = true},
    {"sriov_drivers_autoprobe",
     show_flag<&Device::vf_autoprobe>,
     store_device<&Core::sriov_drivers_autoprobe>,
     is_pf,
     {4, 12}},
    {"sriov_numvfs", show_by<&Core::read_sriov_numvfs>, store_device<&Core::sriov_numvfs>, is_pf},
    {"sriov_offset", show_number<&Device::vf_offset>, nullptr, is_pf, {4, 14}},
    {"sriov_stride", show_number<&Device::vf_stride>, nullptr, is_pf, {4, 14}},
    {"sriov_totalvfs", show_number<&Device::total_vfs>, nullptr, is_pf},
    {"sriov_vf_device", show_vf_device, nullptr, is_pf, {4, 14}},
    {"sriov_vf_total_msix", show_fixed<'0'>, nullptr, is_pf, {5, 13}},
    {"subordinate_bus_number", show_subordinate, nullptr, is_bridge},
    {"subsystem_device", show_hex4<&Device::subdevice>, nullptr, is_pci},
    {"subsystem_vendor", show_hex4<&Device::subvendor>, nullptr, is_pci},
    {"uevent", show_by<&Core::read_uevent>, store_device_uevent, nullptr},
    {"vendor", show_hex4<&Device::vendor>, nullptr, is_pci},
});

// ---- of a bus of PCI, of a root, of an IOMMU

Reply<void> store_behind_rescan(Core& core, const Place& at, Text text) {
  return core.rescan_behind(text, at.key);
}
Reply<void> store_pci_bus_uevent(Core& core, const Place& at, Text text) {
  const bool root = at.key == 0;
  const std::string bus = root ? at.name.substr(3) : bus_behind(core, at.key).value_or("");
  const std::string above = root ? "/devices/" + at.name : core.devpath(device_of(core, at));
  return core.synthetic_uevent(above + "/pci_bus/" + bus, "pci_bus", text);
}
Reply<std::string> show_no_lines(Core& /*core*/, const Place& /*at*/) {
  return "";
}
bool is_pci_host(const Core& /*core*/, const Place& at) {
  return at.name.starts_with("pci") && at.name.contains(':');
}
/// It is on no bus and in no class: the kernel tells nobody
/// (drivers/base/core.c:dev_uevent_filter).
Reply<void> store_root_uevent(Core& /*core*/, const Place& /*at*/, Text text) {
  TRY(parse_synthetic(text));
  return {};
}

constexpr std::array kPciBusAttributes = std::to_array<Attribute>({
    {"cpuaffinity", show_fixed<'3'>},
    {"cpulistaffinity", show_fixed<'0', '-', '1'>},
    {"rescan", nullptr, store_behind_rescan},
    {"uevent", show_no_lines, store_pci_bus_uevent},
});
constexpr std::array kRootAttributes = std::to_array<Attribute>({
    {"uevent", show_no_lines, store_root_uevent, is_pci_host},
});

/// What drivers/iommu/intel shows of QEMU's.
Reply<std::string> show_iommu_cap(Core& /*core*/, const Place& /*at*/) {
  return "d2008c222f0686\n";
}
Reply<std::string> show_iommu_ecap(Core& /*core*/, const Place& /*at*/) {
  return "f00f5a\n";
}
Reply<std::string> show_iommu_address(Core& /*core*/, const Place& /*at*/) {
  return "fed90000\n";
}
Reply<std::string> show_domains(Core& /*core*/, const Place& /*at*/) {
  return "65536\n";
}
Reply<std::string> show_domains_used(Core& core, const Place& /*at*/) {
  return fmt::format("{}\n", core.index().groups().size());
}

constexpr std::array kIommuRegisters = std::to_array<Attribute>({
    {"address", show_iommu_address},
    {"cap", show_iommu_cap},
    {"domains_supported", show_domains},
    {"domains_used", show_domains_used},
    {"ecap", show_iommu_ecap},
    {"version", show_fixed<'1', ':', '0'>},
});

constexpr std::array kPowerAttributes = std::to_array<Attribute>({
    {"control", show_by<&Core::read_power_control>, store_device<&Core::power_control>},
});

// ---- of what a driver made, and of what hangs on no device

std::string as_text(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  return out;
}
bool is_of_class(const Core& core, const Place& at) {
  return !class_of_made(device_of(core, at), at.name).empty();
}
Reply<std::string> show_made_uevent(Core& core, const Place& at) {
  return as_text(uevent_lines_of_made(device_of(core, at), at.name));
}
Reply<void> store_made_uevent(Core& core, const Place& at, Text text) {
  return core.synthetic_uevent_of_made(at.key, at.name, text);
}
Reply<std::string> show_virtual_uevent(Core& /*core*/, const Place& at) {
  return as_text(uevent_lines_of_virtual(at.name));
}
Reply<void> store_virtual_uevent(Core& core, const Place& at, Text text) {
  return core.synthetic_uevent_of_virtual(at.name, text);
}

constexpr std::array kMadeAttributes = std::to_array<Attribute>({
    {"uevent", show_made_uevent, store_made_uevent, is_of_class},
});
constexpr std::array kVirtualAttributes = std::to_array<Attribute>({
    {"uevent", show_virtual_uevent, store_virtual_uevent},
});

// find_attribute() halves them.
constexpr bool is_by_name(std::span<const Attribute> attributes) {
  return std::ranges::is_sorted(attributes, {}, &Attribute::name);
}
static_assert(is_by_name(kBusAttributes));
static_assert(is_by_name(kDriverAttributes));
static_assert(is_by_name(kModuleAttributes));
static_assert(is_by_name(kParameters));
static_assert(is_by_name(kGroupAttributes));
static_assert(is_by_name(kDeviceAttributes));
static_assert(is_by_name(kPciBusAttributes));
static_assert(is_by_name(kRootAttributes));
static_assert(is_by_name(kIommuRegisters));
static_assert(is_by_name(kPowerAttributes));
static_assert(is_by_name(kMadeAttributes));
static_assert(is_by_name(kVirtualAttributes));

/// Empty for a device or driver that is not there, or whose attributes are gone already.
std::span<const Attribute> attributes_in(const Core& core, const Place& at) {
  const auto is_listed = [&] {
    const Device* device = core.find(at.key);
    return device != nullptr && core.listed(*device, at.key);
  };
  using Attributes = std::span<const Attribute>;
  switch (at.kind) {
    case Place::Kind::kDevice:
      return is_listed() ? kDeviceAttributes : Attributes();
    case Place::Kind::kMade:
      return is_listed() ? kMadeAttributes : Attributes();
    case Place::Kind::kVirtualOne:
      return kVirtualAttributes;
    case Place::Kind::kPciBus:
      return kPciBusAttributes;
    case Place::Kind::kDeviceRoot:
      return kRootAttributes;
    case Place::Kind::kIommuRegisters:
      return kIommuRegisters;
    case Place::Kind::kPower:
      return is_listed() ? kPowerAttributes : Attributes();
    case Place::Kind::kDriver:
      return core.find_driver(at.key) != nullptr ? kDriverAttributes : Attributes();
    case Place::Kind::kBus:
      return kBusAttributes;
    case Place::Kind::kModule:
      return kModuleAttributes;
    case Place::Kind::kModuleParameters:
      return kParameters;
    case Place::Kind::kGroup:
      return kGroupAttributes;
    default:
      return {};
  }
}

bool applies(const Core& core, const Place& at, const Attribute& attribute) {
  const KernelProfile& kernel = core.state().profile;
  if (kernel.version < attribute.since) return false;
  if (attribute.mechanism && !kernel.has(*attribute.mechanism)) return false;
  return attribute.applies == nullptr || attribute.applies(core, at);
}

}  // namespace

const Attribute& parameter_attribute() {
  static constexpr Attribute kParameter{
      .name = "parameter", .show = show_parameter, .store = store_parameter};
  return kParameter;
}

std::vector<std::string> attribute_names(const DriverCore& core, const Place& at) {
  std::vector<std::string> out;
  for (const Attribute& attribute : attributes_in(core, at)) {
    if (applies(core, at, attribute)) out.emplace_back(attribute.name);
  }
  return out;
}

const Attribute* find_attribute(const DriverCore& core, const Place& at, std::string_view name) {
  const auto all = attributes_in(core, at);
  const auto rows = std::ranges::equal_range(all, name, {}, &Attribute::name);
  const auto found =
      std::ranges::find_if(rows, [&](const Attribute& row) { return applies(core, at, row); });
  return found == rows.end() ? nullptr : &*found;
}

Reply<std::string> show_attribute(DriverCore& core, const Place& at, const Attribute& attribute) {
  if (attribute.show == nullptr) return std::unexpected(Errno{EACCES});
  return attribute.show(core, at);
}

Reply<std::size_t> store_attribute(DriverCore& core, const Place& at, const Attribute& attribute,
                                   std::string_view bytes) {
  constexpr std::size_t kPage = 4096;
  if (attribute.store == nullptr) return std::unexpected(Errno{EACCES});
  if (bytes.empty()) return 0;
  bytes = bytes.substr(0, kPage);
  TRY(attribute.store(core, at, bytes));
  return bytes.size();
}

}  // namespace anybind::drivercore
