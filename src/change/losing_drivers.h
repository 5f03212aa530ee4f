#pragma once

#include <vector>

#include "plan/held_plan.h"
#include "users/guards.h"

namespace anybind {

/// The devices that `plan` takes a driver away from.
[[nodiscard]] std::vector<Asked> losing_drivers(const HeldPlan& plan);

}  // namespace anybind
