// From what differs to changes. The engine makes each of them, so that whatever it promises to the
// command (all or nothing, users asked twice, a journal) holds here too. Between the look and the
// change somebody may have exchanged a card: each request names the instances that were judged, and
// the engine refuses any other.
#include "policy/apply.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/text.h"
#include "engine/engine.h"
#include "inventory/virtual_functions.h"

namespace anybind {
namespace {

using State = Standing::State;

bool has_driver(const Standing& standing, const Rule& rule) {
  if (!rule.driver || rule.wants_default()) return true;
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

/// The number in the journal of the change that has just removed the functions of `pf`.
std::optional<std::uint64_t> removal_of(const Host& host, const DeviceId& pf) {
  const auto memory = read_memory(host);
  if (!memory || memory->journal.closed().empty()) return std::nullopt;
  const auto newest = std::ranges::max(memory->journal.closed());
  const auto entry = memory->journal.read(newest);
  if (!entry || !*entry) return std::nullopt;
  const bool is_it = std::ranges::any_of((*entry)->settings, [&](const Setting& setting) {
    return setting.path == pf.path() + "/sriov_numvfs" && trim_newline(setting.bytes) == "0";
  });
  return is_it ? std::optional(newest) : std::nullopt;
}

class Applier {
 public:
  Applier(const Host& host, const Spec& spec, Listener& listener, const OnRule& on_rule)
      : host_(host), spec_(spec), listener_(listener), on_rule_(on_rule) {}

  Result<std::vector<Applied>> run() {
    for (;;) {
      auto judgement = judge(host_, spec_);
      if (!judgement) return fail(std::move(judgement).error());
      std::vector<RuleRequest> next = next_requests(spec_, *judgement);
      for (RuleRequest& one : next) drop_what_was_asked(one.request);
      std::erase_if(next, [](const RuleRequest& one) { return one.request.devices.empty(); });
      if (next.empty()) return std::move(done_);
      // What is made is looked at before anything is bound.
      const bool makes = next.front().request.verb == Request::Verb::kMakeFunctions;
      for (const RuleRequest& one : next) {
        if (makes != (one.request.verb == Request::Verb::kMakeFunctions)) continue;
        remember(one.request);
        if (!carry_out(one, *judgement)) return std::move(done_);
      }
    }
  }

 private:
  using Asked = std::tuple<Request::Verb, unsigned, DeviceId>;

  /// What was refused, or has failed, is not asked for twice.
  void drop_what_was_asked(Request& request) {
    std::erase_if(request.devices, [&](const DeviceId& device) {
      if (!asked_.contains(Asked{request.verb, request.count, device})) return false;
      request.instances.erase(device);
      return true;
    });
  }
  void remember(const Request& request) {
    for (const DeviceId& device : request.devices)
      asked_.insert(Asked{request.verb, request.count, device});
  }

  /// False: nothing more is to be done.
  bool carry_out(const RuleRequest& next, const Judgement& judgement) {
    const Rule& rule = spec_.rules[next.rule];
    if (on_rule_) on_rule_(rule);
    if (next.request.verb == Request::Verb::kMakeFunctions) return make_functions(next);
    auto outcomes = change(host_, next.request, listener_);
    // Nothing was written then.
    const bool is_refused = !outcomes && (outcomes.error().kind == ErrorKind::kRefused ||
                                          outcomes.error().kind == ErrorKind::kNotFound);
    if (is_refused) {
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
    if (!keep(next.rule, none, change(host_, none, listener_)) || done_.back().error)
      return !done_.back().error || done_.back().error->kind != ErrorKind::kIncomplete;
    const auto removal = removal_of(host_, next.request.devices.front());
    const bool goes_on = keep(next.rule, next.request, change(host_, next.request, listener_));
    if (!done_.back().error || !removal) return goes_on;
    const Request back{
        .verb = Request::Verb::kUndo, .change = removal, .ignored = next.request.ignored};
    return keep(next.rule, back, change(host_, back, listener_)) && goes_on;
  }

  unsigned functions_of(const DeviceId& pf) const {
    const auto dir = open_device(host_.sysfs, pf);
    if (!dir || *dir == nullptr) return 0;
    return read_functions(**dir, pf).value_or(std::nullopt).value_or(0);
  }

  bool keep(std::size_t rule, const Request& request, Result<std::vector<Outcome>> outcomes) {
    done_.push_back({.rule = rule, .request = request});
    if (outcomes) {
      done_.back().outcomes = *std::move(outcomes);
      return true;
    }
    const bool goes_on =
        outcomes.error().kind != ErrorKind::kIncomplete && !listener_.stop_requested();
    done_.back().error = std::move(outcomes).error();
    return goes_on;
  }

  const Host& host_;
  const Spec& spec_;
  Listener& listener_;
  const OnRule& on_rule_;
  std::set<Asked> asked_;
  std::vector<Applied> done_;
};

}  // namespace

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
  std::vector<RuleRequest> out = std::move(functions);
  out.reserve(out.size() + drivers.size());
  for (auto& [rule, request] : drivers)
    out.push_back({.rule = rule, .request = std::move(request)});
  return out;
}

std::vector<Request> split_by_group(const Request& request, const Judgement& judgement) {
  std::vector<Request> out;
  std::map<unsigned, std::size_t> part_of;  // by group
  for (const DeviceId& device : request.devices) {
    const auto standing = std::ranges::find(judgement.devices, device, &Standing::device);
    const auto group =
        standing == judgement.devices.end() ? std::nullopt : standing->now.iommu_group;
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

Result<std::vector<Applied>> apply_spec(const Host& host, const Spec& spec, Listener& listener,
                                        const OnRule& on_rule) {
  return Applier(host, spec, listener, on_rule).run();
}

}  // namespace anybind
