#pragma once

#include <vector>

#include "doctor/finding.h"
#include "wire/json.h"

namespace anybind::wire {

[[nodiscard]] Json to_json(const Finding& finding);
/// docs/schema/doctor.schema.json.
[[nodiscard]] Json to_json(const std::vector<Finding>& findings);

}  // namespace anybind::wire
