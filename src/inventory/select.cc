#include "inventory/select.h"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "base/text.h"
#include "inventory/device.h"

namespace anybind {
namespace {

using Devices = std::vector<DeviceId>;

const BusName kPci = BusName::literal("pci");

Error not_found(std::string_view object, std::string why, std::string next = "anybind list") {
  return {.code = Code::kNotFound,
          .object = std::string(object),
          .why = std::move(why),
          .next = std::move(next)};
}

Error not_understood(std::string_view text, std::string why, std::string next) {
  return {.code = Code::kUsage,
          .object = std::string(text),
          .why = std::move(why),
          .next = std::move(next)};
}

bool exists(Sysfs& root, const DeviceId& id) {
  return root.open_dir(id.path()).has_value();
}

Result<Devices> all_on(Sysfs& root, const BusName& bus) {
  Devices out;
  for (DeviceName& name : TRY(read_device_names(root, bus))) {
    out.push_back({.bus = bus, .name = std::move(name)});
  }
  return out;
}

/// Nothing named `text` on `bus`: with the nearest names there are.
Error no_such_device(Sysfs& root, const BusName& bus, std::string_view text,
                     std::string_view typed) {
  std::vector<std::string> names;
  if (const auto devices = all_on(root, bus)) {
    for (const DeviceId& id : *devices) names.push_back(id.name.str());
  }
  std::vector<std::string> near = nearest(text, names);
  for (std::string& name : near) {
    if (bus != kPci) name = bus.str() + "/" + name;
  }
  return not_found(typed, "no such device",
                   near.empty() ? "anybind list" : "did you mean " + join_words(near, "or") + "?");
}

Result<Devices> by_pci_address(Sysfs& root, const PciAddress& address, std::string_view typed) {
  if (address.function) {
    DeviceId id{.bus = kPci, .name = DeviceName::literal(address.str())};
    if (!exists(root, id)) return fail(no_such_device(root, kPci, address.str(), typed));
    return Devices{std::move(id)};
  }
  Devices out;
  for (unsigned function = 0; function < 8; ++function) {
    DeviceId id{.bus = kPci,
                .name = DeviceName::literal(fmt::format("{}.{}", address.str(), function))};
    if (exists(root, id)) out.push_back(std::move(id));
  }
  if (out.empty()) return fail(no_such_device(root, kPci, address.str() + ".0", typed));
  return out;
}

Result<Devices> by_bus_and_name(Sysfs& root, std::string_view bus_text, std::string_view name_text,
                                std::string_view typed) {
  const auto bus = BusName::parse(bus_text);
  auto name = DeviceName::parse(name_text);
  if (!bus || !name)
    return fail(not_understood(typed, "not of the form bus/name", "anybind --help"));
  if (!root.open_dir("bus/" + bus->str())) {
    auto buses = root.list("bus").value_or(std::vector<std::string>{});
    std::ranges::sort(buses);
    const auto near = nearest(bus->str(), buses);
    return fail(not_found(typed, "no such bus: " + bus->str(),
                          near.empty() ? "buses: " + join_words(buses)
                                       : "did you mean " + join_words(near, "or") + "?"));
  }
  if (*bus == kPci) {
    if (const auto address = PciAddress::parse(name_text))
      return by_pci_address(root, *address, typed);
  }
  DeviceId id{.bus = *bus, .name = *std::move(name)};
  if (!exists(root, id)) return fail(no_such_device(root, *bus, name_text, typed));
  return Devices{std::move(id)};
}

/// The device at or above a path below the root: the nearest directory with a `subsystem` link to a
/// bus.
Result<Devices> by_path(Sysfs& root, std::string_view path, std::string_view typed) {
  while (path.ends_with('/')) path.remove_suffix(1);
  // bus/BUS/devices/NAME names its device by itself.
  for (std::string here(path); !here.empty();) {
    const auto dir = root.open_dir(here);
    const auto subsystem =
        dir ? (*dir)->read_link("subsystem") : Reply<std::string>(std::unexpected(Errno{2}));
    if (subsystem && subsystem->contains("bus/")) {
      const auto bus = BusName::parse(link_name(*subsystem));
      auto name = DeviceName::parse(link_name(here));
      if (bus && name && exists(root, {.bus = *bus, .name = *name})) {
        return Devices{{.bus = *bus, .name = *std::move(name)}};
      }
    }
    const auto slash = here.rfind('/');
    here.resize(slash == std::string::npos ? 0 : slash);
  }
  return fail(not_found(typed, "no device of a bus is at or above this path"));
}

/// The device that stands behind class/CLASS/NAME: the nearest bus device above it.
std::optional<DeviceId> behind_class(Sysfs& root, const std::string& link) {
  const auto target = root.read_link(link);
  if (!target) return std::nullopt;
  // "../../devices/pci0000:00/0000:00:03.0/net/eth0": the last component that pci or another bus
  // knows.
  std::string_view path = *target;
  while (path.starts_with("../")) path.remove_prefix(3);
  std::optional<DeviceId> fallback;
  for (auto slash = path.rfind('/'); slash != std::string_view::npos; slash = path.rfind('/')) {
    path = path.substr(0, slash);
    const auto name = link_name(path);
    if (const auto address = PciAddress::parse(name); address && address->function) {
      DeviceId id{.bus = kPci, .name = DeviceName::literal(name)};
      if (exists(root, id)) return id;
    }
    if (fallback) continue;
    if (const auto here = by_path(root, path, path); here && here->front().name.str() == name) {
      fallback = here->front();
    }
  }
  return fallback;
}

std::optional<DeviceId> by_interface(Sysfs& root, std::string_view text) {
  if (!is_sysfs_name(text)) return std::nullopt;
  for (const char* kind : {"net", "block", "nvme", "drm", "sound", "input"}) {
    const std::string link = fmt::format("class/{}/{}", kind, text);
    if (auto id = behind_class(root, link)) return id;
  }
  return std::nullopt;
}

/// Devices of the pci bus that `wanted` accepts; reads each device's `uevent`.
Result<Devices> where(Sysfs& root, const std::function<bool(const Device&)>& wanted) {
  Devices out;
  for (const DeviceId& id : TRY(all_on(root, kPci))) {
    const auto dir = root.open_dir(id.path());
    if (!dir) continue;
    const auto device = read_device(**dir, id);
    if (device && wanted(*device)) out.push_back(id);
  }
  return out;
}

struct ClassWord {
  std::string_view word;
  std::uint32_t base;
};

// driverctl's words for PCI base classes.
constexpr std::array<ClassWord, 12> kClasses = {{{"storage", 0x01},
                                                 {"network", 0x02},
                                                 {"display", 0x03},
                                                 {"multimedia", 0x04},
                                                 {"memory", 0x05},
                                                 {"bridge", 0x06},
                                                 {"communication", 0x07},
                                                 {"system", 0x08},
                                                 {"input", 0x09},
                                                 {"docking", 0x0A},
                                                 {"processor", 0x0B},
                                                 {"serial", 0x0C}}};

Result<Devices> by_class(Sysfs& root, std::string_view word, std::string_view typed) {
  if (word == "all") return all_on(root, kPci);
  const auto* known = std::ranges::find(kClasses, word, &ClassWord::word);
  const bool digits =
      known == kClasses.end() && (word.size() == 2 || word.size() == 4 || word.size() == 6);
  const auto code = digits ? parse_hex(word, 0xFFFFFF) : std::nullopt;
  if (known == kClasses.end() && (!code || word.contains('x'))) {
    std::vector<std::string> words;
    for (const ClassWord& row : kClasses) words.emplace_back(row.word);
    const auto near = nearest(word, words);
    return fail(not_understood(typed, "no such class",
                               near.empty()
                                   ? "one of " + join_words(words, "or") + ", or its hex digits"
                                   : "did you mean class:" + join_words(near, "or class:") + "?"));
  }
  const std::size_t count = known != kClasses.end() ? 2 : word.size();
  const std::uint64_t want = known != kClasses.end() ? known->base : *code;
  return where(root, [&](const Device& device) {
    return device.pci && device.pci->class_code >> (4 * (6 - count)) == want;
  });
}

Result<Devices> by_ids(Sysfs& root, std::string_view text, std::string_view typed) {
  std::array<std::optional<std::uint16_t>, 4> want;
  std::size_t fields = 0;
  for (std::string_view rest = text;; ++fields) {
    const auto colon = rest.find(':');
    const std::string_view field = rest.substr(0, colon);
    const auto value = parse_hex(field, 0xFFFF);
    if (fields == want.size() || (!value && !field.empty() && field != "*")) {
      return fail(not_understood(typed,
                                 "not of the form id:VENDOR:DEVICE[:SUBVENDOR:SUBDEVICE], in hex",
                                 "for instance id:8086:10d3"));
    }
    if (value) want[fields] = static_cast<std::uint16_t>(*value);
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  return where(root, [&](const Device& device) {
    if (!device.pci) return false;
    const std::array<std::uint16_t, 4> have = {device.pci->vendor, device.pci->device,
                                               device.pci->subvendor, device.pci->subdevice};
    for (std::size_t i = 0; i < have.size(); ++i) {
      if (want[i] && *want[i] != have[i]) return false;
    }
    return true;
  });
}

Result<Devices> by_group(Sysfs& root, std::string_view text, std::string_view typed) {
  const auto number = parse_decimal(text, UINT32_MAX);
  if (!number) return fail(not_understood(typed, "not a group number", "for instance group:7"));
  return read_group(root, static_cast<unsigned>(*number));
}

/// Devices of a driver: of any bus that has a driver of this name.
Result<Devices> by_driver(Sysfs& root, std::string_view text, std::string_view typed) {
  const auto driver = DriverName::parse(text);
  if (!driver) return fail(not_understood(typed, "not a possible driver name", "anybind list"));
  Devices out;
  std::vector<std::string> all;
  bool known = false;
  auto buses = root.list("bus").value_or(std::vector<std::string>{});
  std::ranges::sort(buses);
  for (const std::string& bus_text : buses) {
    const auto bus = BusName::parse(bus_text);
    if (!bus) continue;
    const auto entries = root.list(driver_path(*bus, *driver));
    if (!entries) {
      if (const auto names = read_driver_names(root, *bus))
        all.insert(all.end(), names->begin(), names->end());
      continue;
    }
    known = true;
    for (const std::string& entry : *entries) {
      auto name = DeviceName::parse(entry);
      if (!name || entry == "module") continue;
      DeviceId id{.bus = *bus, .name = *std::move(name)};
      if (exists(root, id)) out.push_back(std::move(id));
    }
  }
  if (known) return out;
  const auto near = nearest(text, all);
  return fail(not_found(typed, "no such driver",
                        near.empty()
                            ? "anybind list"
                            : "did you mean driver:" + join_words(near, "or driver:") + "?"));
}

Result<Devices> by_glob(Sysfs& root, std::string_view typed) {
  const auto slash = typed.find('/');
  const std::string pattern(slash == std::string_view::npos ? typed : typed.substr(slash + 1));
  std::vector<std::string> buses = {"pci"};
  if (slash != std::string_view::npos) {
    const std::string bus_pattern(typed.substr(0, slash));
    buses = root.list("bus").value_or(std::vector<std::string>{});
    std::erase_if(buses, [&](const std::string& bus) { return !glob_match(bus_pattern, bus); });
    std::ranges::sort(buses);
  }
  Devices out;
  for (const std::string& text : buses) {
    const auto bus = BusName::parse(text);
    const auto devices = bus ? all_on(root, *bus) : Result<Devices>{};
    if (!devices) continue;
    for (const DeviceId& id : *devices) {
      const std::string& name = id.name.str();
      const bool short_form =
          *bus == kPci && name.starts_with("0000:") && glob_match(pattern, name.substr(5));
      if (glob_match(pattern, name) || short_form) out.push_back(id);
    }
  }
  return out;
}

using ByPrefix = Result<Devices> (*)(Sysfs&, std::string_view, std::string_view);

struct Prefix {
  std::string_view prefix;
  ByPrefix select;
};

constexpr std::array<Prefix, 4> kPrefixes = {
    {{"id:", by_ids}, {"class:", by_class}, {"group:", by_group}, {"driver:", by_driver}}};

const Prefix* prefix_of(std::string_view text) {
  const auto* found = std::ranges::find_if(
      kPrefixes, [&](const Prefix& row) { return text.starts_with(row.prefix); });
  return found == kPrefixes.end() ? nullptr : found;
}

Result<Devices> by_any_form(Sysfs& root, std::string_view text, std::string_view sysfs_root) {
  if (const Prefix* row = prefix_of(text))
    return row->select(root, text.substr(row->prefix.size()), text);
  if (const auto address = PciAddress::parse(text)) return by_pci_address(root, *address, text);
  if (is_glob(text)) return by_glob(root, text);
  if (text.starts_with('/')) {
    std::string_view path = text;
    const bool below =
        path.starts_with(sysfs_root) && path.substr(sysfs_root.size()).starts_with('/');
    if (!below) {
      return fail(not_understood(text, fmt::format("this path is not in {}", sysfs_root),
                                 "a path in sysfs begins with " + std::string(sysfs_root)));
    }
    path.remove_prefix(sysfs_root.size() + 1);
    return by_path(root, path, text);
  }
  if (const auto slash = text.find('/'); slash != std::string_view::npos) {
    return by_bus_and_name(root, text.substr(0, slash), text.substr(slash + 1), text);
  }
  if (auto id = by_interface(root, text)) return Devices{*std::move(id)};
  if (parse_hex(text)) {
    return fail(not_understood(
        text, "a bare number could be anything",
        fmt::format("an address such as {}:00.0, id:VENDOR:DEVICE, or group:N", text)));
  }
  return fail(not_found(text, "no such device, network interface or disk",
                        "anybind list; anybind --help for the forms"));
}

/// Names of one bus by domain, bus, slot and function where they are such addresses.
bool address_less(const DeviceId& a, const DeviceId& b) {
  if (a.bus != b.bus) return a.bus < b.bus;
  const auto x = PciAddress::parse(a.name.str());
  const auto y = PciAddress::parse(b.name.str());
  return x && y ? *x < *y : a.name < b.name;
}

}  // namespace

Result<Devices> select_devices(Sysfs& root, std::string_view text, std::string_view sysfs_root) {
  if (text.empty() || text.size() > 4096) {
    return fail(not_understood(text, "not a device", "anybind --help tells the forms"));
  }
  Devices out = TRY(by_any_form(root, text, sysfs_root));
  if (out.empty()) return fail(not_found(text, "nothing matches"));
  std::ranges::sort(out, address_less);
  return out;
}

Result<Devices> select_devices(Sysfs& root, const std::vector<std::string>& texts,
                               std::string_view sysfs_root) {
  Devices out;
  std::set<DeviceId> seen;
  for (const std::string& text : texts) {
    for (DeviceId& id : TRY(select_devices(root, text, sysfs_root))) {
      if (seen.insert(id).second) out.push_back(std::move(id));
    }
  }
  return out;
}

bool looks_like_device(std::string_view text) {
  return PciAddress::parse(text).has_value() || prefix_of(text) != nullptr || text.starts_with('/');
}

}  // namespace anybind
