#pragma once

#include <string>
#include <vector>

#include "base/advice.h"
#include "wire/json.h"

namespace anybind::wire {

/// How whoever shows a remark says it. In JSON a remark for people is a text in these words.
using Wording = std::string (*)(const Remark&);

/// Each in `wording`.
[[nodiscard]] Json texts_of(const std::vector<Remark>& remarks, Wording wording);

/// A remark as a value, which whoever reads it says in words of its own: an array of texts, and of
/// actions with their operands ("remark" in docs/schema/error.schema.json).
[[nodiscard]] Json to_json(const Remark& remark);
[[nodiscard]] Json to_json(const std::vector<Remark>& remarks);

}  // namespace anybind::wire
