// The declared state beside the actual one. Three passes: each device is asked which rule counts
// for it, the first that matches; then groups, as a rule may take members along that no rule names,
// and two rules that want different things of one group contradict each other; then each device
// that is declared is compared with what it is. Nothing is believed from an event or from memory:
// all is read here, and what is done about it is pinned to the instance that was looked at.
#include "policy/judge.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "inventory/group.h"
#include "inventory/virtual_functions.h"
#include "policy/match.h"

namespace anybind {
namespace {

using State = Standing::State;

std::string group_words(unsigned group) {
  return fmt::format("IOMMU group {}", group);
}

class Judge {
 public:
  Judge(const Host& host, const Spec& spec) : host_(host), spec_(spec) {
    out_.began = host.clock->now();
    out_.matches.resize(spec.rules.size());
  }

  Result<Judgement> run() {
    for (const BusName& bus : buses_of(host_, spec_)) {
      const auto ids = read_device_ids(host_.sysfs, bus);
      if (!ids && ids.error().kind == ErrorKind::kNotFound) continue;
      if (!ids) return fail(ids.error());
      for (const DeviceId& id : *ids) TRY(look_at(id));
    }
    look_for_moved_cards();
    keep_off_unsettled_functions();
    TRY(join_groups());
    for (Standing& standing : out_.devices) compare(standing);
    std::ranges::sort(out_.devices, address_less, &Standing::device);
    for (auto& devices : out_.matches) std::ranges::sort(devices, address_less);
    return std::move(out_);
  }

 private:
  const Rule& rule_of(const Standing& standing) const { return spec_.rules[standing.rule]; }

  Result<> look_at(const DeviceId& id) {
    auto seen = TRY(SeenDevice::look(host_.sysfs, id));
    if (!seen) return {};
    const Counting counting = counting_rule(spec_.rules, *seen, facts_);
    for (const std::size_t rule : counting.elsewhere) elsewhere_[rule].push_back(id);
    if (!counting.rule) return {};
    const std::size_t rule = *counting.rule;
    if (counting.answer.meets == Answer::Meets::kYes) {
      out_.matches[rule].push_back(id);
      return declare(*seen, rule, std::nullopt);
    }
    const char* what = counting.answer.meets == Answer::Meets::kOtherCard
                           ? "another card stands where the rule says: "
                           : "whether the rule means it is not known: ";
    settle_first(rule, id, what + counting.answer.why);
    return {};
  }

  /// No rule counts for this device, not a later one either, before somebody has looked.
  void settle_first(std::size_t rule, const DeviceId& id, std::string what) {
    unsettled_.insert(id);
    out_.problems.push_back({.rule = rule,
                             .device = id,
                             .what = std::move(what) + "; it is left alone",
                             .advice = {Action::kShow, {id.str()}}});
  }

  /// A rule whose card stands elsewhere. A serial number is that of all functions of a card, and of
  /// more than that with some makers: it says nothing where the rule has found its device. A MAC
  /// address is one port's: what stands at the place then only has not told its own.
  void look_for_moved_cards() {
    for (const auto& [rule, devices] : elsewhere_) {
      const bool is_port = !spec_.rules[rule].match.mac.empty();
      if (!out_.matches[rule].empty() && !is_port) continue;
      settle_first(rule, devices.front(),
                   "the card of the rule stands here, and not where it says");
      for (const DeviceId& id : devices) unsettled_.insert(id);
      for (Standing& standing : out_.devices) {
        if (std::ranges::find(devices, standing.device) != devices.end())
          refuse(standing,
                 fmt::format("it may be the card of rule \"{}\", which says another place",
                             spec_.rules[rule].name));
        if (standing.rule == rule)
          refuse(standing, fmt::format("the card of the rule may be {}", devices.front().str()));
      }
    }
  }

  /// Of a physical function that may be another card's.
  void keep_off_unsettled_functions() {
    for (Standing& standing : out_.devices) {
      const auto& pf = rule_of(standing).match.pf;
      if (pf && unsettled_.contains(*pf))
        refuse(standing, fmt::format("its physical function {} is not the one that is meant, or "
                                     "may not be",
                                     pf->str()));
    }
  }

