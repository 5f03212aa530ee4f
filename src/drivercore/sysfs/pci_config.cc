#include "drivercore/sysfs/pci_config.h"

#include <algorithm>

#include "base/text.h"

namespace anybind::drivercore {
namespace {

constexpr std::size_t kSize = 256;
constexpr unsigned kNoBus = 0xFF;  // of a bridge with nothing behind it, which has some free number
constexpr unsigned kBridge = 0x0604;

/// 0x03 of "0000:03:00.1".
unsigned bus_number(const std::string& name) {
  const auto colon = name.find(':');
  if (colon == std::string::npos) return 0;
  return static_cast<unsigned>(parse_hex(name.substr(colon + 1, 2), 0xFF).value_or(0));
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

/// That of a function's own bus: "0000:03".
std::string bus_of(const std::string& name) {
  return name.substr(0, name.rfind(':'));
}

}  // namespace

std::optional<std::string> bus_behind(const DriverCore& core, DeviceKey bridge) {
  const Device* device = core.find(bridge);
  if (device == nullptr || device->bus != "pci" || device->class_code >> 8 != kBridge)
    return std::nullopt;
  const auto& behind = core.index().children(bridge);
  if (!behind.empty()) return bus_of(behind.begin()->first);
  const auto& cards = core.index().away_below(*device);
  if (cards.empty()) return std::nullopt;
  return bus_of(core.state().devices.at(cards.front()).name);
}

BusNumbers bus_numbers(const DriverCore& core, DeviceKey bridge) {
  const auto bus = bus_behind(core, bridge);
  const unsigned secondary = bus ? bus_number(*bus + ":") : kNoBus;
  return {.secondary = secondary, .subordinate = last_bus(core, bridge, secondary)};
}

std::string pci_config(const DriverCore& core, DeviceKey key) {
  const Device& d = *core.find(key);
  std::string out(kSize, '\0');
  const auto put = [&](std::size_t at, unsigned value, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) out[at + i] = static_cast<char>(value >> (8 * i));
  };
  const bool bridge = d.class_code >> 8 == kBridge;
  // A virtual function leaves its ids to its physical one.
  put(0x00, d.physfn.empty() ? d.vendor : 0xFFFFU, 2);
  put(0x02, d.physfn.empty() ? d.device : 0xFFFFU, 2);
  put(0x08, d.revision, 1);
  put(0x09, d.class_code, 3);
  put(0x0E, (bridge ? 1U : 0U) | (is_multifunction(core, d) ? 0x80U : 0U), 1);
  if (bridge) {
    const BusNumbers numbers = bus_numbers(core, key);
    put(0x18, bus_number(d.name), 1);
    put(0x19, numbers.secondary, 1);
    put(0x1A, numbers.subordinate, 1);
    return out;
  }
  put(0x2C, d.subvendor, 2);
  put(0x2E, d.subdevice, 2);
  return out;
}

}  // namespace anybind::drivercore
