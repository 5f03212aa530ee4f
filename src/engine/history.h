#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "host/host.h"
#include "record/journal.h"

namespace anybind {

/// A change of the journal; `entry` is empty for a file that cannot be understood.
struct PastChange {
  std::uint64_t id = 0;
  std::string result;           ///< in a word or two: "done", "failed", "another boot"
  std::uint64_t undone_by = 0;  ///< 0: it stands
  std::optional<JournalEntry> entry{};
};

/// What the journal of `host` holds, newest first; reads only. kNotPermitted: it may not be read.
[[nodiscard]] Result<std::vector<PastChange>> read_history(const Host& host);

}  // namespace anybind
