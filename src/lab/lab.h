#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "drivercore/core/state.h"

namespace anybind::lab {

/// What is to be run in a lab.
struct Running {
  std::vector<std::string> command{};
  std::string name{};                   ///< under which others reach the lab (control.h)
  std::vector<std::string> writable{};  ///< directories of this machine that it may change
  std::string trace{};  ///< a file of this machine that gets a line for each write; empty: none
};

/// Runs the command with the machine as its /sys, in namespaces of its own that it cannot change
/// this machine from (docs/lab.md); no rights are needed. The exit code of the command. Does not
/// return to a process that may go on: threads of the lab are left.
[[nodiscard]] Result<int> exec(drivercore::State machine, Running running);

/// Mounts the machine's sysfs at `directory` and serves it: from a process in the background, or
/// from this one until it is unmounted.
/// `trace` as above.
[[nodiscard]] Result<int> mount(drivercore::State machine, const std::string& directory,
                                const std::string& name, bool foreground,
                                const std::string& trace = "");

}  // namespace anybind::lab
