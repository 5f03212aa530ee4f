#include "drivercore/match.h"

#include <algorithm>

namespace anybind::drivercore {
namespace {

bool field_matches(std::uint32_t wanted, std::uint32_t has) {
  return wanted == PciId::kAny || wanted == has;
}

/// drivers/base/platform.c:platform_match, without device tree and ACPI: the override decides both
/// ways; then the id table where there is one; else the name. The number behind the last dot is the
/// instance.
bool platform_matches(const Device& device, const Driver& driver) {
  if (device.driver_override) return *device.driver_override == driver.name;
  std::string plain = device.name;
  if (const auto dot = plain.rfind('.'); dot != std::string::npos) plain.resize(dot);
  if (driver.names.empty()) return plain == driver.name;
  return std::ranges::find(driver.names, plain) != driver.names.end();
}

}  // namespace

bool pci_match_one(const PciId& id, const Device& device) {
  return field_matches(id.vendor, device.vendor) && field_matches(id.device, device.device) &&
         field_matches(id.subvendor, device.subvendor) &&
         field_matches(id.subdevice, device.subdevice) &&
         ((id.class_code ^ device.class_code) & id.class_mask) == 0;
}

std::optional<PciId> pci_match(const Device& device, const Driver& driver) {
  const bool forced = device.driver_override == driver.name;
  if (device.driver_override && !forced) return std::nullopt;
  for (const PciId& id : driver.dynamic_ids) {
    if (pci_match_one(id, device)) return id;
  }
  for (const PciId& id : driver.ids) {
    if (pci_match_one(id, device) && (forced || !id.override_only)) return id;
  }
  return forced ? std::optional(PciId{}) : std::nullopt;
}

bool matches(const Device& device, const Driver& driver) {
  if (device.bus == "pci") return device.match_driver && pci_match(device, driver).has_value();
  if (device.bus == "platform") return platform_matches(device, driver);
  return false;
}

}  // namespace anybind::drivercore
