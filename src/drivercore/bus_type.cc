#include "drivercore/bus_type.h"

#include <algorithm>
#include <array>
#include <cstdlib>

namespace anybind::drivercore {

std::span<const BusType* const> bus_types() {
  static const std::array<const BusType*, 2> kAll = {&pci_bus(), &platform_bus()};
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