  Result<> declare(const SeenDevice& seen, std::size_t rule, std::optional<unsigned> with_group) {
    Standing standing{.device = seen.id(),
                      .instance = seen.instance(),
                      .rule = rule,
                      .with_group = with_group,
                      .now = seen.device()};
    if (spec_.rules[rule].functions && !with_group) {
      const auto dir = TRY(open_device(host_.sysfs, seen.id()));
      if (dir != nullptr) {
        standing.functions = read_functions(*dir, seen.id()).value_or(std::nullopt);
        const auto total = dir->read("sriov_totalvfs").value_or("");
        standing.most_functions =
            static_cast<unsigned>(parse_decimal(trim_newline(total), 0xFFFF).value_or(0));
      }
    }
    out_.devices.push_back(std::move(standing));
    return {};
  }

  void refuse(Standing& standing, std::string why) {
    if (standing.state == State::kNotObeyed) return;
    standing.state = State::kNotObeyed;
    standing.differs = std::move(why);
  }

  /// Indexes of out_.devices by group, of those for which a driver is declared.
  std::map<unsigned, std::vector<std::size_t>> by_group() const {
    std::map<unsigned, std::vector<std::size_t>> out;
    for (std::size_t i = 0; i < out_.devices.size(); ++i) {
      const Standing& standing = out_.devices[i];
      if (standing.now.iommu_group && rule_of(standing).driver)
        out[*standing.now.iommu_group].push_back(i);
    }
    return out;
  }

  Result<> join_groups() {
    for (const auto& [group, named] : by_group()) {
      const auto wants = [&](GroupTreatment how) {
        return std::ranges::any_of(
            named, [&](std::size_t i) { return rule_of(out_.devices[i]).group == how; });
      };
      if (wants(GroupTreatment::kWhole)) check_conflict(group, named);
      if (wants(GroupTreatment::kWhole) || wants(GroupTreatment::kRefuse))
        TRY(look_at_others(group, named));
    }
    return {};
  }

  /// A rule that takes the whole group meets one that wants something else of a member.
  void check_conflict(unsigned group, const std::vector<std::size_t>& named) {
    for (const std::size_t i : named) {
      const Rule& first = rule_of(out_.devices[named.front()]);
      const Rule& rule = rule_of(out_.devices[i]);
      if (rule.driver == first.driver) continue;
      const std::string what =
          fmt::format("rules \"{}\" ({}) and \"{}\" ({}) want {} and {} of {}", first.name,
                      first.place.str(), rule.name, rule.place.str(), declared_words(first),
                      declared_words(rule), group_words(group));
      out_.problems.push_back(
          {.rule = out_.devices[i].rule, .what = what + "; neither is obeyed there"});
      for (const std::size_t each : named)
        refuse(out_.devices[each], "two rules want different things of " + group_words(group));
      return;
    }
  }

  /// Who takes a whole group takes every member: also one that must not be taken.
  void refuse_with_strangers(unsigned group, const std::vector<std::size_t>& named,
                             const std::vector<DeviceId>& others) {
    std::optional<DeviceId> stranger;
    for (const std::size_t i : named)
      if (out_.devices[i].state == State::kNotObeyed) stranger = out_.devices[i].device;
    for (const DeviceId& id : others)
      if (unsettled_.contains(id)) stranger = id;
    if (!stranger) return;
    for (const std::size_t i : named) {
      if (rule_of(out_.devices[i]).group == GroupTreatment::kWhole)
        refuse(out_.devices[i], fmt::format("{} has {}, which is to be left alone",
                                            group_words(group), stranger->str()));
    }
  }

  /// The members that no rule names.
  Result<> look_at_others(unsigned group, const std::vector<std::size_t>& named) {
    const auto view = read_group_view(host_.sysfs, group);
    if (!view) {
      for (const std::size_t i : named)
        refuse(out_.devices[i], group_words(group) + " cannot be read: " + view.error().message());
      return {};
    }
    std::vector<DeviceId> others;
    for (const GroupMember& member : view->members) {
      const bool is_named = std::ranges::any_of(
          named, [&](std::size_t i) { return out_.devices[i].device == member.id; });
      if (!member.is_bridge && !is_named) others.push_back(member.id);
    }
    refuse_with_strangers(group, named, others);
    if (others.empty()) return {};
    std::optional<std::size_t> taker;
    for (const std::size_t i : named) {
      Standing& standing = out_.devices[i];
      const Rule& rule = rule_of(standing);
      if (rule.group == GroupTreatment::kRefuse)
        refuse(standing, fmt::format("{} has {} beside it, and the rule says refuse",
                                     group_words(group), others.front().str()));
      if (rule.group == GroupTreatment::kWhole && standing.state != State::kNotObeyed)
        taker = standing.rule;
    }
    if (!taker) return {};
    for (const DeviceId& id : others) {
      const auto seen = TRY(SeenDevice::look(host_.sysfs, id));
      if (seen) TRY(declare(*seen, *taker, group));
    }
    return {};
  }

