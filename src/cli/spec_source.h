#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "cli/verb.h"
#include "policy/rule.h"
#include "policy/spec.h"

namespace CLI {
class App;
}

// Where the verbs of the declared state have their rules from.
namespace anybind::cli {

/// The rules in `words`, files or directories of *.toml files; without words those of the machine,
/// to which driverctl's belong. kUsage: they are broken, or this is no machine with rules of its
/// own.
[[nodiscard]] Result<Spec> load_spec(const Context& context, const std::vector<std::string>& words);

/// The word SPEC, any number of times.
void add_spec(CLI::App& app, std::vector<std::string>& words);

}  // namespace anybind::cli
