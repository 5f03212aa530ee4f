#pragma once

#include <vector>

#include "doctor/finding.h"
#include "wire/json.h"
#include "wire/remark.h"

namespace anybind::wire {

[[nodiscard]] Json to_json(const Finding& finding, Wording wording);
/// docs/schema/doctor.schema.json.
[[nodiscard]] Json to_json(const std::vector<Finding>& findings, Wording wording);

}  // namespace anybind::wire
