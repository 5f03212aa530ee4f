// Devices that come and go, and what user space is told of it: drivers/base/core.c,
// drivers/pci/{bus,remove, pci-sysfs}.c, lib/kobject_uevent.c of Linux 6.12.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "drivercore/driver_core.h"

namespace anybind::drivercore {
namespace {

Reply<void> error(int value) {
  return std::unexpected(Errno{value});
}

/// kstrtoul(base 0): a whole number, one newline allowed; nullopt is EINVAL.
std::optional<std::uint64_t> to_number(std::string_view text) {
  text = trim_newline(text.substr(0, text.find('\0')));
  if (text.starts_with('+')) text.remove_prefix(1);
  if (text.starts_with("0x") || text.starts_with("0X")) return parse_hex(text);
  if (text.size() > 1 && text.starts_with('0')) {
    const std::string octal(text);
    char* end = nullptr;
    const auto value = std::strtoull(octal.c_str(), &end, 8);
    return *end == '\0' ? std::optional<std::uint64_t>(value) : std::nullopt;
  }
  return parse_decimal(text);
}

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const bool hex = std::isxdigit(static_cast<unsigned char>(text[i])) != 0;
    if (dash ? text[i] != '-' : !hex) return false;
  }
  return true;
}

bool is_alnum(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](unsigned char c) { return std::isalnum(c) != 0; });
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  for (;;) {
    const auto space = text.find(' ');
    out.push_back(text.substr(0, space));
    if (space == std::string_view::npos) return out;
    text.remove_prefix(space + 1);
  }
}

std::string pci_modalias(const Device& d) {
  return fmt::format("pci:v{:08X}d{:08X}sv{:08X}sd{:08X}bc{:02X}sc{:02X}i{:02X}", d.vendor,
                     d.device, d.subvendor, d.subdevice, d.class_code >> 16,
                     (d.class_code >> 8) & 0xFF, d.class_code & 0xFF);
}

}  // namespace

std::string DriverCore::devpath(const Device& device) const {
  if (device.bus == "platform") return "/devices/platform/" + device.name;
  std::string below = "/" + device.name;
  const Device* top = &device;
  while (const Device* parent = top->parent.empty() ? nullptr : find(device.bus, top->parent)) {
    below = "/" + parent->name + below;
    top = parent;
  }
  const std::string root = top->name.substr(0, top->name.rfind(':'));
  return "/devices/" + device.bus + root + below;
}

std::vector<std::string> DriverCore::uevent_lines(const Device& d, bool modalias) const {
  std::vector<std::string> out;
  if (d.driver) out.push_back("DRIVER=" + state_.drivers.at(*d.driver).name);
  if (d.bus == "pci") {
    out.push_back(fmt::format("PCI_CLASS={:04X}", d.class_code));
    out.push_back(fmt::format("PCI_ID={:04X}:{:04X}", d.vendor, d.device));
    out.push_back(fmt::format("PCI_SUBSYS_ID={:04X}:{:04X}", d.subvendor, d.subdevice));
    out.push_back("PCI_SLOT_NAME=" + d.name);
  }
  if (!modalias) return out;
  const std::string plain = d.name.substr(0, d.name.rfind('.'));
  out.push_back("MODALIAS=" + (d.bus == "pci" ? pci_modalias(d) : "platform:" + plain));
  return out;
}

void DriverCore::send(const std::string& action, const Device& d) {
  Uevent event{.action = action, .devpath = devpath(d), .lines = {}};
  event.lines = {"ACTION=" + action, "DEVPATH=" + event.devpath, "SUBSYSTEM=" + d.bus};
  // The core strips MODALIAS from unbind, so that nobody loads the driver again for it.
  for (std::string& line : uevent_lines(d, action != "unbind"))
    event.lines.push_back(std::move(line));
  event.lines.push_back(fmt::format("SEQNUM={}", state_.seqnum++));
  state_.uevents.push_back(std::move(event));
}

std::vector<Uevent> DriverCore::take_uevents() {
  return std::exchange(state_.uevents, {});
}

Reply<void> DriverCore::synthetic_uevent(DeviceKey key, std::string_view text) {
  static constexpr std::array kActions = {"add",    "remove",  "change", "move",
                                          "online", "offline", "bind",   "unbind"};
  const auto parts = words(trim_newline(text.substr(0, text.find('\0'))));
  if (std::ranges::find(kActions, parts[0]) == kActions.end()) return error(EINVAL);
  if (parts.size() > 1 && !is_uuid(parts[1])) return error(EINVAL);
  for (std::size_t i = 2; i < parts.size(); ++i) {
    const auto equals = parts[i].find('=');
    if (equals == std::string_view::npos || !is_alnum(parts[i].substr(0, equals)) ||
        !is_alnum(parts[i].substr(equals + 1))) {
      return error(EINVAL);
    }
  }
  const Device& d = *device(key);
  send(std::string(parts[0]), d);
  std::vector<std::string>& lines = state_.uevents.back().lines;
  std::vector<std::string> extra = {"SYNTH_UUID=" +
                                    (parts.size() > 1 ? std::string(parts[1]) : "0")};
  for (std::size_t i = 2; i < parts.size(); ++i)
    extra.push_back("SYNTH_ARG_" + std::string(parts[i]));
  lines.insert(lines.begin() + 3, extra.begin(), extra.end());
  return {};
}

