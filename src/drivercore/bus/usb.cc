// USB, after drivers/usb/core/driver.c of Linux 6.12: interfaces ("1-1:1.0"), which interface
// drivers match by id, and whole devices ("1-1"), which only a driver with the table entry
// "usb_device" gets, as "usb" itself: its probe sets the configuration, which adds the interfaces,
// and its disconnect removes them (generic.c, message.c:usb_set_configuration, usb_disable_device).
// What is plugged into a hub stands below the hub, and is made by the driver of its first interface
// (hub.c:hub_probe, hub_disconnect); a root hub is made by the driver of the host controller.
// new_id and remove_id are unlike those of PCI: nothing is refused as a duplicate, removing what is
// not there succeeds, and both can be read.
#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "base/text.h"
#include "drivercore/core/bus_type.h"
#include "drivercore/core/kernel_text.h"

namespace anybind::drivercore {
namespace {

constexpr std::string_view kWholeDevice = "usb_device";

bool is_device(const Device& device) {
  return !device.name.contains(':');
}
bool drives_devices(const Driver& driver) {
  return std::ranges::find(driver.aliases, kWholeDevice) != driver.aliases.end();
}
bool drives_interfaces(const Driver& driver) {
  return !drives_devices(driver);
}

/// The interface of a hub that its driver has: "1-0:1.0" of "usb1", "1-4:1.0" of "1-4".
std::string hub_interface(const std::string& hub) {
  constexpr std::string_view kRootHub = "usb";
  return hub.starts_with(kRootHub) ? hub.substr(kRootHub.size()) + "-0:1.0" : hub + ":1.0";
}

std::string maker(const Device& device, const std::string& above) {
  return is_device(device) ? hub_interface(above) : above;
}

bool is_first_interface(const Device& device) {
  return device.name.ends_with(":1.0");
}

// ---- dynamic ids: "046d c077", or "046d c077 03" with the class of the interface

/// The pattern that such an id stands for.
std::string pattern_of(std::string_view id) {
  const HexFields fields = scan_hex(id);
  const std::string kind = fields.count > 2 ? fmt::format("{:02X}", fields.value[2]) : "*";
  return fmt::format("usb:v{:04X}p{:04X}d*dc*dsc*dp*ic{}isc*ip*in*", fields.value[0],
                     fields.value[1], kind);
}

bool matches_dynamic(const Device& device, const Driver& driver) {
  const std::string modalias = matched_as(device);
  return std::ranges::any_of(driver.dynamic_names, [&](const std::string& id) {
    return glob_match(pattern_of(id), modalias);
  });
}

bool has_entry_for(const Driver& driver, std::uint64_t vendor, std::uint64_t product) {
  const std::string start = fmt::format("usb:v{:04X}p{:04X}", vendor, product);
  return std::ranges::any_of(driver.aliases,
                             [&](const std::string& alias) { return alias.starts_with(start); });
}

/// usb_store_new_id: "VENDOR PRODUCT [CLASS [REFVENDOR REFPRODUCT]]", of which the last two name an
/// entry of the table whose driver data the new id gets.
Reply<void> add_id(const KernelProfile& /*kernel*/, Driver& driver, std::string_view text) {
  const HexFields fields = scan_hex(text);
  if (fields.count < 2) return std::unexpected(Errno{EINVAL});
  const std::uint64_t kind = fields.count > 2 ? fields.value[2] : 0;
  if (kind > 0xFF) return std::unexpected(Errno{EINVAL});
  if (fields.count > 4 && !has_entry_for(driver, fields.value[3], fields.value[4])) {
    return std::unexpected(Errno{ENODEV});
  }
  std::string id = fmt::format("{:04x} {:04x}", fields.value[0] & 0xFFFF, fields.value[1] & 0xFFFF);
  if (kind != 0) id += fmt::format(" {:02x}", kind);
  driver.dynamic_names.push_back(std::move(id));
  return {};
}

Reply<void> remove_id(Driver& driver, std::string_view text) {
  const HexFields fields = scan_hex(text);
  if (fields.count < 2) return std::unexpected(Errno{EINVAL});
  const std::string wanted = fmt::format("{:04x} {:04x}", fields.value[0], fields.value[1]);
  const auto found = std::ranges::find_if(
      driver.dynamic_names, [&](const std::string& id) { return id.starts_with(wanted); });
  if (found != driver.dynamic_names.end()) driver.dynamic_names.erase(found);
  return {};
}

std::string show_ids(const Driver& driver) {
  std::string out;
  for (const std::string& id : driver.dynamic_names) out += id + "\n";
  return out;
}

constexpr IdFiles kIdFiles = {
    .add = add_id, .remove = remove_id, .show = show_ids, .applies = drives_interfaces};

// ---- the bus

/// usb_device_match: the static table first, then the dynamic ids. (The id that the probe is given
/// is sought the other way round.)
bool match(const KernelProfile& kernel, const Device& device, const Driver& driver) {
  if (is_device(device)) return drives_devices(driver);
  if (drives_devices(driver)) return false;
  return match_table(kernel, device, driver) || matches_dynamic(device, driver);
}

bool made_for(const Device& device, const Driver& driver) {
  return is_device(device) ? drives_devices(driver)
                           : in_table(modalias_of(device), driver).has_value();
}

unsigned number(const std::string& modalias, std::string_view field) {
  return static_cast<unsigned>(parse_hex(alias_field(modalias, field)).value_or(0));
}

void uevent(const Device& device, std::vector<std::string>& lines) {
  const std::string alias = modalias_of(device);
  if (alias.empty()) return;
  lines.push_back(fmt::format("PRODUCT={:x}/{:x}/{:x}", number(alias, "v"), number(alias, "p"),
                              number(alias, "d")));
  lines.push_back(
      fmt::format("TYPE={}/{}/{}", number(alias, "dc"), number(alias, "dsc"), number(alias, "dp")));
  lines.push_back(fmt::format("INTERFACE={}/{}/{}", number(alias, "ic"), number(alias, "isc"),
                              number(alias, "ip")));
}

}  // namespace

const BusType& usb_bus() {
  static constexpr BusType kType = {.name = "usb",
                                    .id_files = &kIdFiles,
                                    .has_modalias = false,  // whole devices have none
                                    .match = match,
                                    .made_for = made_for,
                                    .maker = maker,
                                    .makes_beside = is_first_interface,
                                    .uevent = uevent};
  return kType;
}

}  // namespace anybind::drivercore
