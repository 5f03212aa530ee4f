// The PCI bus, after drivers/pci/pci-driver.c of Linux 6.12.
#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "drivercore/bus_type.h"

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

bool match(const Device& device, const Driver& driver) {
  return device.match_driver && pci_match(device, driver).has_value();
}

bool made_for(const Device& device, const Driver& driver) {
  return std::ranges::any_of(driver.ids, [&](const PciId& id) {
    return !id.override_only && pci_match_one(id, function_of(device));
  });
}

/// pci_device_probe: virtual functions wait for the leave of their physical one, unless they have
/// an override; then the match is made again, under the lock.
Admission admit(const Device& device, const Driver& driver, const Device* pf) {
  const bool gated = pf != nullptr && !pf->vf_autoprobe && !device.driver_override;
  const auto id = pci_match(device, driver);
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

std::string root(const Device& device) {
  return "pci" + device.name.substr(0, device.name.rfind(':'));
}

}  // namespace

bool pci_match_one(const PciId& id, const PciFunction& function) {
  return field_matches(id.vendor, function.vendor) && field_matches(id.device, function.device) &&
         field_matches(id.subvendor, function.subvendor) &&
         field_matches(id.subdevice, function.subdevice) &&
         ((id.class_code ^ function.class_code) & id.class_mask) == 0;
}

std::optional<PciId> pci_match(const Device& device, const Driver& driver) {
  const bool forced = device.driver_override == driver.name;
  if (device.driver_override && !forced) return std::nullopt;
  const PciFunction function = function_of(device);
  for (const PciId& id : driver.dynamic_ids) {
    if (pci_match_one(id, function)) return id;
  }
  for (const PciId& id : driver.ids) {
    if (pci_match_one(id, function) && (forced || !id.override_only)) return id;
  }
  return forced ? std::optional(PciId{}) : std::nullopt;
}

const BusType& pci_bus() {
  static const BusType kType = {
      .name = "pci",
      .pci_id_files = true,
      .has_override = true,
      .two_part_add = true,
      .match = match,
      .made_for = made_for,
      .admit = admit,
      .modalias = modalias,
      .uevent = uevent,
      .root = root,
  };
  return kType;
}

}  // namespace anybind::drivercore
