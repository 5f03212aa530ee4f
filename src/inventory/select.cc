#include "inventory/select.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <iterator>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "inventory/device.h"
#include "inventory/net_interface.h"
#include "inventory/not_there.h"
#include "inventory/pci_class.h"
#include "inventory/pci_pattern.h"
#include "inventory/virtual_functions.h"

namespace anybind {
namespace {

using Devices = std::vector<DeviceId>;

/// What a selector means, which may be nothing.
struct Found {
  // Not explicit: mostly there is nothing to say about there being none.
  Found(Devices found) : devices(std::move(found)) {}
  Found(Devices found, Error why) : devices(std::move(found)), none(std::move(why)) {}

  Devices devices;
  std::optional<Error> none{};  ///< why there are none, when that is more than "nothing matches"
};

constexpr std::string_view kOther = "other";  // of class_word()

const BusName& pci_bus() {
  static const BusName kPci = BusName::literal("pci");
  return kPci;
}

Error not_understood(std::string_view text, std::string why, Remark next) {
  return {.kind = ErrorKind::kUsage,
          .object = std::string(text),
          .why = std::move(why),
          .advice = std::move(next)};
}

Error nothing_matches(std::string_view text) {
  return {.kind = ErrorKind::kNotFound,
          .object = std::string(text),
          .why = "nothing matches",
          .advice = Action::kList};
}

bool exists(Sysfs& root, const DeviceId& id) {
  return root.open_dir(id.path()).has_value();
}

std::vector<BusName> all_buses(Sysfs& root) {
  std::vector<BusName> out;
  for (const std::string& text : root.list("bus").value_or(std::vector<std::string>{})) {
    if (auto bus = BusName::parse(text)) out.push_back(*std::move(bus));
  }
  std::ranges::sort(out);
  return out;
}

/// Devices of the pci bus whose ids `wanted` accepts; reads each device's `uevent`.
Result<Devices> where(Sysfs& root, const std::function<bool(const PciIds&)>& wanted) {
  Devices out;
  for (DeviceId& id : TRY(read_device_ids(root, pci_bus()))) {
    const auto dir = root.open_dir(id.path());
    if (!dir) continue;
    const auto device = read_device(**dir, id);
    if (device && device->pci && wanted(*device->pci)) out.push_back(std::move(id));
  }
  return out;
}

/// Devices of `bus` whose directory `wanted` accepts.
template <class Wanted>
Result<Devices> where_dir(Sysfs& root, const BusName& bus, const Wanted& wanted) {
  Devices out;
  for (DeviceId& id : TRY(read_device_ids(root, bus))) {
    const auto dir = root.open_dir(id.path());
    if (dir && wanted(**dir)) out.push_back(std::move(id));
  }
  return out;
}

/// 03:00.0, or all functions of 03:00.
Result<Devices> by_pci_address(Sysfs& root, const PciAddress& address, std::string_view typed) {
  Devices out;
  PciAddress each = address;
  for (std::uint8_t function = 0; function < 8; ++function) {
    if (address.function && *address.function != function) continue;
    each.function = function;
    DeviceId id{.bus = pci_bus(), .name = DeviceName::literal(each.str())};
    if (exists(root, id)) out.push_back(std::move(id));
  }
  if (!out.empty()) return out;
  each.function = address.function.value_or(0);
  const DeviceId missing{.bus = pci_bus(), .name = DeviceName::literal(each.str())};
  return fail(no_such_device(root, missing, typed));
}

/// platform/serial8250
Result<Devices> by_bus_and_name(Sysfs& root, std::string_view typed) {
  const auto slash = typed.find('/');
  const auto bus = BusName::parse(typed.substr(0, slash));
  auto name = DeviceName::parse(typed.substr(slash + 1));
  if (!bus || !name) return fail(not_understood(typed, "not of the form bus/name", Action::kHelp));
  if (!root.open_dir("bus/" + bus->str())) return fail(no_such_bus(root, *bus, typed));
  const auto address = *bus == pci_bus() ? PciAddress::parse(name->str()) : std::nullopt;
  if (address) return by_pci_address(root, *address, typed);
  DeviceId id{.bus = *bus, .name = *std::move(name)};
  if (!exists(root, id)) return fail(no_such_device(root, id, typed));
  return Devices{std::move(id)};
}

/// A path below the root of sysfs: the device whose directory it is, or whose directory it is in.
Result<Devices> by_path(Sysfs& root, std::string_view typed, std::string_view sysfs_root) {
  while (sysfs_root.ends_with('/')) sysfs_root.remove_suffix(1);
  std::string_view path = typed;
  if (!path.starts_with(sysfs_root) || !path.substr(sysfs_root.size()).starts_with('/')) {
    return fail(not_understood(typed, fmt::format("this path is not in {}", sysfs_root),
                               fmt::format("a path in sysfs begins with {}/", sysfs_root)));
  }
  path.remove_prefix(sysfs_root.size() + 1);
  const auto real = real_path(root, path);
  if (!real)
    return fail(from_errno(real.error(), "look at", std::string(typed), ErrorKind::kNotFound));
  Devices above = devices_above(root, *real);
  if (above.empty()) {
    Error error = nothing_matches(typed);
    error.why = "no device of a bus is at or above this path";
    return fail(std::move(error));
  }
  const bool itself = real->ends_with("/" + above.front().name.str());
  return Devices{std::move(itself ? above.front() : above.back())};
}

Error no_such_class(std::string_view word, std::string_view typed) {
  const std::vector<std::string> words = base_class_words();
  const auto near = nearest(word, words);
  return not_understood(typed, "no such class",
                        near.empty() ? "one of " + join_words(words, "or") + ", or its hex digits"
                                     : "did you mean class:" + join_words(near, "or class:") + "?");
}

/// class:network, class:nvme, class:VGA, class:02, class:0x0200, class:020000, class:all
Result<Found> by_class(Sysfs& root, std::string_view word, std::string_view typed) {
  if (word == "all") return TRY(read_device_ids(root, pci_bus()));
  std::string plain(word);
  std::ranges::transform(plain, plain.begin(), [](unsigned char c) { return std::tolower(c); });
  if (plain.starts_with("0x")) plain.erase(0, 2);
  if (plain == kOther) {
    return TRY(where(root, [](const PciIds& pci) { return class_word(pci.class_code) == kOther; }));
  }
  const auto pattern = ClassPattern::parse(plain);
  if (!pattern) return fail(no_such_class(plain, typed));
  return TRY(where(root, [&](const PciIds& pci) { return pattern->matches(pci.class_code); }));
}

/// id:8086:10d3[:SV:SD]
Result<Found> by_ids(Sysfs& root, std::string_view text, std::string_view typed) {
  const auto pattern = IdPattern::parse(text);
  if (!pattern) {
    const bool is_vendor = parse_hex(text, UINT16_MAX).has_value();
    return fail(not_understood(typed,
                               "not of the form id:VENDOR:DEVICE[:SUBVENDOR:SUBDEVICE], in hex",
                               is_vendor ? fmt::format("id:{}:* for all of this vendor", text)
                                         : "for instance id:8086:10d3"));
  }
  return TRY(where(root, [&](const PciIds& pci) { return pattern->matches(pci); }));
}

/// group:7
Result<Found> by_group(Sysfs& root, std::string_view text, std::string_view typed) {
  const auto number = parse_decimal(text, UINT32_MAX);
  if (!number) return fail(not_understood(typed, "not a group number", "for instance group:7"));
  return TRY(read_group(root, static_cast<unsigned>(*number)));
}

/// override:vfio-pci, override:*, on whichever buses have overrides.
Result<Found> by_override(Sysfs& root, std::string_view text, std::string_view typed) {
  if (text.empty())
    return fail(not_understood(typed, "no driver", "for instance override:vfio-pci"));
  const std::string pattern(text);
  Devices out;
  for (const BusName& bus : all_buses(root)) {
    auto found = where_dir(root, bus, [&](Sysfs& dir) {
      const auto value = read_override(dir);
      return value && *value && glob_match(pattern, **value);
    });
    if (found) std::ranges::move(*found, std::back_inserter(out));
  }
  return out;
}

/// numa:1
Result<Found> by_numa(Sysfs& root, std::string_view text, std::string_view typed) {
  if (!parse_decimal(text, UINT16_MAX))
    return fail(not_understood(typed, "not the number of a NUMA node", "for instance numa:0"));
  return TRY(where_dir(root, pci_bus(), [&](Sysfs& dir) {
    const auto node = dir.read("numa_node");
    return node && trim_newline(*node) == text;
  }));
}

/// usb:046d:c52b, as lsusb prints ids: the interfaces, which are what usb drivers take.
Result<Found> by_usb_ids(Sysfs& root, std::string_view text, std::string_view typed) {
  const auto pattern = IdPattern::parse(text);
  if (!pattern) return fail(no_such_word(root, typed));
  return TRY(where_dir(root, BusName::literal("usb"), [&](Sysfs& dir) {
    constexpr std::string_view kForm = "usb:vVVVVpPPPPd";
    const auto alias = dir.read("modalias");
    if (!alias || alias->size() < kForm.size() || !alias->starts_with("usb:v")) return false;
    const auto vendor = parse_hex(std::string_view(*alias).substr(5, 4), UINT16_MAX);
    const auto product = parse_hex(std::string_view(*alias).substr(10, 4), UINT16_MAX);
    return vendor && product &&
           pattern->matches({.vendor = static_cast<std::uint16_t>(*vendor),
                             .device = static_cast<std::uint16_t>(*product)});
  }));
}

Result<Found> by_functions(Sysfs& root, std::string_view text, std::string_view typed);

/// driver:e1000e, on whichever buses have a driver of this name.
Result<Found> by_driver(Sysfs& root, std::string_view text, std::string_view typed) {
  if (text == "none") {
    return TRY(where_dir(root, pci_bus(), [](Sysfs& dir) {
      const auto driver = read_driver(dir);
      return driver && !*driver;
    }));
  }
  const auto driver = DriverName::parse(text);
  if (!driver)
    return fail(not_understood(typed, "not a possible driver name", "for instance driver:e1000e"));
  Devices out;
  bool known = false;
  for (const BusName& bus : all_buses(root)) {
    const auto entries = root.list(driver_path(bus, *driver));
    if (!entries) continue;
    known = true;
    for (const std::string& entry : *entries) {
      auto name = DeviceName::parse(entry);
      if (!name || entry == "module") continue;
      DeviceId id{.bus = bus, .name = *std::move(name)};
      if (exists(root, id)) out.push_back(std::move(id));
    }
  }
  if (!known) return Found({}, no_such_driver(root, *driver, typed));
  Error none = nothing_matches(typed);
  none.why = "this driver has no device";
  return Found(std::move(out), std::move(none));
}

/// 0000:03:*, 03:00.*, platform/serial*, */eeprom*
Result<Devices> by_glob(Sysfs& root, std::string_view typed) {
  const auto slash = typed.find('/');
  const bool with_bus = slash != std::string_view::npos;
  const std::string bus_pattern(with_bus ? typed.substr(0, slash) : "pci");
  const std::string pattern(with_bus ? typed.substr(slash + 1) : typed);
  Devices out;
  for (const BusName& bus : all_buses(root)) {
    if (!glob_match(bus_pattern, bus.str())) continue;
    auto devices = read_device_ids(root, bus);
    if (!devices) continue;
    for (DeviceId& id : *devices) {
      const std::string& name = id.name.str();
      const bool short_form =
          bus == pci_bus() && name.starts_with("0000:") && glob_match(pattern, name.substr(5));
      if (glob_match(pattern, name) || short_form) out.push_back(std::move(id));
    }
  }
  const bool says_something = pattern.find_first_not_of("*?") != std::string::npos;
  if (!out.empty() || with_bus || !says_something) return out;
  for (const std::string& name : read_interface_names(root)) {
    if (glob_match(pattern, name))
      std::ranges::move(devices_behind(root, name), std::back_inserter(out));
  }
  return out;
}

/// "3d:00.0-48:00.0", "18:10.0-7"
struct AddressRange {
  PciAddress first;
  PciAddress last;

