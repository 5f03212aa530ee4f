#pragma once

#include <string>
#include <vector>

namespace anybind::lab {

/// The first process of a lab: starts the command, passes signals on to it, ends what it left
/// running, and takes its exit code, or 128 and the signal. `talk` is told when there is no such
/// command, and else is closed when the command runs. `all` says that no process outside of the
/// lab can be reached, so all that can be are ended. Closes all descriptors but the first three.
[[noreturn]] void run_first_process(int talk, const std::vector<std::string>& command, bool all,
                                    bool own_group);

}  // namespace anybind::lab
