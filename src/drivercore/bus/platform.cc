// The platform bus, after drivers/base/platform.c of Linux 6.12: the override decides both ways;
// then what device tree or ACPI say; then the id table, where the driver has one; and only where it
// has none, the name. The dynamic ids that the thread wished for come before the
// table, as on PCI.
#include <algorithm>
#include <cctype>
#include <cerrno>

#include "drivercore/core/bus_type.h"
#include "drivercore/core/kernel_text.h"

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

bool is_in_table(const std::string& id, const Driver& driver) {
  if (driver.names.empty()) return id == driver.name;
  return std::ranges::find(driver.names, id) != driver.names.end();
}

/// What firmware says of it: "acpi:PNP0103:", "of:N...".
bool is_known_to_firmware(const Device& device, const Driver& driver) {
  return in_table(device.modalias, driver).has_value();
}

bool made_for(const Device& device, const Driver& driver) {
  return is_known_to_firmware(device, driver) || is_in_table(plain_name(device), driver);
}

bool match(const KernelProfile& /*kernel*/, const Device& device, const Driver& driver) {
  if (device.driver_override) return *device.driver_override == driver.name;
  const bool own = device.probe_id.empty();
  const std::string id = own ? plain_name(device) : device.probe_id;
  if (own && is_known_to_firmware(device, driver)) return true;
  return std::ranges::find(driver.dynamic_names, id) != driver.dynamic_names.end() ||
         is_in_table(id, driver);
}

// ---- new_id and remove_id: one name, as platform_device_id has it

std::optional<std::string> id_in(std::string_view text) {
  constexpr std::size_t kNameSize = 20;  // PLATFORM_NAME_SIZE, with its NUL
  const std::string_view name = name_in(c_string(text));
  const bool possible = is_plain(name) && name.size() < kNameSize;
  return possible ? std::optional(std::string(name)) : std::nullopt;
}

Reply<void> add_id(const KernelProfile& /*kernel*/, Driver& driver, std::string_view text) {
  auto id = id_in(text);
  if (!id) return std::unexpected(Errno{EINVAL});
  const auto known = std::ranges::find(driver.dynamic_names, *id);
  if (known != driver.dynamic_names.end() || is_in_table(*id, driver)) {
    return std::unexpected(Errno{EEXIST});
  }
  driver.dynamic_names.push_back(*std::move(id));
  return {};
}

Reply<void> remove_id(Driver& driver, std::string_view text) {
  const auto id = id_in(text);
  if (!id) return std::unexpected(Errno{EINVAL});
  const auto found = std::ranges::find(driver.dynamic_names, *id);
  if (found == driver.dynamic_names.end()) return std::unexpected(Errno{ENODEV});
  driver.dynamic_names.erase(found);
  return {};
}

std::string modalias(const Device& device) {
  return "platform:" + plain_name(device);
}

constexpr IdFiles kIdFiles = {
    .add = add_id, .remove = remove_id, .mechanism = Mechanism::kPlatformNewId};

/// "PNP0C09:00": ACPI has added it, below whatever device its parent is there.
bool is_of_acpi(const Device& device) {
  return device.name.contains(':');
}

}  // namespace

const BusType& platform_bus() {
  static const BusType kType = {
      .name = "platform",
      .id_files = &kIdFiles,
      .has_override = true,
      .match = match,
      .made_for = made_for,
      .probe_id = plain_name,
      .by_firmware = is_of_acpi,
      .modalias = modalias,
  };
  return kType;
}

}  // namespace anybind::drivercore
