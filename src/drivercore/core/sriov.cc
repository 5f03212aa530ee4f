// Virtual functions, after drivers/pci/iov.c of Linux 6.12.
//
// Whether they can be enabled, and what becomes of them when the driver of the physical function
// lets go, is that driver's business: some disable them, some leave them. Each is added and probed
// before the next comes; the links between it and its physical function are made after its add
// event, which is why a change event follows.
#include "drivercore/core/sriov.h"

#include <algorithm>
#include <cerrno>
#include <ranges>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/ids.h"
#include "base/try.h"
#include "drivercore/core/kernel_text.h"
#include "drivercore/core/operation.h"

namespace anybind::drivercore {
namespace {

constexpr unsigned kFunctionsOfABus = 256;
constexpr unsigned kMaxBuses = 256;

/// Bus, slot and function as one number.
std::optional<unsigned> routing_id(const std::string& name) {
  const auto address = PciAddress::parse(name);
  if (!address || !address->function) return std::nullopt;
  return address->bus * kFunctionsOfABus + address->slot * 8U + *address->function;
}

/// The lowest number that no group has and no card is meant for.
unsigned free_group(const State& state) {
  std::set<unsigned> taken;
  for (const auto& [key, device] : state.devices) {
    if (device.group) taken.insert(*device.group);
  }
  unsigned out = 0;
  while (taken.contains(out)) ++out;
  return out;
}

/// drivers/vfio/pci/vfio_pci.c:vfio_pci_sriov_configure.
bool is_forbidden(const Driver& driver) {
  return driver.needs_group && !driver.enable_sriov;
}

}  // namespace

std::optional<std::string> vf_address(const Device& pf, unsigned number) {
  const auto own = routing_id(pf.name);
  if (!own) return std::nullopt;
  const unsigned id = *own + pf.vf_offset + number * pf.vf_stride;
  if (id >= kMaxBuses * kFunctionsOfABus) return std::nullopt;
  const PciAddress address{.domain = PciAddress::parse(pf.name)->domain,
                           .bus = static_cast<std::uint8_t>(id / kFunctionsOfABus),
                           .slot = static_cast<std::uint8_t>(id / 8 % 32),
                           .function = static_cast<std::uint8_t>(id % 8)};
  return address.str();
}

// ---- what is written

/// sriov_numvfs_store. The order of the checks decides which errno is seen.
Reply<void> DriverCore::sriov_numvfs(DeviceKey key, std::string_view text) {
  Operation operation(*this);
  const auto wanted = kstrtou16(text);
  if (!wanted) return kernel_error(EINVAL);
  const Device* dev = find(key);
  if (dev == nullptr) return kernel_error(ENODEV);
  if (*wanted > dev->total_vfs) return kernel_error(ERANGE);
  auto lock = TRY(DeviceLock::take(*this, key));
  const auto result = set_num_vfs(key, *wanted);
  lock.unlock(result ? 0 : result.error().value);
  return operation.done(result);
}

/// sriov_numvfs_show: waits for a write that is under way (5.19).
Reply<std::string> DriverCore::read_sriov_numvfs(DeviceKey key) {
  const auto lock = TRY(DeviceLock::take(*this, key));
  return fmt::format("{}\n", the_device(key).num_vfs);
}

Reply<void> DriverCore::enable_sriov(const std::string& module, std::string_view text) {
  const bool on = TRY(kstrtobool(text));
  for (auto& [key, known] : state_.drivers) {
    const bool meant = known.needs_group && Index::module_name(known.module) == module;
    if (meant) known.enable_sriov = on;
  }
  return {};
}

/// The caller holds the lock of the physical function.
Reply<void> DriverCore::set_num_vfs(DeviceKey pf, unsigned wanted) {
  const Device& dev = the_device(pf);
  if (dev.num_vfs == wanted) return {};
  if (!dev.driver) return kernel_error(ENOENT);
  const Driver& driver = state_.drivers.at(*dev.driver);
  if (driver.sriov == Sriov::kNone) return kernel_error(ENOENT);
  if (wanted != 0 && dev.num_vfs != 0) return kernel_error(EBUSY);
  if (is_forbidden(driver)) return kernel_error(ENOENT);
  const auto lock = TRY(RescanLock::take(*this));
  return wanted == 0 ? disable_vfs(pf) : enable_vfs(pf, wanted);
}

// ---- enabling

/// What the hardware shows when nothing more is known of it.
Device DriverCore::make_vf(const Device& pf, std::string name) const {
  Device out{.bus = pf.bus, .name = std::move(name), .parent = pf.parent, .vendor = pf.vendor};
  out.device = pf.vf_device == 0 ? pf.device : pf.vf_device;
  out.subvendor = pf.subvendor;
  out.subdevice = pf.subdevice;
  out.class_code = pf.class_code;
  out.revision = pf.revision;
  if (state_.iommu) out.group = free_group(state_);
  out.physfn = pf.name;
  out.numa_node = pf.numa_node;
  return out;
}

/// The one that the machine file describes for this address, or one made from the physical
/// function; as a new instance that nobody has seen yet.
DeviceKey DriverCore::vf_card(DeviceKey pf, const std::string& name) {
  const Device& owner = the_device(pf);
  const auto fits = [&](DeviceKey card) {
    const Device& dev = state_.devices.at(card);
    return dev.bus == owner.bus && dev.name == name && dev.physfn == owner.name &&
           dev.vendor == owner.vendor;
  };
  const auto found = std::ranges::find_if(state_.drawer, fits);
  if (found == state_.drawer.end()) {
    Device made = make_vf(owner, name);
    const DeviceKey key = state_.next_key++;
    state_.devices.emplace(key, std::move(made));
    return key;
  }
  const DeviceKey card = *found;
  state_.drawer.erase(found);
  index_.take_out(state_.devices.at(card), card);
  return renew(card);
}

/// pci_iov_add_virtfn. A VFIO driver has its functions to itself
/// (vfio_pci_core.c:vfio_pci_bus_notifier).
void DriverCore::add_vf(DeviceKey pf, const std::string& name) {
  const DeviceKey key = vf_card(pf, name);
  CHECK(the_device(pf).driver.has_value(), "it is the driver that makes virtual functions");
  const Driver& owner = state_.drivers.at(*the_device(pf).driver);
  if (owner.needs_group && state_.profile.device_names_driver())
    state_.devices.at(key).driver_override = owner.name;
  device_add(key);
  the_device(key).vf_linked = true;
  send("change", the_device(key));
  step(KernelStep::Kind::kVfLinked, key);
  pci_bus_add_device(key);
}

Reply<void> DriverCore::enable_vfs(DeviceKey pf, unsigned count) {
  std::vector<std::string> names;
  for (unsigned number = 0; number < count; ++number) {
    const auto address = vf_address(the_device(pf), number);
    if (!address) return kernel_error(ENOMEM);
    // The functions of a physical one that was removed under them: here the kernel warns.
    if (key_of("pci", *address) != 0) return kernel_error(ENOENT);
    names.push_back(*address);
  }
  for (const std::string& name : names) add_vf(pf, name);
  send("change", the_device(pf));
  the_device(pf).num_vfs = count;
  step(KernelStep::Kind::kVfsEnabled, pf);
  return {};
}

// ---- disabling

Reply<void> DriverCore::disable_vfs(DeviceKey pf) {
  const unsigned count = the_device(pf).num_vfs;
  for (unsigned number = 0; number < count; ++number) {
    const DeviceKey key = key_of("pci", vf_address(the_device(pf), number).value_or(""));
    if (key == 0) continue;
    the_device(key).vf_linked = false;
    step(KernelStep::Kind::kVfUnlinked, key);
    TRY(stop_and_remove(key));
  }
  the_device(pf).num_vfs = 0;
  if (count > 0) step(KernelStep::Kind::kVfsDisabled, pf);
  return {};
}

/// The physical function goes and its driver has left the others: they stay, and belong to nobody.
void DriverCore::orphan_vfs(DeviceKey pf) {
  const auto keys = index_.virtual_functions(pf) | std::views::values;
  for (const DeviceKey key : std::vector<DeviceKey>(keys.begin(), keys.end())) {
    index_.remove(state_, key);
    the_device(key).physfn.clear();
    the_device(key).vf_linked = false;
    index_.add(state_, key);
  }
}

// ---- taking a State over

/// Machine files name the functions; how many are enabled, and where they are, follows.
void DriverCore::adopt_vfs() {
  for (auto& [key, pf] : state_.devices) {
    const auto& functions = index_.virtual_functions(key);
    if (pf.gone || functions.empty()) continue;
    std::vector<unsigned> ids;
    for (const auto& [name, vf] : functions) {
      ids.push_back(routing_id(name).value_or(0) - routing_id(pf.name).value_or(0));
      state_.devices.at(vf).vf_linked = true;
    }
    std::ranges::sort(ids);
    const auto as_written = [&](unsigned number) { return pf.vf_offset + number * pf.vf_stride; };
    const bool fits = std::ranges::all_of(std::views::iota(0U, ids.size()), [&](auto number) {
      return ids[number] == as_written(static_cast<unsigned>(number));
    });
    if (!fits) {
      pf.vf_offset = static_cast<std::uint16_t>(ids[0]);
      pf.vf_stride = static_cast<std::uint16_t>(ids.size() > 1 ? ids[1] - ids[0] : 1);
    }
    if (pf.num_vfs == 0) pf.num_vfs = static_cast<unsigned>(ids.size());
    pf.total_vfs = std::max(pf.total_vfs, pf.num_vfs);
  }
}

}  // namespace anybind::drivercore
