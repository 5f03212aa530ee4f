#pragma once

#include <string_view>
#include <vector>

#include "base/error.h"
#include "change/outcome.h"
#include "inventory/device.h"
#include "wire/json.h"

namespace anybind::wire {

/// Whether the device ends elsewhere than it began: nothing may have taken one that was offered
/// again.
[[nodiscard]] bool is_different(const Outcome& outcome);

[[nodiscard]] Json to_json(const Binding& binding);
/// docs/schema/change.schema.json. "changed" is for people: it was written to, and is_different().
[[nodiscard]] Json to_json(const Outcome& outcome);
[[nodiscard]] Json to_json(const std::vector<Outcome>& outcomes);

/// What to_json() wrote, of at most 16 MiB; members that it does not know are passed over. Error
/// kUsage: it is none, and where.
[[nodiscard]] Result<std::vector<Outcome>> outcomes_from_json(std::string_view text);

}  // namespace anybind::wire
