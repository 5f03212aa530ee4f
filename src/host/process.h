#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "host/proc.h"

namespace anybind {

// `proc` is a procfs; of one that is not there nothing can be seen.

/// When a process started, in the clock ticks of /proc/PID/stat: with its number it names one
/// process. nullopt when it is gone or only its exit status is left.
[[nodiscard]] std::optional<std::uint64_t> process_start(const Proc& proc, long pid);

/// The kernel function that a process sleeps in, from /proc/PID/wchan; empty when it is not told.
[[nodiscard]] std::string wait_channel(const Proc& proc, long pid);

/// "qemu-system-x86 (process 4711)" for each process that has `path` open, as far as can be seen.
[[nodiscard]] std::vector<std::string> holders_of(const Proc& proc, const std::string& path);

}  // namespace anybind
