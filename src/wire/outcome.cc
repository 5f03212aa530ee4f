#include "wire/outcome.h"

#include "wire/reading.h"
#include "wire/values.h"

namespace anybind::wire {
namespace {

constexpr std::size_t kMostOutcomesText = 16U << 20;

Result<Binding> known_binding(const Value& value, const std::string& where) {
  return binding_from(value, where, Members::Others::kPassedOver);
}

Result<Outcome> outcome_from(const Value& value, const std::string& where) {
  const Members in = TRY(Members::of(value, where, {}, Members::Others::kPassedOver));
  return Outcome{.device = TRY(device_of(in)),
                 .before = TRY(in.one("before", known_binding)),
                 .after = TRY(in.one("after", known_binding)),
                 .changed = TRY(in.flag("written")),
                 .gone = TRY(in.flag("gone"))};
}

}  // namespace

bool is_different(const Outcome& outcome) {
  return outcome.before.driver != outcome.after.driver ||
         outcome.before.driver_override != outcome.after.driver_override;
}

Json to_json(const Binding& binding) {
  return {{"driver", or_null(binding.driver)},
          {"driver_override", or_null(binding.driver_override)},
          {"has_driver_override", binding.has_override},
          {"is_preferred", binding.is_preferred}};
}

Json to_json(const Outcome& outcome) {
  Json out = device_object(outcome.device);
  out["before"] = to_json(outcome.before);
  out["after"] = to_json(outcome.after);
  out["changed"] = outcome.changed && is_different(outcome);
  out["written"] = outcome.changed;
  out["gone"] = outcome.gone;
  return out;
}

Json to_json(const std::vector<Outcome>& outcomes) {
  Json out = Json::array();
  for (const Outcome& outcome : outcomes) out.push_back(to_json(outcome));
  return out;
}

Result<std::vector<Outcome>> outcomes_from_json(std::string_view text) {
  Value all = TRY(parse(text, kMostOutcomesText, "outcomes"));
  if (!all.is_array()) return fail_at("outcomes", "not an array");
  std::vector<Outcome> out;
  for (const Value& each : all)
    out.push_back(TRY(outcome_from(each, "outcomes[" + std::to_string(out.size()) + "]")));
  return out;
}

}  // namespace anybind::wire
