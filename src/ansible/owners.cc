#include "ansible/owners.h"

#include <cstddef>
#include <vector>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "inventory/inventory.h"
#include "policy/judge.h"
#include "policy/match.h"

namespace anybind::ansible {
namespace {

/// Not a class, an id or a glob, of which many cards may be.
bool means_one_card(const RuleMatch& match) {
  return match.is_exact_place() || !match.serial.empty() || !match.mac.empty();
}

std::string words_of(const Rule& rule) {
  return fmt::format("\"{}\" ({})", printable(rule.name), printable(rule.place.str()));
}

Result<> two_owners(const std::string& what, const Rule& first, const Rule& second) {
  return fail({.kind = ErrorKind::kUsage,
               .object = what,
               .why = fmt::format("two rules want it: {} for {}, and {} for {}", words_of(first),
                                  printable(declared_words(first)), words_of(second),
                                  printable(declared_words(second))),
               .advice = "take one of them out"});
}

/// The same place or card by what the rules say, also where no such card is.
Result<> compare_rules(const std::vector<const Rule*>& rules, const std::string& file) {
  for (std::size_t i = 0; i < rules.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (rules[i]->place.file != file && rules[j]->place.file != file) continue;
      const RuleMatch& match = rules[i]->match;
      if (!covers(rules[j]->match, match) && !covers(match, rules[j]->match)) continue;
      const std::string what = !match.device.empty()   ? match.device.front().text
                               : !match.slot.empty()   ? match.slot
                               : !match.serial.empty() ? match.serial
                                                       : match.mac;
      return two_owners(what, *rules[j], *rules[i]);
    }
  }
  return {};
}

}  // namespace

Result<> refuse_two_owners(const Host& host, const Spec& spec, const std::string& file) {
  std::vector<const Rule*> rules;
  for (const Rule& rule : spec.rules) {
    if (means_one_card(rule.match)) rules.push_back(&rule);
  }
  TRY(compare_rules(rules, file));
  MachineFacts facts(host.sysfs);
  for (const BusName& bus : buses_of(host, spec)) {
    const auto ids = read_device_ids(host.sysfs, bus);
    if (!ids) continue;  // who asks next says why
    for (const DeviceId& id : *ids) {
      auto seen = TRY(SeenDevice::look(host.sysfs, id));
      if (!seen) continue;
      const Rule* first = nullptr;
      for (const Rule* rule : rules) {
        if (ask(rule->match, *seen, facts).meets != anybind::Answer::Meets::kYes) continue;
        if (first != nullptr && (first->place.file == file || rule->place.file == file))
          return two_owners(id.str(), *first, *rule);
        if (first == nullptr) first = rule;
      }
    }
  }
  return {};
}

}  // namespace anybind::ansible
