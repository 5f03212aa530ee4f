// From what differs to changes. The engine makes each of them, so that whatever it promises to the
// command (all or nothing, users asked twice, a journal) holds here too. Between the look and the
// change somebody may have exchanged a card: each request names the instances that were judged, and
// the engine refuses any other.
#include "policy/apply.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <tuple>

#include "base/text.h"
#include "engine/engine.h"
#include "inventory/virtual_functions.h"

namespace anybind {
namespace {

using State = Standing::State;

constexpr int kMostRounds = 16;  // each needs the one before: functions, their drivers, groups

bool has_driver(const Standing& standing, const Rule& rule) {
  if (!rule.driver) return true;
  if (rule.wants_default()) return !standing.now.driver_override;
  return rule.wants_none() ? !standing.now.driver : standing.now.driver == rule.driver;
}

/// Its driver makes them: it comes first.
bool needs_functions(const Standing& standing, const Rule& rule) {
  return rule.functions && !standing.with_group && standing.functions &&
         *standing.functions != *rule.functions && has_driver(standing, rule);
}

bool needs_driver(const Standing& standing, const Rule& rule) {
  if (!rule.driver) return false;
  const Device& now = standing.now;
  if (rule.wants_default()) return now.driver_override.has_value();
  if (!has_driver(standing, rule)) return true;
  if (rule.wants_none()) return now.has_override && now.driver_override != "none";
  return now.driver_override && now.driver_override != rule.driver->str();
}

Request functions_request(const Standing& standing, const Rule& rule) {
  Request out{.verb = Request::Verb::kMakeFunctions,
              .devices = {standing.device},
              .count = rule.functions.value_or(0),
              .ignored = rule.ignored};
  out.instances.emplace(standing.device, standing.instance);
  return out;
}

Request driver_request(const Rule& rule) {
  Request out{.ignored = rule.ignored};
  out.verb = rule.wants_none() ? Request::Verb::kUnbind : Request::Verb::kBind;
  out.whole_group = rule.group == GroupTreatment::kWhole;
  if (rule.wants_none()) return out;
  out.driver = rule.driver;
  out.owner = rule.owner;
  return out;
}

std::optional<unsigned> group_of(const Judgement& judgement, const DeviceId& device) {
  const auto standing = std::ranges::find(judgement.devices, device, &Standing::device);
  return standing == judgement.devices.end() ? std::nullopt : standing->now.iommu_group;
}

/// Rules that ask for the same of members of one IOMMU group are one change: by itself each would
/// be refused, because of the others.
void join_by_group(const Spec& spec, const Judgement& judgement,
                   std::map<std::size_t, Request>& requests) {
  std::map<unsigned, std::size_t> first;  // rule of each group
  std::map<std::size_t, std::size_t> joined;
  const auto root = [&](std::size_t rule) {
    while (joined.contains(rule)) rule = joined[rule];
    return rule;
  };
  for (const Standing& standing : judgement.devices) {
    const auto& group = standing.now.iommu_group;
    const auto own = requests.find(standing.rule);
    if (!group || own == requests.end() ||
        std::ranges::find(own->second.devices, standing.device) == own->second.devices.end())
      continue;
    const std::size_t mine = root(standing.rule);
    const std::size_t other = root(first.emplace(*group, standing.rule).first->second);
    if (mine != other && driver_request(spec.rules[mine]) == driver_request(spec.rules[other]))
      joined[std::max(mine, other)] = std::min(mine, other);
  }
  for (const auto& [rule, into] : joined) {
    Request& from = requests.at(rule);
    Request& to = requests.at(root(into));
    to.devices.insert(to.devices.end(), from.devices.begin(), from.devices.end());
    to.instances.insert(from.instances.begin(), from.instances.end());
    requests.erase(rule);
  }
}

class Applier {
 public:
  Applier(const Host& host, const Spec& spec, Listener& listener, const OnRule& on_rule,
          const MayChange& may_change)
      : host_(host), spec_(spec), listener_(listener), on_rule_(on_rule), may_change_(may_change) {}

