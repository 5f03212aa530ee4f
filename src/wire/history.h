#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "change/recover.h"
#include "record/journal.h"
#include "wire/json.h"
#include "wire/remark.h"

namespace anybind::wire {

/// A change of the journal; `entry` is empty for a file that cannot be understood.
struct PastChange {
  std::uint64_t id = 0;
  std::string result;  ///< in a word or two: "done", "failed", "another boot"
  std::uint64_t undone_by = 0;
  std::optional<JournalEntry> entry{};
};

/// docs/schema/history.schema.json.
[[nodiscard]] Json to_json(const PastChange& change);

/// docs/schema/recover.schema.json. Its errors are messages in words, for which there is
/// "failure" as an object.
[[nodiscard]] Json to_json(const Recovered& change, Wording wording);
[[nodiscard]] Json to_json(const std::vector<Recovered>& changes, Wording wording);

}  // namespace anybind::wire