  static std::optional<AddressRange> parse(std::string_view text) {
    const auto dash = text.find('-');
    if (dash == std::string_view::npos) return std::nullopt;
    const auto first = PciAddress::parse(text.substr(0, dash));
    if (!first || !first->function) return std::nullopt;
    const std::string_view rest = text.substr(dash + 1);
    auto last = PciAddress::parse(rest);
    if (const auto function = parse_hex(rest, 7); !last && rest.size() == 1 && function) {
      last = first;
      last->function = static_cast<std::uint8_t>(*function);
    }
    if (!last || !last->function) return std::nullopt;
    return AddressRange{*first, *last};
  }
};

Result<Devices> by_address_range(Sysfs& root, const AddressRange& range, std::string_view typed) {
  const DeviceId first{.bus = pci_bus(), .name = DeviceName::literal(range.first.str())};
  const DeviceId last{.bus = pci_bus(), .name = DeviceName::literal(range.last.str())};
  if (address_less(last, first))
    return fail(
        not_understood(typed, "the range ends before it begins", "the lower address first"));
  Devices out;
  for (DeviceId& id : TRY(read_device_ids(root, pci_bus()))) {
    if (!address_less(id, first) && !address_less(last, id)) out.push_back(std::move(id));
  }
  return out;
}

/// "nvme1-23", "nvme1-nvme23"
struct NameRange {
  std::string stem;
  std::uint64_t first;
  std::uint64_t last;

