#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "policy/spec.h"

namespace anybind {

/// The files of rules that somebody names on this machine, in their order; of a directory its files
/// *.toml in the order of their names. Who names a file vouches for it, whoever can write to it.
/// kNotFound: no such file. A directory may be empty.
[[nodiscard]] Result<std::vector<SpecFile>> read_named_specs(const std::vector<std::string>& paths);

/// The files *.toml of one directory; none when it is not there.
[[nodiscard]] Result<std::vector<SpecFile>> read_rule_folder(const std::string& path);

}  // namespace anybind
