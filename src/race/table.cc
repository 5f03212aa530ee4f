#include "race/table.h"
#include "base/try.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>

namespace anybind::race {
namespace {

struct Job {
  const Mechanism* mechanism;
  std::vector<const Scenario*> scenarios;
};

Result<std::vector<Cell>> explore_all(const std::vector<Job>& jobs, const TableRequest& request) {
  std::vector<std::optional<Result<Cell>>> found(jobs.size());
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < jobs.size(); i = next++) {
      found[i] = explore(*jobs[i].mechanism, jobs[i].scenarios, request.cell);
    }
  };
  const unsigned wanted =
      request.threads > 0 ? request.threads : std::max(1U, std::thread::hardware_concurrency());
  {
    std::vector<std::jthread> helpers;
    for (unsigned i = 1; i < wanted && i < jobs.size(); ++i) helpers.emplace_back(work);
    work();
  }
  std::vector<Cell> cells;
  cells.reserve(jobs.size());
  for (auto& cell : found) cells.push_back(TRY(std::move(*cell)));
  return cells;
}

}  // namespace

Result<Table> make_table(const TableRequest& request) {
  Table table{.mechanisms = request.mechanisms, .scenarios = request.scenarios};
  std::vector<Job> jobs;
  for (const Mechanism* mechanism : request.mechanisms) {
    for (const Scenario* scenario : request.scenarios) jobs.push_back({mechanism, {scenario}});
  }
  table.cells = TRY(explore_all(jobs, request));
  if (!request.pairs) return table;
  jobs.clear();
  for (std::size_t row = 0; row < table.mechanisms.size(); ++row) {
    for (std::size_t a = 0; a < table.scenarios.size(); ++a) {
      for (std::size_t b = a + 1; b < table.scenarios.size(); ++b) {
        const bool alone = table.scenarios[a]->name == "alone";
        if (alone || !table.at(row, a).safe() || !table.at(row, b).safe()) continue;
        jobs.push_back({table.mechanisms[row], {table.scenarios[a], table.scenarios[b]}});
      }
    }
  }
  table.pairs = TRY(explore_all(jobs, request));
  return table;
}

}  // namespace anybind::race
