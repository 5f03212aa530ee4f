// Which devices a rule is about. Two kinds of conditions meet here. Some say where a device is
// plugged in (address, path, slot, number of a virtual function), some say what it is (ids, serial
// number, MAC). People give both to be sure of the card, for addresses move when another card
// comes. Then one without the other is no match, and no miss either: it is a contradiction that
// somebody has to look at, as obeying either half could give away the wrong card.
//
// A class only selects: "the network cards below this bridge" contradicts nothing.
#include "policy/match.h"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "inventory/net_interface.h"

namespace anybind {
namespace {

constexpr std::string_view kSys = "/sys/";  // before a path of sysfs in a rule, never opened

bool is_pci(const DeviceId& id) {
  return id.bus.str() == "pci";
}

bool is_path(const std::string& pattern) {
  return pattern.starts_with('/');
}

/// "/sys/devices/pci0000:00/0000:00:1c.0/*": everything below; without "/*" the device itself.
bool path_names(const std::string& pattern, const std::string& syspath) {
  if (pattern.ends_with("/*"))
    return syspath.starts_with(std::string_view(pattern).substr(0, pattern.size() - 1));
  return pattern == syspath;
}

bool place_by_names(const RuleMatch& match, SeenDevice& seen) {
  if (match.device.empty()) return true;
  return std::ranges::any_of(match.device, [&](const std::string& pattern) {
    return is_path(pattern) ? path_names(pattern, seen.syspath())
                            : names_device(pattern, seen.id());
  });
}

bool place_by_slot(const RuleMatch& match, const SeenDevice& seen, const MachineFacts& facts) {
  if (match.slot.empty()) return true;
  const auto address = PciAddress::parse(seen.id().name.str());
  if (!is_pci(seen.id()) || !address) return false;
  PciAddress whole = *address;
  whole.function.reset();
  const auto found = facts.slots.find(whole.str());
  return found != facts.slots.end() && found->second == match.slot;
}

bool place_by_function(const RuleMatch& match, SeenDevice& seen) {
  if (!match.pf) return true;
  const auto& of = seen.function_of();
  if (!of || of->pf != *match.pf) return false;
  return match.functions.empty() || std::ranges::any_of(match.functions, [&](const Range& range) {
           return range.first <= of->index && of->index <= range.last;
         });
}

bool is_at_place(const RuleMatch& match, SeenDevice& seen, const MachineFacts& facts) {
  return place_by_names(match, seen) && place_by_slot(match, seen, facts) &&
         place_by_function(match, seen);
}

/// "platform/serial8250", or an address on the pci bus with its function; nullopt for what may be
/// several devices.
std::optional<DeviceId> single_device(const std::string& text) {
  if (is_path(text) || is_glob(text)) return std::nullopt;
  const auto slash = text.find('/');
  const auto bus = BusName::parse(slash == std::string::npos ? "pci" : text.substr(0, slash));
  const auto name = DeviceName::parse(slash == std::string::npos ? text : text.substr(slash + 1));
  const auto address = PciAddress::parse(text);
  if (!bus || !name || (slash == std::string::npos && !(address && address->function)))
    return std::nullopt;
  return DeviceId{.bus = *bus, .name = *name};
}

/// The place can only be one device's: what stands there otherwise is in the wrong place.
bool is_exact_place(const RuleMatch& match) {
  if (match.device.size() != 1) return false;
  const std::string& text = match.device.front();
  return is_path(text) ? !is_glob(text) : single_device(text).has_value();
}

bool has_place(const RuleMatch& match) {
  return !match.device.empty() || !match.slot.empty() || match.pf;
}

bool has_identity(const RuleMatch& match) {
  return match.id || !match.serial.empty() || !match.mac.empty();
}

std::string ids_text(const Device& device) {
  if (!device.pci) return "no PCI device";
  return fmt::format("{:04x}:{:04x}", device.pci->vendor, device.pci->device);
}

/// What speaks against this being the card that is meant; nullopt: nothing does.
std::optional<std::string> other_card(const RuleMatch& match, SeenDevice& seen) {
  if (match.id && !(seen.device().pci && match.id->matches(*seen.device().pci)))
    return fmt::format("it is {}", ids_text(seen.device()));
  if (!match.serial.empty()) {
    const auto& serial = seen.serial();
    if (!serial && serial.error().value == EACCES)
      return "its serial number can be read by root only";
    if (!serial) return "its serial number cannot be read: " + serial.error().name();
    if (!*serial) return "it tells no serial number";
    if (**serial != match.serial) return "its serial number is " + **serial;
  }
  if (!match.mac.empty()) {
    const auto& macs = seen.macs();
    // Only a network driver tells the MAC: of a device at its place that has been given away, its
    // place and its ids have to do.
    const bool is_told = !macs.empty() || !is_exact_place(match);
    if (is_told && std::ranges::find(macs, match.mac) == macs.end())
      return "its MAC address is " + (macs.empty() ? "not known" : join_words(macs));
  }
  return std::nullopt;
}

/// One card in the world, and this is it.
bool is_the_one_card(const RuleMatch& match, SeenDevice& seen) {
  if (match.serial.empty() && match.mac.empty()) return false;
  if (match.id && !(seen.device().pci && match.id->matches(*seen.device().pci))) return false;
  if (!match.serial.empty() && seen.serial().value_or(std::nullopt) != match.serial) return false;
  return match.mac.empty() || std::ranges::find(seen.macs(), match.mac) != seen.macs().end();
}

bool covers_functions(const std::vector<Range>& wider, const std::vector<Range>& narrower) {
  if (wider.empty()) return true;
  if (narrower.empty()) return false;
  return std::ranges::all_of(narrower, [&](const Range& inner) {
    return std::ranges::any_of(wider, [&](const Range& outer) {
      return outer.first <= inner.first && inner.last <= outer.last;
    });
  });
}

bool covers_devices(const std::vector<std::string>& wider,
                    const std::vector<std::string>& narrower) {
  if (wider.empty()) return true;
  return !narrower.empty() && std::ranges::all_of(narrower, [&](const std::string& inner) {
    const auto one = single_device(inner);
    return std::ranges::any_of(wider, [&](const std::string& outer) {
      return outer == inner || (one && !is_path(outer) && names_device(outer, *one));
    });
  });
}

}  // namespace

MachineFacts read_machine_facts(Sysfs& root) {
  return {.slots = read_slots(root)};
}

Result<std::optional<SeenDevice>> SeenDevice::look(Sysfs& root, const DeviceId& id) {
  const auto dir = TRY(open_device(root, id));
  if (dir == nullptr) return std::optional<SeenDevice>();
  const auto instance = dir->instance();
  if (!instance) return fail(from_errno(instance.error(), "look at", id.str()));
  auto device = read_device(*dir, id);
  if (!device && device.error().kind == ErrorKind::kNotFound) return std::optional<SeenDevice>();
  if (!device) return fail(std::move(device).error());
  return std::optional(SeenDevice(root, *std::move(device), *instance));
}

std::unique_ptr<Sysfs> SeenDevice::open() const {
  auto dir = root_->open_dir(device_.id.path());
  if (!dir || (*dir)->instance() != instance_) return nullptr;
  return *std::move(dir);
}

const std::string& SeenDevice::syspath() {
  if (!syspath_) syspath_ = std::string(kSys) + read_syspath(*root_, device_.id);
  return *syspath_;
}

const std::optional<FunctionOf>& SeenDevice::function_of() {
  if (!function_of_) function_of_ = read_function_of(*root_, device_.id);
  return *function_of_;
}

const Reply<std::optional<std::string>>& SeenDevice::serial() {
  if (!serial_) {
    const auto dir = open();
    serial_ = dir == nullptr ? std::unexpected(Errno{ENOENT}) : read_serial_number(*dir);
  }
  return *serial_;
}

const std::vector<std::string>& SeenDevice::macs() {
  if (!macs_) {
    const auto dir = open();
    macs_ = dir == nullptr ? std::vector<std::string>() : read_mac_addresses(*dir);
  }
  return *macs_;
}

Answer ask(const RuleMatch& match, SeenDevice& seen, const MachineFacts& facts) {
  using Meets = Answer::Meets;
  const auto& pci = seen.device().pci;
  if (match.device_class && !(pci && match.device_class->matches(pci->class_code)))
    return {Meets::kNo};
  if (is_at_place(match, seen, facts)) {
    const auto other = other_card(match, seen);
    if (!other) return {Meets::kYes};
    if (!is_exact_place(match)) return {Meets::kNo};
    return {Meets::kContradicts, "another card stands where the rule says: " + *other};
  }
  if (!has_place(match) || !has_identity(match) || !is_the_one_card(match, seen))
    return {Meets::kNo};
  return {Meets::kContradicts, "the card of the rule stands here, and not where the rule says"};
}

bool names_device(const std::string& pattern, const DeviceId& device) {
  const auto slash = pattern.find('/');
  const std::string& name = device.name.str();
  if (slash != std::string::npos) {
    return glob_match(pattern.substr(0, slash), device.bus.str()) &&
           glob_match(pattern.substr(slash + 1), name);
  }
  if (!is_pci(device)) return false;
  if (const auto address = PciAddress::parse(pattern)) {
    const std::string full = address->str();
    return name == full || (!address->function && name.starts_with(full + "."));
  }
  return glob_match(pattern, name) ||
         (name.starts_with("0000:") && glob_match(pattern, name.substr(5)));
}

bool covers(const RuleMatch& wider, const RuleMatch& narrower) {
  if (!covers_devices(wider.device, narrower.device)) return false;
  if (wider.id && !(narrower.id && wider.id->covers(*narrower.id))) return false;
  if (wider.device_class && wider.device_class != narrower.device_class) return false;
  if (!wider.slot.empty() && wider.slot != narrower.slot) return false;
  if (!wider.serial.empty() && wider.serial != narrower.serial) return false;
  if (!wider.mac.empty() && wider.mac != narrower.mac) return false;
  if (wider.pf && wider.pf != narrower.pf) return false;
  return covers_functions(wider.functions, narrower.functions);
}

}  // namespace anybind
