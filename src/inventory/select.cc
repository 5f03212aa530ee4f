#include "inventory/select.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
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
    return fail(not_understood(typed,
                               "not of the form id:VENDOR:DEVICE[:SUBVENDOR:SUBDEVICE], in hex",
                               "for instance id:8086:10d3"));
  }
  return TRY(where(root, [&](const PciIds& pci) { return pattern->matches(pci); }));
}

/// group:7
Result<Found> by_group(Sysfs& root, std::string_view text, std::string_view typed) {
  const auto number = parse_decimal(text, UINT32_MAX);
  if (!number) return fail(not_understood(typed, "not a group number", "for instance group:7"));
  return TRY(read_group(root, static_cast<unsigned>(*number)));
}

/// driver:e1000e, on whichever buses have a driver of this name.
Result<Found> by_driver(Sysfs& root, std::string_view text, std::string_view typed) {
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
  return out;
}

using ByPrefix = Result<Found> (*)(Sysfs&, std::string_view, std::string_view);

struct Prefix {
  std::string_view prefix;
  ByPrefix select;
};

constexpr auto kPrefixes = std::to_array<Prefix>(
    {{"id:", by_ids}, {"class:", by_class}, {"group:", by_group}, {"driver:", by_driver}});

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

/// eth0, nvme0n1, or a word that is none of it.
Result<Devices> by_word(Sysfs& root, std::string_view text) {
  Devices found = devices_behind(root, text);
  if (!found.empty()) return found;
  return fail(no_such_word(root, text));
}

Result<Found> by_any_form(Sysfs& root, std::string_view text, std::string_view sysfs_root) {
  if (text.empty() || text.size() > Sysfs::kPageSize) {
    return fail(not_understood(text, "not a device", Remark(Action::kHelp) + " tells the forms"));
  }
  if (const Prefix* row = prefix_of(text))
    return row->select(root, text.substr(row->prefix.size()), text);
  if (const auto address = PciAddress::parse(text))
    return TRY(by_pci_address(root, *address, text));
  if (is_pair_of_ids(text)) return by_ids(root, text, text);
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

/// What `select` finds for each text, in that order, each device once.
template <class Select>
Result<Devices> unite(const std::vector<std::string>& texts, const Select& select) {
  Devices out;
  std::set<DeviceId> seen;
  for (const std::string& text : texts) {
    for (DeviceId& id : TRY(select(text))) {
      if (seen.insert(id).second) out.push_back(std::move(id));
    }
  }
  return out;
}

}  // namespace

Result<Devices> select_devices(Sysfs& root, std::string_view text, std::string_view sysfs_root) {
  Found out = TRY(find(root, text, sysfs_root));
  if (out.devices.empty()) return fail(*std::move(out.none));
  return std::move(out.devices);
}

Result<Devices> select_what_there_is(Sysfs& root, const std::vector<std::string>& texts,
                                     std::string_view sysfs_root, std::vector<Error>& none) {
  return unite(texts, [&](const std::string& text) -> Result<Devices> {
    Found out = TRY(find(root, text, sysfs_root));
    if (out.devices.empty()) none.push_back(*std::move(out.none));
    return std::move(out.devices);
  });
}

Result<Devices> select_devices(Sysfs& root, const std::vector<std::string>& texts,
                               std::string_view sysfs_root) {
  if (texts.size() == 1) return select_devices(root, texts.front(), sysfs_root);
  return unite(texts,
               [&](const std::string& text) { return select_devices(root, text, sysfs_root); });
}

Result<Devices> select_devices_unchecked(Sysfs& root, const std::vector<std::string>& texts,
                                         std::string_view sysfs_root) {
  return unite(texts, [&](const std::string& text) -> Result<Devices> {
    const auto address = PciAddress::parse(text);
    if (!address || !address->function) return select_devices(root, text, sysfs_root);
    return Devices{{.bus = pci_bus(), .name = DeviceName::literal(address->str())}};
  });
}

bool looks_like_device(std::string_view text) {
  return PciAddress::parse(text).has_value() || prefix_of(text) != nullptr || text.contains('/') ||
         is_pair_of_ids(text) || is_glob(text);
}

}  // namespace anybind
