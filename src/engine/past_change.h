#pragma once

#include <cstdint>
#include <optional>

#include "base/error.h"
#include "record/journal.h"

namespace anybind {

/// The change that an undo takes back: that of this number; without one the newest that was done in
/// this boot, is no undo itself and has not been undone. kNotFound: there is none, or it left
/// nothing to take back.
[[nodiscard]] Result<JournalEntry> change_to_undo(const Journal& journal,
                                                  std::optional<std::uint64_t> number);

}  // namespace anybind
