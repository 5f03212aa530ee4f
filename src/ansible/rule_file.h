#pragma once

#include <string>

#include "ansible/arguments.h"
#include "base/error.h"

namespace anybind::ansible {

/// Drivers by devices, as driverctl has them, as rules. An error: no table of texts, or a device
/// that YAML has read as a number.
[[nodiscard]] Result<Value> rules_of_overrides(const Value& overrides, const std::string& argument);

/// The rules of a task as the file that declares them: a list of objects, whose keys are those of
/// docs/policy.md. Whether they are rules is told by who reads the file. Errors, which name the
/// place in the list: a value that no file of rules can hold.
[[nodiscard]] Result<std::string> rule_file(const Value& rules, const std::string& argument);

/// "50-guests.toml" of the argument "name". An error: no name for a file of rules.
[[nodiscard]] Result<std::string> rule_file_name(const std::string& name);

}  // namespace anybind::ansible
