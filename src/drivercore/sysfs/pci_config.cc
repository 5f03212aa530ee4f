#include "drivercore/sysfs/pci_config.h"

#include <algorithm>

#include "base/text.h"

namespace anybind::drivercore {
namespace {

constexpr std::size_t kSize = 256;
constexpr unsigned kNoBus = 0xFF;  // of a bridge with nothing behind it, which has some free number

/// 0x03 of "0000:03:00.1".
unsigned bus_number(const std::string& name) {
  const auto colon = name.find(':');
  if (colon == std::string::npos) return 0;
  return static_cast<unsigned>(parse_hex(name.substr(colon + 1, 2), 0xFF).value_or(0));
}

unsigned secondary_bus(const DriverCore& core, DeviceKey key, const Device& bridge) {
  const auto& behind = core.index().children(key);
  if (!behind.empty()) return bus_number(behind.begin()->first);
  for (const DeviceKey card : core.state().drawer) {
    const Device& device = core.state().devices.at(card);
    if (device.parent == bridge.name) return bus_number(device.name);
  }
  return kNoBus;
}

unsigned last_bus(const DriverCore& core, DeviceKey key, unsigned least) {
  for (const auto& [name, child] : core.index().children(key)) {
    least = std::max(least, last_bus(core, child, bus_number(name)));
  }
  return least;
}

/// Whether another function is in the same slot, or this is one that cannot be alone.
bool is_multifunction(const DriverCore& core, const Device& device) {
  if (!device.name.ends_with(".0")) return true;
  std::string other = device.name;
  for (char function = '1'; function <= '7'; ++function) {
    other.back() = function;
    if (core.key_of(device.bus, other) != 0) return true;
  }
  return false;
}

}  // namespace

std::string pci_config(const DriverCore& core, DeviceKey key) {
  const Device& d = *core.find(key);
  std::string out(kSize, '\0');
  const auto put = [&](std::size_t at, unsigned value, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) out[at + i] = static_cast<char>(value >> (8 * i));
  };
  const bool bridge = d.class_code >> 8 == 0x0604;
  // A virtual function leaves its ids to its physical one.
  put(0x00, d.physfn.empty() ? d.vendor : 0xFFFFU, 2);
  put(0x02, d.physfn.empty() ? d.device : 0xFFFFU, 2);
  put(0x08, d.revision, 1);
  put(0x09, d.class_code, 3);
  put(0x0E, (bridge ? 1U : 0U) | (is_multifunction(core, d) ? 0x80U : 0U), 1);
  if (bridge) {
    const unsigned secondary = secondary_bus(core, key, d);
    put(0x18, bus_number(d.name), 1);
    put(0x19, secondary, 1);
    put(0x1A, last_bus(core, key, secondary), 1);
    return out;
  }
  put(0x2C, d.subvendor, 2);
  put(0x2E, d.subdevice, 2);
  return out;
}

}  // namespace anybind::drivercore
