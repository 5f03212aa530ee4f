#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "race/monitor.h"
#include "race/scenario.h"
#include "race/search.h"

namespace anybind::race {

/// How one setting is explored.
struct CellOptions {
  SearchOptions search{};
  std::uint64_t random = 0;  ///< so many orderings by chance instead of all
  std::uint64_t seed = 1;
};

/// One field of the table: a mechanism in a scenario, over all settings of it.
struct Cell {
  Question of{};
  double orderings = 0;
  std::uint64_t points = 0;
  std::uint64_t runs = 0;
  std::uint64_t steps = 0;
  bool complete = true;
  struct Finding {
    double orderings = 0;  ///< in how many
    std::string token{};   ///< the shortest one
    std::size_t steps = 0;
  };
  std::array<Finding, kPromises> broken{};
  std::array<Finding, kPromises> mended{};
  std::array<double, kPromises> danger{};

  /// What was found in its setting of this number; in the order of the numbers.
  void add(std::size_t setting, const SearchResult& found);
  [[nodiscard]] bool safe() const;
  [[nodiscard]] bool was_tried() const;
  /// The promise that is broken in the fewest steps; nullopt when all are kept.
  [[nodiscard]] std::optional<unsigned> worst() const;
};

/// `number`: of the setting in its cell.
[[nodiscard]] Result<SearchResult> explore(const Setting& setting, std::size_t number,
                                           const CellOptions& options = {});
/// All settings of a cell.
[[nodiscard]] Result<Cell> explore(const Question& question, const CellOptions& options = {});

/// A run of `setting` from the start, for search().
[[nodiscard]] Result<Begin> begin_of(const Setting& setting);

/// "anybind/same-id/0:a14b9a3", "anybind/same-id/0@7.3:a14b9a3": mechanism, scenarios, number of
/// the setting, the kernel if it is not kUsualKernel, and who took how many steps.
[[nodiscard]] std::string token_of(const Cell& cell, std::size_t setting, const Schedule& schedule);

/// One run, told.
struct Story {
  Setting setting;
  struct Line {
    std::string actor;
    std::string text;
    std::string drivers;  ///< of all devices after it, where that changed
    bool by_tool = false;
    bool interrupted = false;  ///< somebody else came before its end
    std::string answer;
  };
  std::string before;  ///< drivers of all devices at first
  std::vector<Line> lines;
  std::size_t steps = 0;
  std::vector<unsigned> broken;
  std::vector<unsigned> mended;
  bool over = false;  ///< it was followed to its end
};

/// kUsage for a token that is not understood, or does not fit the program any more.
[[nodiscard]] Result<Story> replay(const std::string& token);

}  // namespace anybind::race
