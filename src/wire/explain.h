#pragma once

#include "engine/driver_answer.h"
#include "inventory/match.h"
#include "inventory/viability.h"
#include "wire/json.h"
#include "wire/remark.h"

namespace anybind::wire {

[[nodiscard]] Json to_json(const Candidate& candidate);
[[nodiscard]] Json to_json(const Viability& viability, Wording wording);
[[nodiscard]] Json to_json(const DriverAnswer& answer, Wording wording);
/// An element of docs/schema/explain.schema.json; "asked" is there when a driver was asked for.
[[nodiscard]] Json to_json(const Explanation& explanation, const DriverAnswer* asked,
                           Wording wording);

}  // namespace anybind::wire
