// history: what the journal holds.
#include <ranges>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/try.h"
#include "cli/answer.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/table.h"
#include "cli/verb.h"
#include "engine/engine.h"
#include "wire/history.h"

namespace anybind::cli {
namespace {

/// A row of the table; `entry` is empty for a file that cannot be understood.
struct Row {
  std::uint64_t id = 0;
  std::string when;
  std::string result;
  std::uint64_t undone_by = 0;  ///< 0: it stands
  std::string devices;
  std::string command;
  std::optional<JournalEntry> entry;
};

/// Of a change by itself; what others have made of it comes on top.
std::string result_of(const Journal& journal, const JournalEntry& entry, bool is_open,
                      bool is_locked) {
  if (entry.boot != journal.boot_id()) return "another boot";
  // Whoever changes bindings holds the lock, and has begun the newest.
  if (is_open && is_locked && entry.id == journal.open().back()) return "running";
  if (is_open) return entry.stuck.empty() ? "open" : "stuck";
  if (!entry.ending) return "ended";
  return *entry.ending == Ending::kDone ? "done" : "failed";
}

Row row_of(const Journal& journal, std::uint64_t id, bool is_open, bool is_locked) {
  Row row{.id = id, .when = "-", .result = "not readable", .devices = "-", .command = "-"};
  auto entry = journal.read(id);
  if (!entry || !*entry) return row;
  row.entry = **std::move(entry);
  row.when = time_text(row.entry->time);
  row.result = result_of(journal, *row.entry, is_open, is_locked);
  row.devices = fmt::format("{}", row.entry->devices.size());
  row.command = row.entry->command;
  return row;
}

std::vector<Row> rows_of(const Journal& journal, bool is_locked) {
  std::vector<Row> rows;
  for (const std::uint64_t id : journal.open())
    rows.push_back(row_of(journal, id, true, is_locked));
  for (const std::uint64_t id : journal.closed())
    rows.push_back(row_of(journal, id, false, is_locked));
  std::ranges::sort(rows, std::greater(), &Row::id);
  for (const Row& row : rows) {
    if (row.result != "done" || row.entry->undoes == 0) continue;
    const auto undone = std::ranges::find(rows, row.entry->undoes, &Row::id);
    if (undone != rows.end() && undone->result == "done") undone->undone_by = row.id;
  }
  return rows;
}

/// "undone by 4", "undo of 3"
std::string result_text(const Row& row) {
  if (row.result != "done") return row.result;
  if (row.undone_by != 0) return fmt::format("undone by {}", row.undone_by);
  if (row.entry->undoes != 0) return fmt::format("undo of {}", row.entry->undoes);
  return row.result;
}

wire::Json json_of(const std::vector<Row>& rows) {
  wire::Json out = wire::Json::array();
  for (const Row& row : rows) {
    out.push_back(wire::to_json(
        {.id = row.id, .result = row.result, .undone_by = row.undone_by, .entry = row.entry}));
  }
  return out;
}

void print_rows(const Context& context, const std::vector<Row>& rows) {
  static constexpr Column kColumns[] = {{.title = "ID"},
                                        {.title = "WHEN"},
                                        {.title = "RESULT"},
                                        {.title = "DEVICES"},
                                        {.title = "COMMAND", .shrinks = true}};
  std::vector<std::string> ids;
  std::vector<std::string> results;
  for (const Row& row : rows) {
    ids.push_back(fmt::format("{}", row.id));
    results.push_back(result_text(row));
  }
  const auto fill = [&](std::size_t at, std::span<Cell> cells) {
    const Row& row = rows[at];
    const bool notable = row.result != "done";
    cells[0] = {.text = ids[at]};
    cells[1] = {.text = row.when};
    cells[2] = {.text = results[at], .style = notable ? Style::kNotable : Style::kGood};
    cells[3] = {.text = row.devices};
    cells[4] = {.text = row.command};
  };
  print_table(kColumns, rows.size(), fill, {.color = context.color, .width = context.width},
              [&](std::string_view text) { say(context.out, "{}", text); });
}

Result<int> run_history(Context& context) {
  const bool is_locked = context.session.host().storage->is_locked();
  const Memory memory = TRY(read_memory(context.session.host()));
  const auto rows = rows_of(memory.journal, is_locked);
  if (context.json) {
    answer(context, json_of(rows));
  } else if (!rows.empty()) {
    print_rows(context, rows);
  }
  return 0;
}

}  // namespace

Run setup_history(CLI::App& /*app*/) {
  return run_history;
}

}  // namespace anybind::cli
