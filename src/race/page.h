#pragma once

#include <string>

#include "race/table.h"

namespace anybind::race {

/// What made a page, and when.
struct Made {
  std::string version;  ///< of anybind
  std::string date;     ///< for people
};

/// One page of HTML that needs nothing else, for a screen, a telephone and a printer: the table,
/// what its rows, columns and letters mean, and the story of each broken promise. An Error only
/// when a story cannot be told, which a fault alone can cause.
[[nodiscard]] Result<std::string> html_of(const Table& table, const Made& made);

}  // namespace anybind::race
