// The PCI bus, after drivers/pci/pci-driver.c of Linux 6.12.
#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "base/text.h"
#include "drivercore/core/bus_type.h"
#include "drivercore/core/driver_lookup.h"
#include "drivercore/core/kernel_text.h"

namespace anybind::drivercore {
namespace {

bool field_matches(std::uint32_t wanted, std::uint32_t has) {
  return wanted == PciId::kAny || wanted == has;
}

PciFunction function_of(const Device& d) {
  return {.vendor = d.vendor,
          .device = d.device,
          .subvendor = d.subvendor,
          .subdevice = d.subdevice,
          .class_code = d.class_code};
}

std::string probe_id(const Device& d) {
  return fmt::format("{:04x} {:04x}", d.vendor, d.device);
}

/// "VENDOR DEVICE [SUBVENDOR SUBDEVICE [CLASS]]", read as new_id reads it.
std::optional<std::string> parse_probe_id(std::string_view text) {
  constexpr std::size_t kFields = 5;
  const HexFields fields = scan_hex(text);
  if (fields.count < 2) return std::nullopt;
  std::string out;
  for (std::size_t i = 0; i < std::min(fields.count, kFields); ++i) {
    out += fmt::format("{}{:04x}", i == 0 ? "" : " ", fields.value.at(i));
  }
  return out;
}

/// What ids are compared with: the function, or the id that was written to driver_probe_id in its
/// place. What such an id does not say is 0, so that no entry by class or by card matches either.
PciFunction function_to_match(const Device& device) {
  if (device.probe_id.empty()) return function_of(device);
  const HexFields fields = scan_hex(device.probe_id);
  const auto at = [&](std::size_t i) { return static_cast<std::uint32_t>(fields.value.at(i)); };
  return {.vendor = at(0),
          .device = at(1),
          .subvendor = at(2),
          .subdevice = at(3),
          .class_code = at(4)};
}

/// What a probe is given when the device names the driver and no id matches. preferred_driver makes
/// one for the device (the thread, note 2); driver_override has one for all.
PciId id_for_named(const KernelProfile& kernel, const Device& d) {
  if (!kernel.has(Mechanism::kPreferredDriver)) return {};
  return {.vendor = d.vendor,
          .device = d.device,
          .subvendor = d.subvendor,
          .subdevice = d.subdevice,
          .class_code = d.class_code,
          .class_mask = 0xFFFFFF};
}

bool match(const KernelProfile& kernel, const Device& device, const Driver& driver) {
  return device.match_driver && pci_match(kernel, device, driver).has_value();
}

/// An id and a device have one in common if they agree on vendor and device, or do not care.
std::uint64_t mark_of(std::uint32_t vendor, std::uint32_t device) {
  return (std::uint64_t{vendor} << 32U) | device;
}

/// Its ids, and its name for devices that name their driver.
std::vector<std::uint64_t> driver_marks(const Driver& driver) {
  std::vector<std::uint64_t> out = {fnv1a(driver.name)};
  for (const auto* ids : {&driver.ids, &driver.dynamic_ids}) {
    for (const PciId& id : *ids) out.push_back(mark_of(id.vendor, id.device));
  }
  return out;
}

std::vector<std::uint64_t> device_marks(const Device& device) {
  if (device.driver_override) return {fnv1a(*device.driver_override)};
  const PciFunction function = function_to_match(device);
  return {mark_of(function.vendor, function.device), mark_of(function.vendor, PciId::kAny),
          mark_of(PciId::kAny, function.device), mark_of(PciId::kAny, PciId::kAny)};
}

bool made_for(const Device& device, const Driver& driver) {
  return std::ranges::any_of(driver.ids, [&](const PciId& id) {
    return !id.override_only && pci_match_one(id, function_of(device));
  });
}

/// pci_device_probe: virtual functions wait for the leave of their physical one, unless they have
/// an override; then the match is made again, under the lock.
Admission admit(const KernelProfile& kernel, const Device& device, const Driver& driver,
                const Device* pf, bool unmatched) {
  const bool gated = pf != nullptr && !pf->vf_autoprobe && !device.driver_override;
  auto id = pci_match(kernel, device, driver);
  if (!id && unmatched) id.emplace();
  if (gated || !id) return {.error = ENODEV};
  return {.error = 0, .id = id};
}

std::string modalias(const Device& d) {
  return fmt::format("pci:v{:08X}d{:08X}sv{:08X}sd{:08X}bc{:02X}sc{:02X}i{:02X}", d.vendor,
                     d.device, d.subvendor, d.subdevice, d.class_code >> 16,
                     (d.class_code >> 8) & 0xFF, d.class_code & 0xFF);
}

void uevent(const Device& d, std::vector<std::string>& lines) {
  lines.push_back(fmt::format("PCI_CLASS={:04X}", d.class_code));
  lines.push_back(fmt::format("PCI_ID={:04X}:{:04X}", d.vendor, d.device));
  lines.push_back(fmt::format("PCI_SUBSYS_ID={:04X}:{:04X}", d.subvendor, d.subdevice));
  lines.push_back("PCI_SLOT_NAME=" + d.name);
}

/// Functions behind a bridge were found by the bus, whoever drives the bridge. Only a host bridge
/// that is a PCI function itself (VMD) has its driver make what is behind it, in a domain of its
/// own.
std::string maker(const Device& device, const std::string& above) {
  const auto domain = [](const std::string& name) { return name.substr(0, name.find(':')); };
  return domain(device.name) == domain(above) ? "" : above;
}

/// A virtual function hangs where its physical one does, whatever bus its address is on.
std::string root(const Device& device) {
  const std::string& name = device.physfn.empty() ? device.name : device.physfn;
  return "pci" + name.substr(0, name.rfind(':'));
}

}  // namespace

bool pci_match_one(const PciId& id, const PciFunction& function) {
  return field_matches(id.vendor, function.vendor) && field_matches(id.device, function.device) &&
         field_matches(id.subvendor, function.subvendor) &&
         field_matches(id.subdevice, function.subdevice) &&
         ((id.class_code ^ function.class_code) & id.class_mask) == 0;
}

bool counts_always(const KernelProfile& kernel, const PciId& id) {
  return !id.override_only || kernel.has(Mechanism::kSysfsBindOnly);
}

std::optional<PciId> pci_match(const KernelProfile& kernel, const Device& device,
                               const Driver& driver) {
  const bool named = device.driver_override == driver.name;
  if (device.driver_override && !named) return std::nullopt;
  const PciFunction function = function_to_match(device);
  for (const PciId& id : driver.dynamic_ids) {
    if (pci_match_one(id, function)) return id;
  }
  const bool overridden = named && kernel.has(Mechanism::kDriverOverride);
  for (const PciId& id : driver.ids) {
    if (pci_match_one(id, function) && (overridden || counts_always(kernel, id))) return id;
  }
  return named ? std::optional(id_for_named(kernel, device)) : std::nullopt;
}

const BusType& pci_bus() {
  static const BusType kType = {
      .name = "pci",
      .id_files = &kPciIdFiles,
      .has_override = true,
      .two_part_add = true,
      .match = match,
      .driver_marks = driver_marks,
      .device_marks = device_marks,
      .made_for = made_for,
      .admit = admit,
      .probe_id = probe_id,
      .parse_probe_id = parse_probe_id,
      .maker = maker,
      .modalias = modalias,
      .uevent = uevent,
      .root = root,
  };
  return kType;
}

}  // namespace anybind::drivercore
