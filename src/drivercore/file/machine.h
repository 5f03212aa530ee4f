#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"
#include "drivercore/core/state.h"

namespace anybind::drivercore {

/// So many interfaces a device of a machine file may have: a host adapter with a thousand disks
/// does.
inline constexpr std::size_t kMostChildren = 4096;

/// Reads a machine file (docs/machine-file.md) and boots it: devices whose driver the file leaves
/// to the kernel are probed, in the order in which they stand there. kUsage, with file, line and
/// column, for anything that is not understood, also for a key that does not exist; nothing is
/// loaded then. At most 16 MiB, 200,000 devices and 20,000 drivers. A `profile` that is not empty
/// is the kernel in place of the file's.
[[nodiscard]] Result<State> load_machine(std::string_view toml, std::string_view file_name,
                                         std::string_view profile = "");

/// The state as a machine file, between two operations: load_machine(save_machine(s)) == s, for a
/// state that a DriverCore holds. Instance numbers, registration order, dynamic ids, overrides,
/// autoprobe flags, deferred devices, held groups and empty slots are kept; uevents already sent
/// are not.
[[nodiscard]] std::string save_machine(const State& state);

}  // namespace anybind::drivercore
