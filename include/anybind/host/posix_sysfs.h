#pragma once

#include <memory>
#include <string>

#include "anybind/base/error.h"
#include "anybind/host/sysfs.h"

namespace anybind {

/// The tree at `root` on this machine: /sys, or a directory that looks like it. Needs Linux 5.6 or
/// later (openat2). Error kNotFound when `root` is no directory. The result may be used from
/// several threads.
[[nodiscard]] Result<std::unique_ptr<Sysfs>> open_sysfs(const std::string& root);

/// Whether what is done below `root` is done to this machine: `root` is on a file system of type
/// sysfs, wherever that is mounted and by whatever path, or is the directory `sys` itself, the /sys
/// of this process, whatever is mounted there (in a lab, the lab's). Anything else is a made-up
/// tree, and so is what is not there.
[[nodiscard]] bool is_of_this_machine(const std::string& root, const std::string& sys);

}  // namespace anybind
