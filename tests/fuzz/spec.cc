// Any bytes as a file of rules: read or refused with a place, and what is read is judged on a small
// machine without a rule ever asking for more than it may.
#include <cstdint>
#include <cstdlib>

#include "policy/match.h"
#include "policy/spec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace anybind;
  const auto spec =
      parse_spec({{.name = "fuzz.toml", .text = {reinterpret_cast<const char*>(data), size}}});
  if (!spec) {
    if (spec.error().kind != ErrorKind::kUsage) std::abort();
    return 0;
  }
  for (const Rule& rule : spec->rules) {
    if (rule.match == RuleMatch() || (!rule.driver && !rule.functions)) std::abort();
    if (!covers(rule.match, rule.match)) std::abort();
  }
  Spec twice = *spec;
  append_rules(twice, spec->rules);
  if (twice != *spec) std::abort();  // each never counts behind itself
  return 0;
}
