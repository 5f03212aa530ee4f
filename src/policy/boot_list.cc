#include "policy/boot_list.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "engine/held_for_a_change.h"
#include "inventory/boot_parameters.h"
#include "inventory/device.h"
#include "policy/match.h"
#include "policy/rule_text.h"
#include "policy/spec.h"
#include "record/records.h"

namespace anybind {
namespace {

constexpr const char* kBootListHead =
    "# What early boot may do. Written whenever the rules are made so, from what was so then: a\n"
    "# device is kept for a driver at boot when it stands here and a rule still says so.\n";

std::string list_path() {
  return fmt::format("{}/{}", kRuleFolders[0], kBootList);
}

bool goes_into_list(const Standing& standing, const Rule& rule) {
  if (standing.state != Standing::State::kMet) return false;
  const bool keeps_driver = rule.driver && !rule.wants_default();
  return keeps_driver || (rule.functions && !standing.with_group);
}

/// Nothing has its address now, or what has it is on its way: busy, or without a driver. What a
/// driver of the host has may be in use by the next boot.
Result<bool> may_come_back(const Host& host, const Rule& card) {
  const auto& places = card.match.device;
  if (places.size() != 1 || places.front().kind != DevicePattern::Kind::kOne) return false;
  const auto bus = BusName::parse(places.front().bus);
  const auto name = DeviceName::parse(places.front().name);
  if (!bus || !name) return false;
  const auto dir = TRY(open_device(host.sysfs, {.bus = *bus, .name = *name}));
  if (dir == nullptr) return true;
  const auto driver = read_driver(*dir);
  return driver && (!*driver || *driver == card.driver);
}

bool is_still_declared(const Spec& spec, const Rule& card) {
  return std::ranges::any_of(spec.rules, [&](const Rule& rule) {
    return rule.driver == card.driver && covers(rule.match, card.match);
  });
}

/// What the old list says of cards that are not as declared at the moment, and will be.
Result<std::string> other_cards(const Host& host, const Spec& spec, const std::string& listed) {
  const auto before = host.rules->read(kBootList);
  const auto list =
      parse_spec({{.name = kBootList, .text = before ? before->value_or("") : std::string()}});
  std::string out;
  if (!list) return out;  // broken: it is written anew
  for (const Rule& card : list->rules) {
    const std::string place = card.match.device.empty() ? "" : card.match.device.front().text;
    const std::string here = fmt::format("device = {}", toml_string(place));
    if (listed.contains(here) || out.contains(here) || !is_still_declared(spec, card)) continue;
    if (TRY(may_come_back(host, card))) out += "\n# not so at the moment\n" + text_of(card);
  }
  return out;
}

}  // namespace

Result<std::string> boot_list_of(const Host& host, const Spec& spec, const Judgement& judgement) {
  std::string out;
  for (const Standing& standing : judgement.devices) {
    const Rule& rule = spec.rules[standing.rule];
    if (!goes_into_list(standing, rule)) continue;
    Rule card{.name = standing.device.str(), .match = TRY(match_of_card(host, standing.device))};
    if (!rule.wants_default()) card.driver = rule.driver;
    if (!standing.with_group) card.functions = rule.functions;
    out += fmt::format("\n# rule {} ({})\n{}", toml_string(rule.name), printable(rule.place.str()),
                       text_of(card));
  }
  return out;
}

namespace {

/// With the lock: two that read the old list and write a new one would lose what one of them wrote.
Result<bool> write_boot_list(const Host& host, const Spec& spec, const Judgement& judgement) {
  std::string text = TRY(boot_list_of(host, spec, judgement));
  text += TRY(other_cards(host, spec, text));
  if (!text.empty()) text = kBootListHead + text;
  const auto failed = [&](Errno err) {
    return fail(from_errno(err, "write", fmt::format("{}/{}", host.rules_dir, kBootList)));
  };
  const auto before = host.rules->read(kBootList);
  if (!before) return failed(before.error());
  if (before->value_or("") == text) return false;
  const auto done =
      text.empty() ? host.rules->remove(kBootList) : host.rules->replace(kBootList, text);
  if (!done) return failed(done.error());
  return true;
}

}  // namespace

Result<bool> keep_boot_list(const Host& host, const Spec& spec, const Judgement& judgement,
                            Listener& listener) {
  if (host.rules == nullptr) return false;
  if (host.storage == nullptr) return write_boot_list(host, spec, judgement);
  const HeldForAChange lock(*host.storage);
  TRY(Memory::lock(host, [&](const std::string& owner) {
    listener.on_waiting(owner);
    return !listener.stop_requested();
  }));
  return write_boot_list(host, spec, judgement);
}

Result<Spec> read_boot_list(const Proc& files) {
  auto text = TRY(read_trusted(files, list_path()));
  if (!text) return Spec{};
  return parse_spec({{.name = "/" + list_path(), .text = *std::move(text)}});
}

bool is_switched_off(const Host& host) {
  return BootParameters(host).value("anybind.off").has_value();
}

}  // namespace anybind
