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

}  // namespace anybind
