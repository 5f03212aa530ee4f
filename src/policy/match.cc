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

using Meets = Answer::Meets;

bool place_by_names(const RuleMatch& match, SeenDevice& seen) {
  if (match.device.empty()) return true;
  return std::ranges::any_of(match.device, [&](const DevicePattern& pattern) {
    return pattern.is_path() ? pattern.names(seen.id(), seen.syspath()) : pattern.names(seen.id());
  });
}

bool place_by_function(const RuleMatch& match, const SeenDevice& seen, MachineFacts& facts) {
  if (!match.pf) return true;
  const auto number = facts.number_of(*match.pf, seen.id());
  if (!number) return false;
  return match.functions.empty() || std::ranges::any_of(match.functions, [&](const Range& range) {
           return range.first <= *number && *number <= range.last;
         });
}

bool is_at_place(const RuleMatch& match, SeenDevice& seen, MachineFacts& facts) {
  return place_by_names(match, seen) &&
         (match.slot.empty() || match.slot == facts.slot_of(seen.id())) &&
         place_by_function(match, seen, facts);
}

bool has_place(const RuleMatch& match) {
  return !match.device.empty() || !match.slot.empty() || match.pf;
}

bool has_ids(const RuleMatch& match, const SeenDevice& seen) {
  return !match.id || (seen.device().pci && match.id->matches(*seen.device().pci));
}

std::string ids_text(const Device& device) {
  if (!device.pci) return "no PCI device";
  return fmt::format("{:04x}:{:04x}", device.pci->vendor, device.pci->device);
}

/// Is what stands at the place the card that is meant?
Answer judge_card(const RuleMatch& match, SeenDevice& seen) {
  if (!has_ids(match, seen)) return {Meets::kOtherCard, "it is " + ids_text(seen.device())};
  if (!match.serial.empty()) {
    const auto& serial = seen.serial();
    if (!serial && serial.error().value == EACCES)
      return {Meets::kUnknown, "only root can read its serial number"};
    if (!serial)
      return {Meets::kUnknown, "its serial number cannot be read: " + serial.error().name()};
    if (!*serial) return {Meets::kOtherCard, "it tells no serial number"};
    if (**serial != match.serial) return {Meets::kOtherCard, "its serial number is " + **serial};
  }
  if (match.mac.empty()) return {Meets::kYes};
  const auto& macs = seen.macs();
  if (std::ranges::find(macs, match.mac) != macs.end()) return {Meets::kYes};
  // Only a network driver tells the MAC: of a device at its place that has been given away, its
  // place and its ids have to do.
  if (macs.empty() && match.is_exact_place()) {
    if (match.id || !match.serial.empty()) return {Meets::kYes};
    return {Meets::kUnknown, "no network driver tells its MAC address"};
  }
  return {Meets::kOtherCard,
          "its MAC address is " + (macs.empty() ? "not known" : join_words(macs))};
}

/// A number that is said to be of one card alone is that of this one. All functions of a card have
/// the same, and makers have given one to many cards: so this proves nothing by itself.
bool may_be_the_card(const RuleMatch& match, SeenDevice& seen) {
  if (match.serial.empty() && match.mac.empty()) return false;
  if (!has_ids(match, seen)) return false;
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

bool covers_devices(const std::vector<DevicePattern>& wider,
                    const std::vector<DevicePattern>& narrower) {
  if (wider.empty()) return true;
  return !narrower.empty() && std::ranges::all_of(narrower, [&](const DevicePattern& inner) {
    return std::ranges::any_of(wider,
                               [&](const DevicePattern& outer) { return outer.covers(inner); });
  });
}

struct RoutingId {
  std::uint32_t domain;
  std::uint64_t number;
};

std::optional<RoutingId> routing_id(const DeviceId& device) {
  const auto address = PciAddress::parse(device.name.str());
  if (device.bus.str() != "pci" || !address || !address->function) return std::nullopt;
  const std::uint64_t slot = std::uint64_t{address->bus} << 5U | address->slot;
  return RoutingId{.domain = address->domain, .number = slot << 3U | *address->function};
}

}  // namespace

bool RuleMatch::is_exact_place() const {
  return !device.empty() && std::ranges::all_of(device, &DevicePattern::is_exact);
}

std::string MachineFacts::slot_of(const DeviceId& device) {
  if (!slots_) slots_ = read_slots(*root_);
  auto address = PciAddress::parse(device.name.str());
  if (device.bus.str() != "pci" || !address) return "";
  address->function.reset();
  const auto found = slots_->find(address->str());
  return found == slots_->end() ? "" : found->second;
}

std::optional<unsigned> MachineFacts::number_of(const DeviceId& pf, const DeviceId& device) {
  if (device.bus != pf.bus) return std::nullopt;
  auto known = functions_.find(pf);
  if (known == functions_.end())
    known = functions_.emplace(pf, read_virtual_numbers(*root_, pf)).first;
  const auto found = known->second.find(device.name.str());
  return found == known->second.end() ? std::nullopt : std::optional(found->second);
}

/// By arithmetic of routing ids: that of function n is n strides behind the first one's.
bool MachineFacts::may_become_function(const DeviceId& pf, const DeviceId& device) {
  const auto first = routing_id(pf);
  const auto own = routing_id(device);
  if (!first || !own || first->domain != own->domain || number_of(pf, device)) return false;
  const auto number = [&](const char* attribute) {
    const auto text = root_->read(pf.path() + "/" + attribute);
    return text ? parse_decimal(trim_newline(*text), 0xFFFF).value_or(0) : 0;
  };
  const std::uint64_t total = number("sriov_totalvfs");
  if (total == 0 || own->number < first->number + number("sriov_offset")) return false;
  const std::uint64_t behind = own->number - first->number - number("sriov_offset");
  const std::uint64_t stride = std::max<std::uint64_t>(number("sriov_stride"), 1);
  return behind % stride == 0 && behind / stride < total;
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

Answer ask(const RuleMatch& match, SeenDevice& seen, MachineFacts& facts) {
  const auto& pci = seen.device().pci;
  if (match.device_class && !(pci && match.device_class->matches(pci->class_code)))
    return {Meets::kNo};
  // What is behind a bridge is meant, not the bridge, but by who names it.
  if (pci && pci->is_bridge() && !match.is_exact_place() && !match.device_class)
    return {Meets::kNo};
  if (!is_at_place(match, seen, facts)) {
    const bool has_moved = has_place(match) && may_be_the_card(match, seen);
    return {has_moved ? Meets::kElsewhere : Meets::kNo};
  }
  Answer out = judge_card(match, seen);
  if (out.meets == Meets::kOtherCard && !match.is_exact_place()) return {Meets::kNo};
  return out;
}

Counting counting_rule(const std::vector<Rule>& rules, SeenDevice& seen, MachineFacts& facts) {
  Counting out;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    out.answer = ask(rules[i].match, seen, facts);
    if (out.answer.meets == Answer::Meets::kNo) continue;
    if (out.answer.meets == Answer::Meets::kElsewhere) {
      out.elsewhere.push_back(i);
      continue;
    }
    out.rule = i;
    break;
  }
  return out;
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
