#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "race/field.h"
#include "race/table.h"

namespace anybind::race {

/// How the table is written for a person.
struct TableForm {
  /// Columns there are: the table is written in parts that fit. 0: in one piece.
  unsigned width = 0;
  /// Gives a field its colours; none where nothing stands.
  std::function<std::string(std::string_view text, Verdict verdict)> paint{};
  /// Also the token of each counterexample; else only where there are few.
  bool all_tokens = false;
};

/// The table, and what its letters, rows and columns mean, in lines of at most 80 columns, but for
/// the table itself where the form has no width.
[[nodiscard]] std::string text_of(const Table& table, const TableForm& form = {});
/// What it found, field by field, with counts and tokens.
[[nodiscard]] nlohmann::ordered_json json_of(const Table& table);

/// Who does what, in two columns.
[[nodiscard]] std::string text_of(const Story& story);
[[nodiscard]] nlohmann::ordered_json json_of(const Story& story, const std::string& token);
/// The same as a shell script, with the moments marked at which something must come between.
[[nodiscard]] std::string script_of(const Story& story, const std::string& token);

}  // namespace anybind::race
