// history: what the journal holds.
#include <array>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/try.h"
#include "cli/answer.h"
#include "cli/say.h"
#include "cli/service.h"
#include "cli/session.h"
#include "cli/table.h"
#include "cli/verb.h"
#include "engine/history.h"
#include "wire/history.h"

namespace anybind::cli {
namespace {

/// "undone by 4", "undo of 3"
std::string result_text(const wire::ToldChange& row) {
  if (row.result != "done") return row.result;
  if (row.undone_by != 0) return fmt::format("undone by {}", row.undone_by);
  if (row.undo_of != 0) return fmt::format("undo of {}", row.undo_of);
  return row.result;
}

void print_rows(const Context& context, const std::vector<wire::ToldChange>& rows) {
  static constexpr Column kColumns[] = {{.title = "ID"},
                                        {.title = "WHEN"},
                                        {.title = "RESULT"},
                                        {.title = "DEVICES"},
                                        {.title = "COMMAND", .shrinks = true}};
  std::vector<std::array<std::string, 5>> texts;
  texts.reserve(rows.size());
  for (const wire::ToldChange& row : rows) {
    texts.push_back({fmt::format("{}", row.id), row.time ? time_text(*row.time) : "-",
                     result_text(row), row.time ? fmt::format("{}", row.devices.size()) : "-",
                     row.time ? row.command : "-"});
  }
  const auto fill = [&](std::size_t at, std::span<Cell> cells) {
    for (std::size_t i = 0; i < texts[at].size(); ++i) cells[i] = {.text = texts[at][i]};
    cells[2].style = rows[at].result != "done" ? Style::kNotable : Style::kGood;
  };
  print_table(kColumns, rows.size(), fill, {.color = context.color, .width = context.width},
              [&](std::string_view text) { say(context.out, "{}", text); });
}

Result<int> print_history(const Context& context, std::string_view json) {
  const auto rows = TRY(wire::history_from_json(json));
  if (!rows.empty()) print_rows(context, rows);
  if (rows.empty() && context.verbosity >= 0)
    say(context.out, "anybind has changed nothing since the boot\n");
  return 0;
}

/// The journal is root's; the service tells everybody of it.
Result<int> run_history(Context& context) {
  const auto changes = read_history(context.session.host());
  std::string json;
  if (!changes && changes.error().kind == ErrorKind::kNotPermitted) {
    const auto served = ask_service(context, "History");
    if (!served) return fail(changes.error());
    json = TRY(*served);
  } else {
    json = wire::text_of(wire::to_json(TRY(changes)));
  }
  if (!context.json) return print_history(context, json);
  answer_text(context, json);
  return 0;
}

}  // namespace

Run setup_history(CLI::App& /*app*/) {
  return run_history;
}

}  // namespace anybind::cli
