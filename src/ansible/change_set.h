#pragma once

#include <cstdint>
#include <string>

#include "ansible/answer.h"
#include "policy/judge.h"
#include "policy/rule.h"

namespace anybind::ansible {

/// Rules that a task wants to hold, beside all that hold on the machine.
struct Wanted {
  Spec spec;         ///< all rules that count then
  std::string file;  ///< RulePlace::file of those that the task declares: no others are applied
};

/// What differs from the rules of the task, and for each change that is next its steps. A rule that
/// is not obeyed, or whose change would fail, is an error of the answer.
[[nodiscard]] Answer try_rules(const Task& task, const Wanted& wanted);

/// Makes the rules of the task so: all, or nothing. When one fails, or is not obeyed in the end,
/// every change that was made for them is taken back, newest first. What could not be taken back
/// makes the error kIncomplete.
[[nodiscard]] Answer apply_rules(const Task& task, const Wanted& wanted);

}  // namespace anybind::ansible
