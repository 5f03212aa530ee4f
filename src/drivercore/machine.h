#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "drivercore/state.h"

namespace anybind::drivercore {

/// Reads a machine file (docs/machine-file.md) and boots it: devices whose driver the file leaves
/// to the kernel are probed. kUsage, with file, line and column, for anything that is not
/// understood, also for a key that does not exist; nothing is loaded then. At most 16 MiB and
/// 200,000 devices.
[[nodiscard]] Result<State> load_machine(std::string_view toml, std::string_view file_name);

/// The state as a machine file: load_machine() of it gives a state that behaves the same, with the
/// same instances; saving that again gives the same bytes. Uevents already sent are not part of it.
[[nodiscard]] std::string save_machine(const State& state);

}  // namespace anybind::drivercore
