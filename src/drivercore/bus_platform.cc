// The platform bus, after drivers/base/platform.c of Linux 6.12, without device tree and ACPI
// tables: there the override decides both ways; then the id table, where the driver has one; and
// only where it has none, the name. The dynamic ids that the thread wished for come before the
// table, as on PCI.
#include <algorithm>
#include <cctype>
#include <cerrno>

#include "drivercore/bus_type.h"
#include "drivercore/kernel_text.h"

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

bool made_for(const Device& device, const Driver& driver) {
  return is_in_table(plain_name(device), driver);
}

bool match(const KernelProfile& /*kernel*/, const Device& device, const Driver& driver) {
  if (device.driver_override) return *device.driver_override == driver.name;
  const std::string id = device.probe_id.empty() ? plain_name(device) : device.probe_id;
  return std::ranges::find(driver.dynamic_names, id) != driver.dynamic_names.end() ||
         is_in_table(id, driver);
}

Admission admit(const KernelProfile& /*kernel*/, const Device& /*device*/, const Driver& /*driver*/,
                const Device* /*pf*/, bool /*unmatched*/) {
  return {};
}

bool is_plain(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

std::optional<std::string> parse_probe_id(std::string_view text) {
  return is_plain(text) ? std::optional(std::string(text)) : std::nullopt;
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

void uevent(const Device& /*device*/, std::vector<std::string>& /*lines*/) {}

std::string root(const Device& /*device*/) {
  return "platform";
}

}  // namespace

const IdFiles kPlatformIdFiles = {
    .add = add_id, .remove = remove_id, .mechanism = Mechanism::kPlatformNewId};

const BusType& platform_bus() {
  static const BusType kType = {
      .name = "platform",
      .id_files = &kPlatformIdFiles,
      .has_override = true,
      .match = match,
      .made_for = made_for,
      .admit = admit,
      .probe_id = plain_name,
      .parse_probe_id = parse_probe_id,
      .modalias = modalias,
      .uevent = uevent,
      .root = root,
  };
  return kType;
}

}  // namespace anybind::drivercore
