#pragma once

#include <vector>

#include "doctor/finding.h"
#include "host/host.h"

namespace anybind {

/// Is this machine ready to give devices to user space: each check of docs/doctor.md, in its order.
/// Reads only; a few files for each PCI device. What cannot be read is left out or kUnknown.
[[nodiscard]] std::vector<Finding> examine(const Host& host, const KnownChanges& changes);

/// No finding is a kProblem.
[[nodiscard]] bool is_ready(const std::vector<Finding>& findings);

}  // namespace anybind
