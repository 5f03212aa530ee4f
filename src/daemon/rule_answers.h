#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "daemon/answers.h"
#include "host/host.h"
#include "policy/rule_files.h"

// What the methods of org.anybind.Manager1 answer that are about files of rules (docs/dbus.md), as
// daemon/answers.h has it.
namespace anybind::daemon {

/// docs/schema/rule-files.schema.json.
[[nodiscard]] Result<std::string> read_rule_files(const Host& host, const RuleSource& rules,
                                                  Reader reader);

/// What would hold if the file had its new text: docs/schema/rule-check.schema.json. Writes
/// nothing.
[[nodiscard]] Result<std::string> check_rules(const Host& host, const RuleSource& rules,
                                              const NewRuleFile& file);

/// For each rule that becomes another one. Errors: those of RuleFileChange::plan().
[[nodiscard]] Result<std::vector<Permit>> permits_for(const Host& host, const RuleSource& rules,
                                                      const NewRuleFile& file,
                                                      const std::string& expected);

/// Writes the file, as long as that changes no rule that is not in `allowed`. One such call waits
/// for the other. docs/schema/rule-written.schema.json. kNotPermitted: it would change more.
[[nodiscard]] Result<Answer> write_rules(const Host& host, const RuleSource& rules,
                                         const NewRuleFile& file, const std::string& expected,
                                         const std::vector<Permit>& allowed);

}  // namespace anybind::daemon
