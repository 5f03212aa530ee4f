#pragma once

#include <string>
#include <vector>

#include "anybind/base/error.h"
#include "anybind/binding/plan.h"
#include "anybind/host/proc.h"
#include "anybind/host/sysfs.h"

namespace anybind {

/// kRefused when `plan` takes a host driver away from a device in use (inventory/guards.h), unless
/// the name of every finding is in `ignored`; the error says who uses what, and how to free it.
/// Drivers for user space are not asked about: the kernel itself waits for a user of vfio-pci.
[[nodiscard]] Result<> refuse_if_in_use(Sysfs& root, const Proc& proc, const Plan& plan,
                                        const std::vector<std::string>& ignored);

}  // namespace anybind
