// From what differs to changes. The engine makes each of them, so that whatever it promises to the
// command (all or nothing, users asked twice, a journal) holds here too. Between the look and the
// change somebody may have exchanged a card: each request names the instances that were judged, and
// the engine refuses any other.
#include "policy/apply.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "engine/engine.h"
#include "inventory/vfio_driver.h"

namespace anybind {
namespace {

using State = Standing::State;

bool needs_functions(const Standing& standing, const Rule& rule) {
  return rule.functions && !standing.with_group && standing.functions &&
         *standing.functions != *rule.functions;
}

bool needs_driver(const Standing& standing, const Rule& rule) {
  if (!rule.driver) return false;
  const Device& now = standing.now;
  if (rule.wants_default()) return now.driver_override.has_value();
  const bool is_there = rule.wants_none() ? !now.driver : now.driver == rule.driver;
  const bool is_kept = rule.wants_none()
                           ? !now.has_override || now.driver_override == "none"
                           : !now.driver_override || now.driver_override == rule.driver->str();
  return !is_there || !is_kept;
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
  if (rule.wants_default()) {
    out.verb = Request::Verb::kRestore;
    return out;
  }
  out.verb = rule.wants_none() ? Request::Verb::kUnbind : Request::Verb::kBind;
  out.whole_group = rule.group == GroupTreatment::kWhole;
  if (rule.wants_none()) return out;
  out.driver = rule.driver;
  if (is_vfio_driver(rule.driver->str())) out.owner = rule.owner;
  return out;
}

class Applier {
 public:
  Applier(const Host& host, const Spec& spec, Listener& listener)
      : host_(host), spec_(spec), listener_(listener) {}

  Result<std::vector<Applied>> run() {
    // Functions first, then what was not there before; what is refused is not asked for twice.
    for (bool is_done = false; !is_done;) {
      is_done = true;
      auto judgement = judge(host_, spec_);
      if (!judgement) return fail(std::move(judgement).error());
      for (RuleRequest& next : next_requests(spec_, *judgement)) {
        drop_what_was_asked(next.request);
        if (next.request.devices.empty()) continue;
        is_done = false;
        if (!carry_out(next, *judgement)) return std::move(done_);
      }
    }
    return std::move(done_);
  }

 private:
  /// What was refused, or has failed, is not asked for twice.
  void drop_what_was_asked(Request& request) {
    std::erase_if(request.devices, [&](const DeviceId& device) {
      if (asked_.insert({request.verb, request.count, device}).second) return false;
      request.instances.erase(device);
      return true;
    });
  }

  /// False: nothing more is to be done.
  bool carry_out(const RuleRequest& next, const Judgement& judgement) {
    auto outcomes = change(host_, next.request, listener_);
    if (!outcomes && outcomes.error().kind == ErrorKind::kRefused) {
      const auto parts = split_by_group(next.request, judgement);
      if (parts.size() > 1) {
        return std::ranges::all_of(parts, [&](const Request& part) {
          return keep(next.rule, part, change(host_, part, listener_));
        });
      }
    }
    return keep(next.rule, next.request, std::move(outcomes));
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
  std::set<std::tuple<Request::Verb, unsigned, DeviceId>> asked_;
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
      Request request = functions_request(standing, rule);
      // From some to others leads over none.
      if (*standing.functions != 0) request.count = 0;
      functions.push_back({.rule = standing.rule, .request = std::move(request)});
    }
    if (!needs_driver(standing, rule)) continue;
    auto& request = drivers.try_emplace(standing.rule, driver_request(rule)).first->second;
    request.devices.push_back(standing.device);
    request.instances.emplace(standing.device, standing.instance);
  }
  if (!functions.empty()) return functions;
  std::vector<RuleRequest> out;
  out.reserve(drivers.size());
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

Result<std::vector<Applied>> apply_spec(const Host& host, const Spec& spec, Listener& listener) {
  return Applier(host, spec, listener).run();
}

}  // namespace anybind