// ---- adding

/// device_add: listed, in its group, announced; a PCI device is then probed by pci_bus_add_device,
/// which on these kernels does not ask for autoprobe.
void DriverCore::add_to_bus(DeviceKey key) {
  Device* dev = device(key);
  Bus& bus = bus_of(*dev);
  bus.devices.push_back(key);
  bus.device_names.emplace(dev->name, key);
  if (dev->group) state_.groups.try_emplace(*dev->group);
  send("add", *dev);
  dev->ready_to_probe = true;
  step(KernelStep::Kind::kAddEvent, key);
  dev = device(key);
  if (dev == nullptr) return;
  dev->match_driver = true;
  if (dev->bus == "pci" && state_.profile.pci_add_ignores_autoprobe) {
    (void)device_attach(key);
  } else {
    initial_probe(key);
  }
}

/// The same card as a new device: another instance, with nothing of what the old one was told.
DeviceKey DriverCore::renew(DeviceKey old) {
  auto node = state_.devices.extract(old);
  Device dev = std::move(node.mapped());
  dev.driver_override.reset();
  dev.driver.reset();
  dev.driver_link = dev.ready_to_probe = dev.match_driver = dev.deferred = dev.dead = false;
  dev.counted = false;
  dev.probes = 0;
  const DeviceKey key = state_.next_key++;
  state_.devices.emplace(key, std::move(dev));
  return key;
}

bool DriverCore::hot_add(const std::string& name) {
  const auto found = std::ranges::find_if(
      state_.drawer, [&](DeviceKey key) { return state_.devices.at(key).name == name; });
  if (found == state_.drawer.end()) return false;
  const Device& card = state_.devices.at(*found);
  if (find(card.bus, card.name) != nullptr) return false;  // the slot is taken
  if (!card.parent.empty() && find(card.bus, card.parent) == nullptr) return false;
  const DeviceKey old = *found;
  std::erase(state_.drawer, old);
  const DeviceKey key = renew(old);
  state_.devices.at(key).present = true;
  add_to_bus(key);
  retry_deferred();
  return true;
}

Reply<void> DriverCore::rescan(std::string_view text) {
  const auto number = to_number(text);
  if (!number) return error(EINVAL);
  if (*number == 0) return {};
  // In the order of the addresses, so that a bridge comes before what is behind it.
  std::vector<std::pair<std::string, DeviceKey>> found;
  for (const DeviceKey key : state_.drawer) {
    const Device& card = state_.devices.at(key);
    if (card.present && card.bus == "pci") found.emplace_back(card.name, key);
  }
  std::ranges::sort(found);
  for (const auto& [name, key] : found) (void)hot_add(name);
  return {};
}

// ---- removing

/// What is behind a bridge goes first, in reverse; then the driver, the announcement, the device.
void DriverCore::remove_from_bus(DeviceKey key) {
  Device* dev = device(key);
  if (dev == nullptr) return;
  const Bus& bus = bus_of(*dev);
  for (std::size_t i = bus.devices.size(); i-- > 0;) {
    if (i >= bus.devices.size()) continue;
    const Device* child = find(bus.devices[i]);
    if (child != nullptr && child->parent == dev->name) remove_from_bus(bus.devices[i]);
  }
  release_driver(key);
  dev = device(key);
  if (dev == nullptr) return;
  dev->dead = true;
  std::erase(state_.deferred, key);
  send("remove", *dev);
  Bus& from = bus_of(*dev);
  std::erase(from.devices, key);
  from.device_names.erase(dev->name);
  state_.drawer.push_back(key);
}

Reply<void> DriverCore::remove(DeviceKey key, std::string_view text) {
  const auto number = to_number(text);
  if (!number) return error(EINVAL);
  if (*number != 0) remove_from_bus(key);
  return {};
}

bool DriverCore::unplug(const std::string& name) {
  const DeviceKey key = named("pci", name);
  if (find(key) == nullptr) return false;
  remove_from_bus(key);
  for (const DeviceKey gone : state_.drawer) {
    Device& card = state_.devices.at(gone);
    if (card.name == name || card.parent == name) card.present = false;
  }
  return true;
}

}  // namespace anybind::drivercore
