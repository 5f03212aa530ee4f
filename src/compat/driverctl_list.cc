#include "compat/driverctl_list.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/text.h"
#include "base/try.h"
#include "cli/names_file.h"
#include "inventory/device.h"
#include "inventory/names.h"

namespace anybind::compat {
namespace {

struct Type {
  std::string_view name;
  unsigned base_class;  ///< the first byte of a PCI class
};

constexpr unsigned kAnyClass = 0x100;
constexpr auto kTypes = std::to_array<Type>({
    {"all", kAnyClass},
    {"system", 0x08},
    {"memory", 0x05},
    {"network", 0x02},
    {"bridge", 0x06},
    {"processor", 0x0b},
    {"serial", 0x0c},
    {"storage", 0x01},
    {"communication", 0x07},
    {"docking", 0x0a},
    {"display", 0x03},
    {"multimedia", 0x04},
    {"input", 0x09},
});

bool is_of(const Device& device, unsigned base_class) {
  return base_class == kAnyClass || (device.pci && device.pci->class_code >> 16 == base_class);
}

/// As udev's database has it: the name that the maker of the board gave it, or else the chip's.
std::string product(PciNames& names, const Device& device) {
  if (!device.pci) return "";
  const std::string& board = names.subsystem(*device.pci);
  return board.empty() ? names.device(device.pci->vendor, device.pci->device) : board;
}

std::string line(const Device& device, const DriverctlList& list, PciNames& names) {
  std::string out = printable(device.id.name.str()) + " " +
                    (device.driver ? printable(device.driver->str()) : "(none)");
  if (device.driver_override && !list.only_overridden) out += " [*]";
  if (list.described) out += " (" + product(names, device) + ")";
  return out + "\n";
}

}  // namespace

std::vector<std::string> driverctl_types() {
  std::vector<std::string> out;
  out.reserve(kTypes.size());
  for (const Type& type : kTypes) out.emplace_back(type.name);
  return out;
}

Result<std::string> driverctl_lines(const Host& host, const DriverctlList& list) {
  auto ids = TRY(read_device_ids(host.sysfs, list.bus));
  std::ranges::sort(ids, {}, [](const DeviceId& id) { return id.name.str(); });
  const auto* type = std::ranges::find(kTypes, list.type, &Type::name);
  PciNames names(list.described ? cli::names_file() : "");
  std::string out;
  bool found = false;
  for (const DeviceId& id : ids) {
    const auto dir = TRY(open_device(host.sysfs, id));
    if (dir == nullptr) continue;  // it has gone meanwhile
    const auto device = read_device(*dir, id);
    if (!device && device.error().kind == ErrorKind::kNotFound) continue;
    if (!device) return fail(device.error());
    if (!device->has_override || (list.only_overridden && !device->driver_override)) continue;
    found = true;
    if (is_of(*device, type->base_class)) out += line(*device, list, names);
  }
  if (!found) return fail({.kind = ErrorKind::kNotFound, .why = "no such device"});
  return out;
}

}  // namespace anybind::compat
