#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "drivercore/state.h"

namespace anybind::lab {

/// Runs the command with the machine as its /sys, in namespaces of its own: nothing of this machine
/// is touched, and no rights are needed. Others reach the lab under `name` (control.h). The exit
/// code of the command. Does not return to a process that may go on: threads of the lab are left.
[[nodiscard]] Result<int> exec(drivercore::State machine, std::vector<std::string> command,
                               const std::string& name);

/// Mounts the machine's sysfs at `directory` and serves it: from a process in the background, or
/// from this one until it is unmounted.
[[nodiscard]] Result<int> mount(drivercore::State machine, const std::string& directory,
                                const std::string& name, bool foreground);

}  // namespace anybind::lab