  Application run() {
    for (int round = 0; round < kMostRounds; ++round) {
      auto judgement = judge(host_, spec_);
      if (!judgement) {
        out_.error = std::move(judgement).error();
        break;
      }
      if (may_change_)
        std::erase_if(judgement->devices, [&](const Standing& standing) {
          return standing.state == State::kDrift && !may_change_(standing);
        });
      std::vector<RuleRequest> next = next_requests(spec_, *judgement);
      for (RuleRequest& one : next) drop_what_was_asked(one.request);
      std::erase_if(next, [](const RuleRequest& one) { return one.request.devices.empty(); });
      if (next.empty() || !carry_out_all(next, *judgement)) break;
    }
    return std::move(out_);
  }

 private:
  using Asked = std::tuple<Request::Verb, unsigned, DeviceId, Instance>;

  /// What is made is looked at before anything is bound. False: nothing more is to be done.
  bool carry_out_all(const std::vector<RuleRequest>& next, const Judgement& judgement) {
    const bool makes = next.front().request.verb == Request::Verb::kMakeFunctions;
    const std::size_t before = out_.changes.size();
    for (const RuleRequest& one : next) {
      if (makes != (one.request.verb == Request::Verb::kMakeFunctions)) continue;
      for (const DeviceId& device : one.request.devices) asked_.insert(asked(one.request, device));
      if (!carry_out(one, judgement)) return false;
    }
    ask_again_after_progress(before, judgement);
    return true;
  }

  /// What was refused because of another member of its group may be possible when that has changed:
  /// as if it had not been asked for yet.
  void ask_again_after_progress(std::size_t since, const Judgement& judgement) {
    std::set<unsigned> moved;
    for (std::size_t i = since; i < out_.changes.size(); ++i) {
      for (const Outcome& outcome : out_.changes[i].outcomes) {
        const auto group = group_of(judgement, outcome.device);
        if (outcome.changed && group) moved.insert(*group);
      }
    }
    const auto may_go_now = [&](const Applied& one) {
      return one.error && one.error->kind == ErrorKind::kRefused &&
             one.request.verb != Request::Verb::kMakeFunctions &&
             std::ranges::any_of(one.request.devices, [&](const DeviceId& device) {
               const auto group = group_of(judgement, device);
               return group && moved.contains(*group);
             });
    };
    for (std::size_t i = since; i < out_.changes.size(); ++i) {
      if (!may_go_now(out_.changes[i])) continue;
      for (const DeviceId& device : out_.changes[i].request.devices)
        asked_.erase(asked(out_.changes[i].request, device));
    }
    const auto from = out_.changes.begin() + static_cast<std::ptrdiff_t>(since);
    out_.changes.erase(std::remove_if(from, out_.changes.end(), may_go_now), out_.changes.end());
  }

  static Asked asked(const Request& request, const DeviceId& device) {
    const auto instance = request.instances.find(device);
    return {request.verb, request.count, device,
            instance == request.instances.end() ? Instance{} : instance->second};
  }

  /// What was refused, or has failed, is not asked for twice.
  void drop_what_was_asked(Request& request) {
    std::erase_if(request.devices, [&](const DeviceId& device) {
      if (!asked_.contains(asked(request, device))) return false;
      request.instances.erase(device);
      return true;
    });
  }

  /// False: nothing more is to be done.
  bool carry_out(const RuleRequest& next, const Judgement& judgement) {
    const Rule& rule = spec_.rules[next.rule];
    if (on_rule_) on_rule_(rule);
    if (next.request.verb == Request::Verb::kMakeFunctions) return make_functions(next);
    auto outcomes = change(host_, next.request, listener_);
    if (!outcomes && may_be_split(outcomes.error())) {
      const auto parts = split_by_group(next.request, judgement);
      if (parts.size() > 1) {
        return std::ranges::all_of(parts, [&](const Request& part) {
          return keep(next.rule, part, change(host_, part, listener_));
        });
      }
    }
    return keep(next.rule, next.request, std::move(outcomes));
  }

  /// From some functions to others leads over none. When the others cannot be made, the first ones
  /// come back.
  bool make_functions(const RuleRequest& next) {
    Request none = next.request;
    none.count = 0;
    const unsigned now = functions_of(next.request.devices.front());
    if (now == 0 || next.request.count == 0)
      return keep(next.rule, next.request, change(host_, next.request, listener_));
    const bool is_free = keep(next.rule, none, change(host_, none, listener_));
    if (out_.changes.back().error) return is_free;
    const bool goes_on = keep(next.rule, next.request, change(host_, next.request, listener_));
    const auto removal = last_removal(host_, next.request.devices.front());
    if (!out_.changes.back().error || !removal) return goes_on;
    const Request back{
        .verb = Request::Verb::kUndo, .change = removal, .ignored = next.request.ignored};
    Listener nobody;  // who asks to stop asks for what there was
    return keep(next.rule, back, change(host_, back, nobody)) && goes_on;
  }