  void compare(Standing& standing) {
    if (standing.state == State::kNotObeyed) return;
    const Rule& rule = rule_of(standing);
    if (rule.functions && !standing.with_group && *rule.functions > standing.most_functions)
      return refuse(standing, standing.most_functions == 0
                                  ? std::string("it cannot have virtual functions")
                                  : fmt::format("it can have {} virtual functions at most, not {}",
                                                standing.most_functions, *rule.functions));
    standing.differs = difference(standing, rule);
    if (standing.differs.empty()) return;
    standing.state = standing.now.busy ? State::kUnknown : State::kDrift;
  }

  static std::string difference(const Standing& standing, const Rule& rule) {
    const Device& now = standing.now;
    if (now.busy) return "it is busy: the kernel holds its lock";
    if (rule.functions && !standing.with_group) {
      const unsigned has = standing.functions.value_or(0);
      if (has != *rule.functions)
        return fmt::format("it has {} virtual functions, and shall have {}", has, *rule.functions);
    }
    if (!rule.driver) return "";
    if (rule.wants_default())
      return now.driver_override
                 ? fmt::format("its driver_override is {}", printable(*now.driver_override))
                 : "";
    const std::string has = now.driver ? printable(now.driver->str()) : "no driver";
    const bool is_there = rule.wants_none() ? !now.driver : now.driver == rule.driver;
    if (!is_there && rule.wants_none())
      return fmt::format("it has {}, and shall have no driver", has);
    if (!is_there)
      return fmt::format("it has {}, and shall have {}", has, printable(rule.driver->str()));
    if (rule.wants_none() && now.has_override && now.driver_override != rule.driver->str())
      return "it has no driver, but nothing keeps it so";
    if (!rule.wants_none() && now.driver_override && now.driver_override != rule.driver->str())
      return fmt::format("its driver_override is {}: the next probe would go elsewhere",
                         printable(*now.driver_override));
    return "";
  }

  const Host& host_;
  const Spec& spec_;
  MachineFacts facts_{host_.sysfs};
  std::set<DeviceId> unsettled_;
  std::map<std::size_t, std::vector<DeviceId>> elsewhere_;  // by rule
  Judgement out_;
};

}  // namespace

std::set<BusName> buses_of(const Host& host, const Spec& spec) {
  std::set<BusName> out = {BusName::literal("pci")};
  std::set<std::string> patterns;
  for (const Rule& rule : spec.rules) {
    for (const DevicePattern& pattern : rule.match.device) patterns.insert(pattern.buses());
  }
  patterns.erase("pci");
  if (patterns.empty()) return out;
  for (const std::string& name : host.sysfs.list("bus").value_or(std::vector<std::string>{})) {
    auto bus = BusName::parse(name);
    const bool is_meant = std::ranges::any_of(
        patterns, [&](const std::string& pattern) { return glob_match(pattern, name); });
    if (bus && is_meant) out.insert(*std::move(bus));
  }
  return out;
}

bool Judgement::holds() const {
  return problems.empty() && std::ranges::all_of(devices, [](const Standing& standing) {
           return standing.state == State::kMet;
         });
}

Result<Judgement> judge(const Host& host, const Spec& spec) {
  return Judge(host, spec).run();
}

std::string declared_words(const Rule& rule) {
  std::string out;
  if (rule.functions)
    out = fmt::format("{} virtual function{}", *rule.functions, *rule.functions == 1 ? "" : "s");
  if (!rule.driver) return out;
  if (!out.empty()) out += ", ";
  if (rule.wants_none()) return out + "no driver";
  return out + (rule.wants_default() ? "the default" : printable(rule.driver->str()));
}

std::string actual_words(const Standing& standing, const Rule& rule) {
  std::string out;
  if (rule.functions && !standing.with_group)
    out = fmt::format("{} of them, ", standing.functions.value_or(0));
  if (!rule.driver) return out.substr(0, out.size() - 2);
  out += standing.now.driver ? printable(standing.now.driver->str()) : "no driver";
  return out;
}

}  // namespace anybind
