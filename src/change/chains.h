#pragma once

#include <cstddef>
#include <vector>

#include "plan/held_plan.h"

namespace anybind {

/// Devices of `plan` from `from` on, in sequences that are independent of each other: those of one
/// IOMMU group and the functions of one slot stay in one, in order.
[[nodiscard]] std::vector<std::vector<std::size_t>> chains_of(Sysfs& root, const HeldPlan& plan,
                                                              std::size_t from);

}  // namespace anybind
