#pragma once

#include <string_view>

#include "base/error.h"
#include "wire/json.h"
#include "wire/remark.h"

namespace anybind::wire {

/// docs/schema/error.schema.json; details are in `wording`, and the advice is a value. Without
/// "exit" and "next": which number and which words of a command line an error means is the
/// command's own.
[[nodiscard]] Json to_json(const Error& error, Wording wording);

/// What to_json() wrote, of at most 1 MiB; members that it does not know are passed over. A `why`
/// that only said the errno again is empty. Error kUsage: it is none, and where.
[[nodiscard]] Result<Error> error_from_json(std::string_view text);

}  // namespace anybind::wire
