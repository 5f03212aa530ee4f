// The platform bus, after drivers/base/platform.c of Linux 6.12, without device tree and ACPI
// tables: there the override decides both ways; then the id table, where the driver has one; and
// only where it has none, the name.
#include <algorithm>
#include <cctype>

#include "drivercore/bus_type.h"

namespace anybind::drivercore {
namespace {

/// The device's name without what platform_device_add put behind it: ".0", ".0.auto".
std::string plain_name(const Device& device) {
  std::string_view name = device.name;
  if (name.ends_with(".auto")) name.remove_suffix(5);
  const auto dot = name.rfind('.');
  if (dot == std::string_view::npos) return device.name;
  const std::string_view number = name.substr(dot + 1);
  const bool is_number = !number.empty() && std::ranges::all_of(number, [](unsigned char c) {
    return std::isdigit(c) != 0;
  });
  return is_number ? std::string(name.substr(0, dot)) : device.name;
}

bool made_for(const Device& device, const Driver& driver) {
  const std::string plain = plain_name(device);
  if (driver.names.empty()) return plain == driver.name;
  return std::ranges::find(driver.names, plain) != driver.names.end();
}

bool match(const Device& device, const Driver& driver) {
  if (device.driver_override) return *device.driver_override == driver.name;
  return made_for(device, driver);
}

Admission admit(const Device& /*device*/, const Driver& /*driver*/, const Device* /*pf*/) {
  return {};
}

std::string modalias(const Device& device) {
  return "platform:" + plain_name(device);
}

void uevent(const Device& /*device*/, std::vector<std::string>& /*lines*/) {}

std::string root(const Device& /*device*/) {
  return "platform";
}

}  // namespace

const BusType& platform_bus() {
  static const BusType kType = {
      .name = "platform",
      .has_override = true,
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
