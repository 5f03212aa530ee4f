#pragma once

#include <cstdint>
#include <string>

#include "race/cell.h"

// What the text and the page say of a field of the table.
namespace anybind::race {

/// How a field reads.
enum class Verdict : std::uint8_t { kSafe, kMended, kBroken, kUntested };

/// "B17": the promise and the steps to it. "ok", "ok*" for one that was mended and said, "-" where
/// no danger was met, "?" where not all was explored.
[[nodiscard]] std::string cell_text(const Cell& cell);
[[nodiscard]] Verdict verdict_of(const Cell& cell);
/// "same-id + kill"
[[nodiscard]] std::string names_of(const Cell& cell);
/// What is said of the kernel of a table, in lines of at most 80 columns.
[[nodiscard]] std::string kernel_text(KernelVersion kernel);

}  // namespace anybind::race
