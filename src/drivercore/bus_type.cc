#include "drivercore/bus_type.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace anybind::drivercore {

bool made_for_by_alias(const Device& device, const Driver& driver) {
  return in_table(modalias_of(device), driver).has_value();
}

Admission admit_all(const KernelProfile& /*kernel*/, const Device& /*device*/,
                    const Driver& /*driver*/, const Device* /*pf*/, bool /*unmatched*/) {
  return {};
}

std::optional<std::string> plain_probe_id(std::string_view text) {
  return is_plain(text) ? std::optional(std::string(text)) : std::nullopt;
}

std::string no_modalias(const Device& /*device*/) {
  return "";
}

void no_uevent_lines(const Device& /*device*/, std::vector<std::string>& /*lines*/) {}

std::string root_of_bus(const Device& device) {
  return device.bus;
}

bool brings_nothing(const Device& /*device*/) {
  return false;
}

std::span<const BusType* const> bus_types() {
  static const std::vector<const BusType*> kAll = [] {
    std::vector<const BusType*> all = {&pci_bus(), &platform_bus(), &usb_bus(), &hid_bus(),
                                       &vmbus_bus()};
    for (const BusType& type : buses_with_override()) all.push_back(&type);
    for (const BusType& type : buses_by_table()) all.push_back(&type);
    return all;
  }();
  return kAll;
}

const BusType* find_bus_type(std::string_view name) {
  const auto all = bus_types();
  const auto found = std::ranges::find(all, name, [](const BusType* type) { return type->name; });
  return found == all.end() ? nullptr : *found;
}

const BusType& bus_type(std::string_view name) {
  const BusType* type = find_bus_type(name);
  if (type == nullptr) std::abort();  // a State holds no other: machine files are checked
  return *type;
}

}  // namespace anybind::drivercore
