#pragma once

#include <functional>
#include <vector>

#include "race/cell.h"

namespace anybind::race {

struct TableRequest {
  std::vector<const Mechanism*> mechanisms{};
  std::vector<const Scenario*> scenarios{};
  KernelVersion kernel = kUsualKernel;
  /// Two scenarios at once: every two of them that the mechanism survives singly. Not of policy.
  bool pairs = false;
  CellOptions cell{};
  unsigned threads = 0;  ///< 0: as many as there are processors
};

struct Table {
  KernelVersion kernel = kUsualKernel;
  std::vector<const Mechanism*> mechanisms;  ///< those of the request that the kernel can have
  std::vector<const Scenario*> scenarios;
  std::vector<Cell> cells;  ///< mechanism by mechanism, in each scenario by scenario
  std::vector<Cell> pairs;  ///< likewise, as far as they were asked for

  [[nodiscard]] const Cell& at(std::size_t mechanism, std::size_t scenario) const {
    return cells[mechanism * scenarios.size() + scenario];
  }
};

/// The same for the same request, however many threads there are.
[[nodiscard]] Result<Table> make_table(const TableRequest& request);

}  // namespace anybind::race
