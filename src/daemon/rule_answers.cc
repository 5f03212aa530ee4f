#include "daemon/rule_answers.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/try.h"
#include "cli/advice.h"
#include "policy/judge.h"
#include "policy/lasting.h"
#include "policy/spec.h"
#include "wire/policy.h"
#include "wire/rule_files.h"

namespace anybind::daemon {
namespace {

std::vector<Permit> permits_of(const NewRuleFile& file, const RuleFileChange& change) {
  std::vector<Permit> out;
  for (const ChangedRule& rule : change.rules())
    out.push_back({.action = Permit::Action::kWriteRule,
                   .rule = rule.name,
                   .file = file.name + ".toml",
                   .text = rule.text});
  return out;
}

}  // namespace

Result<std::string> read_rule_files(const Host& host, const RuleSource& rules, Reader reader) {
  return wire::text_of(wire::to_json(TRY(list_rule_files(host, rules, reader))));
}

Result<std::string> check_rules(const Host& host, const RuleSource& rules,
                                const NewRuleFile& file) {
  const auto faults = faults_of(TRY(files_with(host, rules, file)));
  wire::Json out = {
      {"problems", wire::to_json(faults, cli::text_of)}, {"rules", nullptr}, {"status", nullptr}};
  if (faults.empty()) {
    const Spec spec = TRY(rules_with(host, rules, file));
    const Judgement judgement = TRY(judge(host, spec));
    out["rules"] = wire::rules_to_json(spec, judgement);
    out["status"] = status_value(host, spec, judgement);
  }
  return wire::text_of(out);
}

Result<std::vector<Permit>> permits_for(const Host& host, const RuleSource& rules,
                                        const NewRuleFile& file, const std::string& expected) {
  return permits_of(file, TRY(RuleFileChange::plan(host, rules, file, expected)));
}

Result<Answer> write_rules(const Host& host, const RuleSource& rules, const NewRuleFile& file,
                           const std::string& expected, const std::vector<Permit>& allowed) {
  const auto lock = lock_rules();
  const auto change = TRY(RuleFileChange::plan(host, rules, file, expected));
  for (const Permit& permit : permits_of(file, change)) {
    if (std::ranges::find(allowed, permit) != allowed.end()) continue;
    return fail({.kind = ErrorKind::kNotPermitted,
                 .object = change.path(),
                 .why = "the file would change more than was allowed: something has come meanwhile",
                 .advice = "nothing was written; ask again"});
  }
  TRY(change.carry_out());
  return Answer{.json = wire::text_of(wire::to_json(change)), .changed = change.changes()};
}

}  // namespace anybind::daemon
