#include "inventory/not_there.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/text.h"
#include "inventory/device.h"
#include "inventory/net_interface.h"

namespace anybind {
namespace {

using Words = std::vector<std::string>;

/// `near` as a question, each with `prefix`; `otherwise` when there are none.
Remark did_you_mean(Words near, std::string_view prefix, Remark otherwise) {
  if (near.empty()) return otherwise;
  for (std::string& word : near) word = shell_quote(fmt::format("{}{}", prefix, word));
  return fmt::format("did you mean {}?", join_words(near, "or"));
}

Error not_found(std::string_view typed, std::string why, Remark next) {
  return {.kind = ErrorKind::kNotFound,
          .object = std::string(typed),
          .why = std::move(why),
          .advice = std::move(next)};
}

Words bus_names(Sysfs& root) {
  Words buses = root.list("bus").value_or(Words{});
  std::ranges::sort(buses);
  return buses;
}

/// The drivers of all buses.
Words driver_names(Sysfs& root) {
  Words out;
  for (const std::string& text : bus_names(root)) {
    const auto bus = BusName::parse(text);
    const auto names = bus ? read_driver_names(root, *bus) : Result<Words>{};
    if (names) out.insert(out.end(), names->begin(), names->end());
  }
  std::ranges::sort(out);
  out.erase(std::ranges::unique(out).begin(), out.end());
  return out;
}

/// Devices of other buses than pci whose names are near, as bus/name.
Words near_devices(Sysfs& root, std::string_view typed) {
  Words names;
  std::map<std::string, std::string> bus_of;
  for (const std::string& text : bus_names(root)) {
    const auto bus = BusName::parse(text);
    const auto devices =
        bus && text != "pci" ? read_device_ids(root, *bus) : Result<std::vector<DeviceId>>{};
    if (!devices) continue;
    for (const DeviceId& device : *devices) {
      names.push_back(device.name.str());
      bus_of.emplace(device.name.str(), device.str());
    }
  }
  Words out = nearest(typed, names);
  for (std::string& name : out) name = bus_of.at(name);
  return out;
}

/// Devices of this very name on other buses, as bus/name.
Words homonyms(Sysfs& root, std::string_view typed) {
  Words out;
  const auto name = DeviceName::parse(typed);
  if (!name) return out;
  for (const std::string& text : bus_names(root)) {
    const auto bus = BusName::parse(text);
    if (!bus) continue;
    const DeviceId id{.bus = *bus, .name = *name};
    if (root.open_dir(id.path())) out.push_back(id.str());
  }
  return out;
}

/// usb:3-2:1.0, for usb/3-2:1.0: as bus/name, if that device is there.
Words behind_a_colon(Sysfs& root, std::string_view typed) {
  const auto colon = typed.find(':');
  if (colon == std::string_view::npos) return {};
  const auto bus = BusName::parse(typed.substr(0, colon));
  const auto name = DeviceName::parse(typed.substr(colon + 1));
  if (!bus || bus->str() == "pci" || !name) return {};  // that one has addresses
  const DeviceId id{.bus = *bus, .name = *name};
  return root.open_dir(id.path()) ? Words{id.str()} : Words{};
}

/// 03:00.9, 0000:3:0, pci_0000_03_00: what is meant as the address of a PCI function, and is none.
bool is_like_address(std::string_view typed) {
  if (typed.starts_with("pci") && typed.size() > 3 && std::string_view("_:-").contains(typed[3]))
    return true;
  return typed.contains(':') &&
         typed.find_first_not_of("0123456789abcdefABCDEF:.") == std::string_view::npos;
}

/// An address is a place, and one that looks alike is another place: told is what is near the one
/// that was meant, in its slot, else on its bus.
Error no_such_function(std::string_view typed, const std::string& name, const Words& names) {
  const std::string slot = name.substr(0, name.rfind('.') + 1);
  const std::string bus = name.substr(0, name.rfind(':') + 1);
  Words in_slot;
  Words on_bus;
  for (const std::string& other : names) {
    if (other.starts_with(slot)) in_slot.push_back(other);
    if (other.starts_with(bus)) on_bus.push_back(other);
  }
  if (on_bus.empty()) {
    const std::string number = bus.substr(0, bus.size() - 1);
    return not_found(typed, fmt::format("no such device: nothing is on bus {}", number),
                     Action::kList);
  }
  return not_found(typed, "no such device",
                   did_you_mean(nearest(name, in_slot.empty() ? on_bus : in_slot), "",
                                {Action::kList, {bus + "*"}}));
}

}  // namespace

Error no_such_device(Sysfs& root, const DeviceId& id, std::string_view typed) {
  Words names;
  if (const auto devices = read_device_ids(root, id.bus)) {
    names.reserve(devices->size());
    for (const DeviceId& device : *devices) names.push_back(device.name.str());
  }
  // Since Linux 7.1 a bridge that is removed leaves links to what stood below it.
  if (std::ranges::find(names, id.name.str()) != names.end() && !root.open_dir(id.path()))
    return not_found(typed, "it is gone, and only its link is left: that leads nowhere",
                     {Action::kList, {id.bus.str() + "/*"}});
  const bool pci = id.bus.str() == "pci";
  if (pci && std::ranges::count(id.name.str(), ':') == 2)
    return no_such_function(typed, id.name.str(), names);
  const std::string prefix = pci ? "" : id.bus.str() + "/";
  const Remark listing = pci ? Remark(Action::kList) : Remark(Action::kList, {prefix + "*"});
  return not_found(typed, "no such device",
                   did_you_mean(nearest(id.name.str(), names), prefix, listing));
}

Error no_such_bus(Sysfs& root, const BusName& bus, std::string_view typed) {
  const Words buses = bus_names(root);
  return not_found(typed, fmt::format("no such bus: {}", bus.str()),
                   did_you_mean(nearest(bus.str(), buses), "", "buses here: " + join_words(buses)));
}

Error no_such_driver(Sysfs& root, const DriverName& driver, std::string_view typed) {
  return not_found(
      typed, "no such driver",
      did_you_mean(nearest(driver.str(), driver_names(root)), "driver:", "ls /sys/bus/*/drivers"));
}

Error no_such_driver(Sysfs& root, const BusName& bus, const DriverName& driver,
                     const std::vector<std::string>& modules) {
  const Words names = read_driver_names(root, bus).value_or(Words{});
  Words near = nearest(driver.str(), names);
  if (near.empty()) near = nearest(driver.str(), modules);
  std::string why = fmt::format("no such driver on the {} bus", bus.str());
  if (!modules.empty()) why += ", and no module of that name";
  return not_found(
      driver.str(), std::move(why),
      did_you_mean(std::move(near), "",
                   modules.empty() ? "load its module: modprobe " + shell_quote(driver.str())
                                   : Remark(Action::kExplain, {"DEVICE"}) + " tells what matches"));
}

Error no_such_word(Sysfs& root, std::string_view typed) {
  const std::string why = "no such device, network interface or disk";
  if (auto twins = homonyms(root, typed); !twins.empty())
    return not_found(typed, why, did_you_mean(std::move(twins), "", ""));
  if (auto meant = behind_a_colon(root, typed); !meant.empty())
    return not_found(typed, why, did_you_mean(std::move(meant), "", ""));
  const std::string word(typed);
  if (is_sysfs_name(typed) && root.open_dir("bus/" + word))
    return not_found(typed, "this is a bus", {Action::kList, {word + "/*"}});
  if (std::ranges::binary_search(driver_names(root), word)) {
    return not_found(typed, "this is a driver",
                     fmt::format("its devices: driver:{}", shell_quote(word)));
  }
  if (is_like_address(typed)) {
    return not_found(typed, "not a PCI address",
                     "BUS:SLOT.FUNCTION in hex, the slot up to 1f and the function up to 7, with "
                     "DOMAIN: before it if it is not 0000: 03:00.0");
  }
  if (parse_hex(typed)) {
    return {.kind = ErrorKind::kUsage,
            .object = word,
            .why = "a bare number could be anything",
            .advice = "an address such as 03:00.0, id:VENDOR:DEVICE, or group:N"};
  }
  Words near = nearest(typed, read_interface_names(root));
  if (near.empty()) near = near_devices(root, typed);
  return not_found(typed, why,
                   did_you_mean(std::move(near), "",
                                Remark(Action::kList) + "; " + Action::kHelp + " for the forms"));
}

}  // namespace anybind
