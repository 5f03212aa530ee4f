#pragma once

#include <string_view>

#include "base/error.h"
#include "plan/request.h"
#include "policy/lasting.h"
#include "wire/json.h"

namespace anybind::wire {

/// docs/schema/request.schema.json.
[[nodiscard]] Json to_json(const Request& request);

/// A request, of at most 1 MiB. Only "verb" must be there; what is left out is as in a
/// Request that does not say it. Error kUsage: it is none, and where; also for a member or a guard
/// that is not known, as what it asks for would not be done. Whether it makes sense, the engine
/// says.
[[nodiscard]] Result<Request> request_from_json(std::string_view text);

/// The same with "persist" and "recreate", each where it is wanted.
[[nodiscard]] Json to_json(const Wanted& wanted);
[[nodiscard]] Result<Wanted> wanted_from_json(std::string_view text);

}  // namespace anybind::wire
