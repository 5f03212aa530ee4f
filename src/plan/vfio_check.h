#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "inventory/vfio_refusal.h"
#include "plan/plan.h"

namespace anybind {

/// kRefused when VFIO would refuse something (inventory/vfio_refusal.h) whose name is not among
/// `ignored`: the first says why, all are in the details. `plan` warns of those that are ignored.
[[nodiscard]] Result<> check_vfio(const std::vector<VfioRefusal>& refusals,
                                  const std::vector<std::string>& ignored, Plan& plan);

}  // namespace anybind