  static std::optional<NameRange> parse(std::string_view text) {
    constexpr std::string_view kDigits = "0123456789";
    const auto dash = text.rfind('-');
    if (dash == std::string_view::npos || dash == 0) return std::nullopt;
    const std::string_view left = text.substr(0, dash);
    const auto end = left.find_last_not_of(kDigits);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view stem = left.substr(0, end + 1);
    std::string_view right = text.substr(dash + 1);
    if (right.starts_with(stem)) right.remove_prefix(stem.size());
    const auto first = parse_decimal(left.substr(end + 1), UINT32_MAX);
    const auto last = parse_decimal(right, UINT32_MAX);
    if (!first || !last) return std::nullopt;
    return NameRange{std::string(stem), *first, *last};
  }
  [[nodiscard]] bool has(std::string_view name) const {
    if (!name.starts_with(stem)) return false;
    const std::string_view digits = name.substr(stem.size());
    const auto number = parse_decimal(digits, UINT32_MAX);
    return number && std::to_string(*number) == digits && first <= *number && *number <= last;
  }
};

Devices by_name_range(Sysfs& root, const NameRange& range) {
  Devices out;
  for (const std::string& name : read_interface_names(root)) {
    if (range.has(name)) std::ranges::move(devices_behind(root, name), std::back_inserter(out));
  }
  return out;
}

using ByPrefix = Result<Found> (*)(Sysfs&, std::string_view, std::string_view);

struct Prefix {
  std::string_view prefix;
  ByPrefix select;
};

constexpr auto kPrefixes = std::to_array<Prefix>({{"id:", by_ids},
                                                  {"class:", by_class},
                                                  {"group:", by_group},
                                                  {"driver:", by_driver},
                                                  {"override:", by_override},
                                                  {"numa:", by_numa},
                                                  {"usb:", by_usb_ids},
                                                  {"vfs:", by_functions}});

const Prefix* prefix_of(std::string_view text) {
  const auto* found = std::ranges::find_if(
      kPrefixes, [&](const Prefix& row) { return text.starts_with(row.prefix); });
  return found == kPrefixes.end() ? nullptr : found;
}

/// 8086:10d3, as lspci and the kernel print ids.
bool is_pair_of_ids(std::string_view text) {
  return text.size() == 9 && text[4] == ':' && parse_hex(text.substr(0, 4)) &&
         parse_hex(text.substr(5));
}

/// eth0, nvme0n1, nvme1-23, or a word that is none of it.
Result<Devices> by_word(Sysfs& root, std::string_view text) {
  Devices found = devices_behind(root, text);
  if (!found.empty()) return found;
  if (const auto range = NameRange::parse(text)) found = by_name_range(root, *range);
  if (!found.empty()) return found;
  return fail(no_such_word(root, text));
}

/// 8086:10d3; that of a usb device would be said so.
Result<Found> by_pair(Sysfs& root, std::string_view text) {
  Found out = TRY(by_ids(root, text, text));
  if (!out.devices.empty()) return out;
  const auto usb = by_usb_ids(root, text, text);
  if (!usb || usb->devices.empty()) return out;
  Error none = nothing_matches(text);
  none.why = "no PCI device has these ids, but one of usb";
  none.advice = fmt::format("did you mean usb:{}?", text);
  return Found({}, std::move(none));
}

Result<Found> by_any_form(Sysfs& root, std::string_view text, std::string_view sysfs_root) {
  if (text.empty() || text.size() > Sysfs::kPageSize) {
    return fail(not_understood(text, "not a device", Remark(Action::kHelp) + " tells the forms"));
  }
  if (const Prefix* row = prefix_of(text))
    return row->select(root, text.substr(row->prefix.size()), text);
  if (const auto address = PciAddress::parse(text))
    return TRY(by_pci_address(root, *address, text));
  if (const auto range = AddressRange::parse(text))
    return TRY(by_address_range(root, *range, text));
  if (is_pair_of_ids(text)) return by_pair(root, text);
  if (text.starts_with('/')) return TRY(by_path(root, text, sysfs_root));
  if (is_glob(text)) return TRY(by_glob(root, text));
  if (text.contains('/')) return TRY(by_bus_and_name(root, text));
  return TRY(by_word(root, text));
}

Result<Found> find(Sysfs& root, std::string_view text, std::string_view sysfs_root) {
  Found out = TRY(by_any_form(root, text, sysfs_root));
  std::ranges::sort(out.devices, address_less);
  out.devices.erase(std::ranges::unique(out.devices).begin(), out.devices.end());
  if (out.devices.empty() && !out.none) out.none = nothing_matches(text);
  return out;
}

/// vfs:eth0, vfs:18:00.0
Result<Found> by_functions(Sysfs& root, std::string_view text, std::string_view typed) {
  if (text.starts_with('/') || prefix_of(text) != nullptr)
    return fail(not_understood(typed, "not the name of a device", "for instance vfs:eth0"));
  const Found pf = TRY(by_any_form(root, text, ""));
  if (pf.devices.size() != 1)
    return fail(not_understood(typed, fmt::format("{} devices are called so", pf.devices.size()),
                               "for instance vfs:eth0"));
  const auto dir = TRY(open_device(root, pf.devices.front()));
  const auto count =
      dir == nullptr ? std::optional<unsigned>() : TRY(read_functions(*dir, pf.devices.front()));
  if (count.value_or(0) != 0) return TRY(virtual_functions(root, pf.devices.front(), *count));
  Error none = nothing_matches(typed);
  none.why = count ? "it has no virtual functions now" : "it can have no virtual functions";
  return Found({}, std::move(none));
}

/// What `select` finds for each text, in that order, each device once.
template <class Select>
Result<Devices> unite(Sysfs& root, const std::vector<std::string>& texts, const Select& select) {
  Devices out;
  std::set<DeviceId> seen;
  for (const std::string& text : texts) {
    for (const std::string& part : parts_of_list(root, text)) {
      for (DeviceId& id : TRY(select(part))) {
        if (seen.insert(id).second) out.push_back(std::move(id));
      }
    }
  }
  return out;
}

}  // namespace

Result<Devices> select_devices(Sysfs& root, std::string_view text, std::string_view sysfs_root) {
  const auto parts = parts_of_list(root, text);
  if (parts.size() != 1) return select_devices(root, parts, sysfs_root);
  Found out = TRY(find(root, text, sysfs_root));
  if (out.devices.empty()) return fail(*std::move(out.none));
  return std::move(out.devices);
}

Result<Devices> select_what_there_is(Sysfs& root, const std::vector<std::string>& texts,
                                     std::string_view sysfs_root, std::vector<Error>& none) {
  return unite(root, texts, [&](const std::string& text) -> Result<Devices> {
    Found out = TRY(find(root, text, sysfs_root));
    if (out.devices.empty()) none.push_back(*std::move(out.none));
    return std::move(out.devices);
  });
}

Result<Devices> select_devices(Sysfs& root, const std::vector<std::string>& texts,
                               std::string_view sysfs_root) {
  return unite(root, texts,
               [&](const std::string& text) { return select_devices(root, text, sysfs_root); });
}

Result<Devices> select_devices_unchecked(Sysfs& root, const std::vector<std::string>& texts,
                                         std::string_view sysfs_root) {
  return unite(root, texts, [&](const std::string& text) -> Result<Devices> {
    const auto address = PciAddress::parse(text);
    if (!address || !address->function) return select_devices(root, text, sysfs_root);
    return Devices{{.bus = pci_bus(), .name = DeviceName::literal(address->str())}};
  });
}

std::vector<std::string> parts_of_list(Sysfs& root, std::string_view text) {
  const bool is_path = text.starts_with('/') && !text.contains(",/");
  if (!text.contains(',') || is_path || text.size() > Sysfs::kPageSize) return {std::string(text)};
  if (const auto slash = text.find('/'); slash != std::string_view::npos && slash != 0) {
    const auto bus = BusName::parse(text.substr(0, slash));
    auto name = DeviceName::parse(text.substr(slash + 1));
    if (bus && name && exists(root, {.bus = *bus, .name = *std::move(name)}))
      return {std::string(text)};
  }
  std::vector<std::string> out(1);
  bool within = false;  // the brackets of a glob
  for (const char c : text) {
    if (c == ',' && !within) {
      out.emplace_back();
      continue;
    }
    within = c == '[' || (within && c != ']');
    out.back() += c;
  }
  return out;
}

bool is_pattern(std::string_view text) {
  return prefix_of(text) != nullptr || is_glob(text) || is_pair_of_ids(text) ||
         AddressRange::parse(text).has_value();
}

bool may_mean_names(std::string_view text) {
  if (prefix_of(text) != nullptr || text.contains('/') || AddressRange::parse(text)) return false;
  return is_glob(text) || NameRange::parse(text).has_value();
}

bool means_name(std::string_view text, const std::string& name) {
  if (is_glob(text)) return glob_match(std::string(text), name);
  const auto range = NameRange::parse(text);
  return range && range->has(name);
}

bool looks_like_device(std::string_view text) {
  const auto comma = text.find(',');
  if (comma != std::string_view::npos && looks_like_device(text.substr(0, comma))) return true;
  return PciAddress::parse(text).has_value() || text.contains('/') || is_pattern(text);
}

}  // namespace anybind
