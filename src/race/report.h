#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "race/table.h"

namespace anybind::race {

/// The table for a terminal of 80 columns, and what its letters mean.
[[nodiscard]] std::string text_of(const Table& table);
/// What it found, cell by cell, with counts and tokens.
[[nodiscard]] nlohmann::ordered_json json_of(const Table& table);
/// One page that needs nothing else: the table, and the story of each broken promise.
[[nodiscard]] Result<std::string> html_of(const Table& table);

/// Who does what, in two columns.
[[nodiscard]] std::string text_of(const Story& story);
[[nodiscard]] nlohmann::ordered_json json_of(const Story& story, const std::string& token);
/// The same as a shell script, with the moments marked at which something must come between.
[[nodiscard]] std::string script_of(const Story& story, const std::string& token);

}  // namespace anybind::race
