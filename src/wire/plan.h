#pragma once

#include <string_view>

#include "base/error.h"
#include "plan/plan.h"
#include "wire/json.h"

namespace anybind::wire {

[[nodiscard]] Json to_json(const Step& step);
[[nodiscard]] Json to_json(const Goal& goal);
[[nodiscard]] Json to_json(const DevicePlan& device);
[[nodiscard]] Json to_json(const ModuleLoad& load);
[[nodiscard]] Json to_json(const Setting& setting);
/// docs/schema/plan.schema.json.
[[nodiscard]] Json to_json(const Plan& plan);

/// What to_json() wrote, of at most 16 MiB. Error kUsage: it is none, and where; also for a member
/// that is not known, a name that cannot be one, and a setting of a file that plans never
/// write (may_be_written() in plan/plan_settings.h). Nothing else is known of it then: its devices
/// may have changed, and it may never have been planned.
[[nodiscard]] Result<Plan> plan_from_json(std::string_view text);

}  // namespace anybind::wire