  unsigned functions_of(const DeviceId& pf) const {
    const auto dir = open_device(host_.sysfs, pf);
    if (!dir || *dir == nullptr) return 0;
    return read_functions(**dir, pf).value_or(std::nullopt).value_or(0);
  }

  bool keep(std::size_t rule, const Request& request, Result<std::vector<Outcome>> outcomes) {
    out_.changes.push_back({.rule = rule, .request = request});
    if (outcomes) {
      out_.changes.back().outcomes = *std::move(outcomes);
      return true;
    }
    const bool goes_on =
        outcomes.error().kind != ErrorKind::kIncomplete && !listener_.stop_requested();
    out_.changes.back().error = std::move(outcomes).error();
    return goes_on;
  }

  const Host& host_;
  const Spec& spec_;
  Listener& listener_;
  const OnRule& on_rule_;
  const MayChange& may_change_;
  std::set<Asked> asked_;
  Application out_;
};

}  // namespace

std::optional<std::uint64_t> last_removal(const Host& host, const DeviceId& pf) {
  const auto memory = read_memory(host);
  if (!memory) return std::nullopt;
  std::vector<std::uint64_t> ids = memory->journal.closed();
  std::ranges::sort(ids, std::greater());
  for (const std::uint64_t id : ids) {
    const auto entry = memory->journal.read(id);
    if (!entry || !*entry || (*entry)->boot != memory->journal.boot_id()) continue;
    if ((*entry)->ending != Ending::kDone) continue;
    for (const Setting& setting : (*entry)->settings) {
      if (setting.path != pf.path() + "/sriov_numvfs") continue;
      return trim_newline(setting.bytes) == "0" ? std::optional(id) : std::nullopt;
    }
  }
  return std::nullopt;
}

std::vector<RuleRequest> next_requests(const Spec& spec, const Judgement& judgement) {
  std::vector<RuleRequest> functions;
  std::map<std::size_t, Request> drivers;
  for (const Standing& standing : judgement.devices) {
    if (standing.state != State::kDrift) continue;
    const Rule& rule = spec.rules[standing.rule];
    if (needs_functions(standing, rule)) {
      functions.push_back({.rule = standing.rule, .request = functions_request(standing, rule)});
    }
    if (!needs_driver(standing, rule)) continue;
    auto& request = drivers.try_emplace(standing.rule, driver_request(rule)).first->second;
    request.devices.push_back(standing.device);
    request.instances.emplace(standing.device, standing.instance);
  }
  join_by_group(spec, judgement, drivers);
  std::vector<RuleRequest> out = std::move(functions);
  out.reserve(out.size() + drivers.size());
  for (auto& [rule, request] : drivers)
    out.push_back({.rule = rule, .request = std::move(request)});
  return out;
}

bool may_be_split(const Error& error) {
  return error.kind == ErrorKind::kRefused || error.kind == ErrorKind::kNotFound;
}

std::vector<Request> split_by_group(const Request& request, const Judgement& judgement) {
  std::vector<Request> out;
  std::map<unsigned, std::size_t> part_of;  // by group
  for (const DeviceId& device : request.devices) {
    const auto group = group_of(judgement, device);
    const auto known = group ? part_of.find(*group) : part_of.end();
    if (known == part_of.end()) {
      if (group) part_of.emplace(*group, out.size());
      out.push_back(request);
      out.back().devices.clear();
      out.back().instances.clear();
    }
    Request& part = known == part_of.end() ? out.back() : out[known->second];
    part.devices.push_back(device);
    if (const auto instance = request.instances.find(device); instance != request.instances.end())
      part.instances.insert(*instance);
  }
  return out;
}

Application apply_spec(const Host& host, const Spec& spec, Listener& listener,
                       const OnRule& on_rule, const MayChange& may_change) {
  return Applier(host, spec, listener, on_rule, may_change).run();
}

}  // namespace anybind
