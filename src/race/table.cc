#include "race/table.h"

#include <algorithm>
#include <optional>
#include <thread>

#include "base/threads.h"
#include "base/try.h"

namespace anybind::race {
namespace {

/// One setting of a cell: the cells differ too much in size to be shared out whole.
struct Job {
  std::size_t cell;
  std::size_t number;
  Setting setting;
};

/// Explores `cells`, of which only the questions are there yet.
Result<std::vector<Cell>> explore_all(std::vector<Cell> cells, const TableRequest& request) {
  std::vector<Job> jobs;
  for (std::size_t cell = 0; cell < cells.size(); ++cell) {
    auto settings = settings_of(cells[cell].of);
    for (std::size_t i = 0; i < settings.size(); ++i) {
      jobs.push_back({.cell = cell, .number = i, .setting = std::move(settings[i])});
    }
  }
  std::vector<std::optional<Result<SearchResult>>> found(jobs.size());
  const unsigned wanted =
      request.threads > 0 ? request.threads : std::max(1U, std::thread::hardware_concurrency());
  each_in_threads(jobs.size(), wanted, [&](std::size_t i) {
    found[i] = explore(jobs[i].setting, jobs[i].number, request.cell);
  });
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    cells[jobs[i].cell].add(jobs[i].number, TRY(std::move(*found[i])));
  }
  return cells;
}

/// The same program is not killed twice.
bool can_be_paired(const Scenario& a, const Scenario& b) {
  return a.name != "alone" && b.name != "alone" && !(a.kill && b.kill);
}

}  // namespace

Result<Table> make_table(const TableRequest& request) {
  Table table{.kernel = request.kernel, .mechanisms = {}, .scenarios = request.scenarios};
  std::vector<Cell> cells;
  const auto ask = [&](const Mechanism* mechanism, std::vector<const Scenario*> scenarios) {
    cells.push_back(
        {.of = {
             .mechanism = mechanism, .scenarios = std::move(scenarios), .kernel = request.kernel}});
  };
  for (const Mechanism* mechanism : request.mechanisms) {
    if (!profile_of(*mechanism, request.kernel)) continue;
    table.mechanisms.push_back(mechanism);
    for (const Scenario* scenario : request.scenarios) ask(mechanism, {scenario});
  }
  table.cells = TRY(explore_all(std::move(cells), request));
  if (!request.pairs) return table;
  cells.clear();
  for (std::size_t row = 0; row < table.mechanisms.size(); ++row) {
    if (table.mechanisms[row]->is_policy) continue;  // three actors of its own are enough
    for (std::size_t a = 0; a < table.scenarios.size(); ++a) {
      for (std::size_t b = a + 1; b < table.scenarios.size(); ++b) {
        if (!can_be_paired(*table.scenarios[a], *table.scenarios[b])) continue;
        if (!table.at(row, a).safe() || !table.at(row, b).safe()) continue;
        ask(table.mechanisms[row], {table.scenarios[a], table.scenarios[b]});
      }
    }
  }
  table.pairs = TRY(explore_all(std::move(cells), request));
  return table;
}

}  // namespace anybind::race
