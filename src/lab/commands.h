#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "lab/machine.h"

namespace anybind::lab {

/// What somebody who stands beside the modelled machine does to it: plugs a card in, loads a
/// module, makes a probe fail. `words` as `anybind lab` has them: {"add", "0000:0b:00.0"}. The text
/// to print.
[[nodiscard]] Result<std::string> run_command(Machine& machine,
                                              const std::vector<std::string>& words);

}  // namespace anybind::lab
