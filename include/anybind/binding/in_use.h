#pragma once

#include <string>
#include <vector>

#include "anybind/base/error.h"
#include "anybind/binding/plan.h"
#include "anybind/host/proc.h"
#include "anybind/host/sysfs.h"
#include "anybind/inventory/guards.h"

namespace anybind {

/// The devices that `plan` takes a driver away from.
[[nodiscard]] std::vector<Asked> losing_drivers(const Plan& plan);

/// kRefused when one of `devices`, which are to lose their drivers, is in use
/// (inventory/guards.h), unless the name of every finding is in `ignored`. The details of the error
/// name every device with who uses it, and how to free it.
[[nodiscard]] Result<> refuse_if_in_use(Sysfs& root, const Proc& proc,
                                        const std::vector<Asked>& devices,
                                        const std::vector<std::string>& ignored);

/// The same of the devices that `plan` takes a driver away from.
[[nodiscard]] Result<> refuse_if_in_use(Sysfs& root, const Proc& proc, const Plan& plan,
                                        const std::vector<std::string>& ignored);

}  // namespace anybind
