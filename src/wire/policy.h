#pragma once

#include <map>
#include <vector>

#include "policy/apply.h"
#include "policy/judge.h"
#include "policy/promise.h"
#include "policy/rule.h"
#include "policy/since.h"
#include "wire/json.h"
#include "wire/remark.h"

namespace anybind::wire {

/// docs/schema/status.schema.json. `since` may lack devices.
[[nodiscard]] Json to_json(const Spec& spec, const Judgement& judgement,
                           const std::map<DeviceId, LastChange>& since, Wording wording);

/// The member "before_probe" of docs/schema/status.schema.json.
[[nodiscard]] Json to_json(PromiseKept kept);

/// docs/schema/rules.schema.json.
[[nodiscard]] Json rules_to_json(const Spec& spec, const Judgement& judgement);

/// The member "changes" of docs/schema/apply.schema.json, but for errors, which the caller words.
[[nodiscard]] Json to_json(const Spec& spec, const Applied& applied);

}  // namespace anybind::wire
