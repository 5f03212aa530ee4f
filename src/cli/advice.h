#pragma once

#include <string>
#include <vector>

#include "base/advice.h"

namespace anybind::cli {

/// A remark of the library in the words of this command: an action is what to type for it, each
/// operand one word for a shell. Text from outside is as it came: printable() is for who prints.
[[nodiscard]] std::string text_of(const Remark& remark);

/// The same of a change that a rule asks for: what to write into the rule, where something else
/// would be an option.
[[nodiscard]] std::string text_in_rule(const Remark& remark);
/// The same where the request came by a program that has other options: the command that has them.
[[nodiscard]] std::string text_elsewhere(const Remark& remark);
/// text_of() of each.
[[nodiscard]] std::vector<std::string> texts_of(const std::vector<Remark>& remarks);

}  // namespace anybind::cli
