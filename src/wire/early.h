#pragma once

#include "policy/early_boot.h"
#include "wire/json.h"

namespace anybind::wire {

/// docs/schema/early.schema.json.
[[nodiscard]] Json to_json(const EarlyBoot& boot, bool is_switched_off);

}  // namespace anybind::wire
