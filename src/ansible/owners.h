#pragma once

#include <string>

#include "base/error.h"
#include "host/host.h"
#include "policy/rule.h"

namespace anybind::ansible {

/// An error when two rules that each mean one card mean the same one, and one of them is in `file`:
/// only the first would count, and whoever wrote the other would never know. kUsage, and both
/// places; or the machine does not let itself be read.
[[nodiscard]] Result<> refuse_two_owners(const Host& host, const Spec& spec,
                                         const std::string& file);

}  // namespace anybind::ansible
