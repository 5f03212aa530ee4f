#include "wire/policy.h"

#include <string_view>

#include "wire/outcome.h"
#include "wire/request.h"
#include "wire/values.h"

namespace anybind::wire {
namespace {

constexpr Words<Standing::State, 4> kStates{{"met", "drift", "not-obeyed", "unknown"}};
constexpr Words<GroupTreatment, 3> kGroups{{"listed", "whole", "refuse"}};

Json rule_value(const Rule& rule) {
  return {{"rule", rule.name}, {"place", rule.place.str()}};
}

Json devices_value(const std::vector<DeviceId>& devices) {
  Json out = Json::array();
  for (const DeviceId& device : devices) out.push_back(device_object(device));
  return out;
}

Json declared_value(const Rule& rule) {
  return {{"driver", or_null(rule.driver)}, {"vfs", or_null(rule.functions)}};
}

Json since_value(const LastChange& last) {
  if (last.id == 0) return nullptr;
  return {{"id", last.id},
          {"time", last.time},
          {"command", last.command},
          {"was_declared", last.was_declared}};
}

Json standing_value(const Standing& standing, const Rule& rule, const LastChange* last) {
  Json out = device_object(standing.device);
  out.update(rule_value(rule));
  out["state"] = kStates.of(standing.state);
  out["declared"] = declared_value(rule);
  out["driver"] = or_null(standing.now.driver);
  out["driver_override"] = or_null(standing.now.driver_override);
  out["vfs"] = or_null(standing.functions);
  out["with_group"] = or_null(standing.with_group);
  out["differs"] = or_null(standing.differs);
  out["last_change"] = last == nullptr ? Json(nullptr) : since_value(*last);
  return out;
}

Json problem_value(const Spec& spec, const PolicyProblem& problem, Wording wording) {
  Json out = problem.rule ? rule_value(spec.rules[*problem.rule])
                          : Json({{"rule", nullptr}, {"place", nullptr}});
  out["device"] = problem.device ? device_object(*problem.device) : Json(nullptr);
  out["what"] = problem.what;
  out["next"] = or_null(wording(problem.advice));
  return out;
}

Json match_value(const RuleMatch& match) {
  Json out = Json::object();
  for (const DevicePattern& pattern : match.device) out["device"].push_back(pattern.text);
  if (!match.slot.empty()) out["slot"] = match.slot;
  if (match.pf) out["pf"] = match.pf->name.str();
  if (!match.functions.empty()) out["vf"] = text_of(match.functions);
  if (match.id) out["id"] = match.id->str();
  if (match.device_class) out["class"] = match.device_class->str();
  if (!match.serial.empty()) out["serial"] = match.serial;
  if (!match.mac.empty()) out["mac"] = match.mac;
  return out;
}

}  // namespace

Json to_json(const Spec& spec, const Judgement& judgement,
             const std::map<DeviceId, LastChange>& since, Wording wording) {
  Json devices = Json::array();
  for (const Standing& standing : judgement.devices) {
    const auto last = since.find(standing.device);
    devices.push_back(standing_value(standing, spec.rules[standing.rule],
                                     last == since.end() ? nullptr : &last->second));
  }
  Json problems = Json::array();
  for (const PolicyProblem& problem : judgement.problems)
    problems.push_back(problem_value(spec, problem, wording));
  return {{"holds", judgement.holds()},
          {"devices", std::move(devices)},
          {"problems", std::move(problems)}};
}

Json to_json(PromiseKept kept) {
  constexpr Words<PromiseKept, 4> kWords{{"", "held", "not-held", "kernel-cannot"}};
  return kept == PromiseKept::kNobodyAsks ? Json(nullptr) : Json(kWords.of(kept));
}

Json rules_to_json(const Spec& spec, const Judgement& judgement) {
  Json out = Json::array();
  for (std::size_t i = 0; i < spec.rules.size(); ++i) {
    const Rule& rule = spec.rules[i];
    Json row = rule_value(rule);
    row["match"] = match_value(rule.match);
    row["declared"] = declared_value(rule);
    row["group"] = kGroups.of(rule.group);
    row["owner"] = or_null(rule.owner);
    row["promise"] = rule.before_probe ? "before-probe" : "eventually";
    row["ignore"] = rule.ignored;
    row["devices"] = devices_value(judgement.matches[i]);
    out.push_back(std::move(row));
  }
  return out;
}

Json to_json(const Spec& spec, const Applied& applied) {
  Json out = rule_value(spec.rules[applied.rule]);
  out["request"] = to_json(applied.request);
  out["devices"] = to_json(applied.outcomes);
  return out;
}

}  // namespace anybind::wire
