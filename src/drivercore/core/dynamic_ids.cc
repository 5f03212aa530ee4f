// new_id and remove_id, and those of PCI after drivers/pci/pci-driver.c of Linux 6.12.
#include <algorithm>
#include <cerrno>

#include "base/try.h"
#include "drivercore/core/bus_type.h"
#include "drivercore/core/kernel_text.h"
#include "drivercore/core/operation.h"

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
bool known_already(const KernelProfile& kernel, const Driver& driver, const PciId& id) {
  const PciFunction as_device{.vendor = id.vendor,
                              .device = id.device,
                              .subvendor = id.subvendor,
                              .subdevice = id.subdevice,
                              .class_code = id.class_code};
  const auto is_dynamic = [&](const PciId& known) { return pci_match_one(known, as_device); };
  const auto is_static = [&](const PciId& known) {
    return counts_always(kernel, known) && pci_match_one(known, as_device);
  };
  return std::ranges::any_of(driver.dynamic_ids, is_dynamic) ||
         std::ranges::any_of(driver.ids, is_static);
}

/// Only driver_data that some entry of the table has is taken; a driver without a table takes any.
bool data_allowed(const KernelProfile& kernel, const Driver& driver, std::uint64_t data) {
  const auto is_there = [&](const PciId& known) {
    return counts_always(kernel, known) || kernel.has(Mechanism::kDriverOverride);
  };
  return std::ranges::none_of(driver.ids, is_there) ||
         std::ranges::any_of(
             driver.ids, [&](const PciId& known) { return is_there(known) && known.data == data; });
}

/// remove_id: vendor and device are compared for equality, the others where they are given.
bool is_meant(const PciId& id, const PciId& wanted) {
  return id.vendor == wanted.vendor && id.device == wanted.device &&
         (wanted.subvendor == PciId::kAny || id.subvendor == wanted.subvendor) &&
         (wanted.subdevice == PciId::kAny || id.subdevice == wanted.subdevice) &&
         ((id.class_code ^ wanted.class_code) & wanted.class_mask) == 0;
}

Reply<void> add_id(const KernelProfile& kernel, Driver& driver, std::string_view text) {
  constexpr std::size_t kAllFields = 7;  // then nobody looks for duplicates
  const HexFields fields = scan_hex(text);
  if (fields.count < 2) return kernel_error(EINVAL);
  const PciId id = id_of(fields);
  const bool checked = fields.count != kAllFields && kernel.has(Change::kNewIdRefusesDuplicates);
  if (checked && known_already(kernel, driver, id)) return kernel_error(EEXIST);
  if (!data_allowed(kernel, driver, id.data)) return kernel_error(EINVAL);
  driver.dynamic_ids.push_back(id);
  return {};
}

Reply<void> remove_id(Driver& driver, std::string_view text) {
  const HexFields fields = scan_hex(text);
  if (fields.count < 2) return kernel_error(EINVAL);
  const PciId wanted = id_of(fields);
  const auto found = std::ranges::find_if(driver.dynamic_ids,
                                          [&](const PciId& id) { return is_meant(id, wanted); });
  if (found == driver.dynamic_ids.end()) return kernel_error(ENODEV);
  driver.dynamic_ids.erase(found);
  return {};
}

}  // namespace

const IdFiles kPciIdFiles = {.add = add_id, .remove = remove_id};

/// Then every driverless device that the driver matches for any reason is probed, in this write;
/// how those probes end is not reported.
Reply<void> DriverCore::new_id(const std::string& bus, const std::string& driver_name,
                               std::string_view text) {
  Operation operation(*this);
  const DriverKey key = driver_key(bus, driver_name);
  if (key == 0) return kernel_error(ENODEV);
  TRY(bus_type(bus).id_files->add(state_.profile, the_driver(key), text));
  lookup_.add(state_, key);
  const DriverUse use(*this, key);
  return operation.done(driver_attach(key));
}

Reply<void> DriverCore::remove_id(const std::string& bus, const std::string& driver_name,
                                  std::string_view text) {
  const DriverKey key = driver_key(bus, driver_name);
  if (key == 0) return kernel_error(ENODEV);
  lookup_.forget_marks(state_, key);
  const auto removed = bus_type(bus).id_files->remove(the_driver(key), text);
  lookup_.add(state_, key);
  return removed;
}

}  // namespace anybind::drivercore
