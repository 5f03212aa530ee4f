#pragma once

#include <vector>

#include "policy/rule_files.h"
#include "policy/spec.h"
#include "wire/json.h"
#include "wire/remark.h"

namespace anybind::wire {

/// docs/schema/rule-files.schema.json.
[[nodiscard]] Json to_json(const std::vector<RuleFile>& files);

/// The member "problems" of docs/schema/rule-check.schema.json.
[[nodiscard]] Json to_json(const std::vector<SpecFault>& faults, Wording wording);

/// docs/schema/rule-written.schema.json.
[[nodiscard]] Json to_json(const RuleFileChange& change);

}  // namespace anybind::wire
