// PCI new_id and remove_id, after drivers/pci/pci-driver.c of Linux 6.12.
#include <algorithm>
#include <cerrno>

#include "drivercore/bus_type.h"
#include "drivercore/kernel_text.h"
#include "drivercore/operation.h"

namespace anybind::drivercore {
namespace {

PciId id_of(const HexFields& fields) {
  const auto at = [&](std::size_t i, std::uint32_t otherwise) {
    return i < fields.count ? static_cast<std::uint32_t>(fields.value.at(i)) : otherwise;
  };
  return {.vendor = at(0, 0),
          .device = at(1, 0),
          .subvendor = at(2, PciId::kAny),
          .subdevice = at(3, PciId::kAny),
          .class_code = at(4, 0),
          .class_mask = at(5, 0),
          .data = fields.count > 6 ? fields.value[6] : 0};
}

/// Whether the id, taken for a device, is one that the driver matches already. Not cut to 16 bits:
/// "1dead beef" is taken beside "dead beef" (kernel-facts: E2).
bool known_already(const Driver& driver, const PciId& id) {
  const PciFunction as_device{.vendor = id.vendor,
                              .device = id.device,
                              .subvendor = id.subvendor,
                              .subdevice = id.subdevice,
                              .class_code = id.class_code};
  const auto is_dynamic = [&](const PciId& known) { return pci_match_one(known, as_device); };
  const auto is_static = [&](const PciId& known) {
    return !known.override_only && pci_match_one(known, as_device);
  };
  return std::ranges::any_of(driver.dynamic_ids, is_dynamic) ||
         std::ranges::any_of(driver.ids, is_static);
}

/// Only driver_data that some entry of the table has is taken; a driver without a table takes any.
bool data_allowed(const Driver& driver, std::uint64_t data) {
  return driver.ids.empty() ||
         std::ranges::any_of(driver.ids, [&](const PciId& known) { return known.data == data; });
}

/// remove_id: vendor and device are compared for equality, the others where they are given.
bool is_meant(const PciId& id, const PciId& wanted) {
  return id.vendor == wanted.vendor && id.device == wanted.device &&
         (wanted.subvendor == PciId::kAny || id.subvendor == wanted.subvendor) &&
         (wanted.subdevice == PciId::kAny || id.subdevice == wanted.subdevice) &&
         ((id.class_code ^ wanted.class_code) & wanted.class_mask) == 0;
}

}  // namespace

/// Then every driverless device that the driver matches for any reason is probed, in this write;
/// how those probes end is not reported.
Reply<void> DriverCore::new_id(const std::string& bus, const std::string& driver_name,
                               std::string_view text) {
  Operation operation(*this);
  const DriverKey key = driver_key(bus, driver_name);
  if (key == 0) return kernel_error(ENODEV);
  Driver& drv = *driver(key);
  const HexFields fields = scan_hex(text);
  if (fields.count < 2) return kernel_error(EINVAL);
  const PciId id = id_of(fields);
  if (fields.count != 7 && known_already(drv, id)) return kernel_error(EEXIST);
  if (!data_allowed(drv, id.data)) return kernel_error(EINVAL);
  drv.dynamic_ids.push_back(id);
  const DriverUse use(*this, key);
  return operation.done(driver_attach(key));
}

Reply<void> DriverCore::remove_id(const std::string& bus, const std::string& driver_name,
                                  std::string_view text) {
  const HexFields fields = scan_hex(text);
  if (fields.count < 2) return kernel_error(EINVAL);
  Driver* drv = driver(driver_key(bus, driver_name));
  if (drv == nullptr) return kernel_error(ENODEV);
  const PciId wanted = id_of(fields);
  const auto found =
      std::ranges::find_if(drv->dynamic_ids, [&](const PciId& id) { return is_meant(id, wanted); });
  if (found == drv->dynamic_ids.end()) return kernel_error(ENODEV);
  drv->dynamic_ids.erase(found);
  return {};
}

}  // namespace anybind::drivercore
