#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "race/state_hash.h"

namespace anybind::race {

/// What happened so far, as bits that are never taken back: bad things, and dangers that were met.
using Marks = std::uint32_t;

/// One run of a program with several actors, of which one takes one step at a time.
class Execution {
 public:
  Execution() = default;
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;
  virtual ~Execution() = default;

  /// The actors that can take a step now, in ascending order. None: the run is over.
  [[nodiscard]] virtual std::vector<unsigned> enabled() = 0;
  virtual void advance(unsigned actor) = 0;
  /// Equal for two points from which the same can follow.
  [[nodiscard]] virtual Hash key() = 0;
  /// What is true by now; of a run that is over, with what its end says.
  [[nodiscard]] virtual Marks marks(bool over) = 0;
};

/// Begins a run. Every run of the same choices takes the same way.
using Begin = std::function<std::unique_ptr<Execution>()>;

/// The choices of one run: which actor took each step.
using Schedule = std::vector<unsigned>;

constexpr unsigned kMarkBits = 32;

struct SearchOptions {
  /// Points with the same key are gone on from once (a partial order reduction by states: two
  /// orders of steps that do not disturb each other meet in the same point).
  bool reduce = true;
  std::size_t most_points = 2'000'000;
};

struct SearchResult {
  std::uint64_t points = 0;  ///< different ones
  std::uint64_t runs = 0;
  std::uint64_t steps = 0;  ///< taken in all runs, those that only led back to a point included
  double orderings = 0;     ///< how many there are; exact below 2^53
  std::array<double, kMarkBits> with_mark{};  ///< how many of them end with this mark
  /// A shortest run to each mark: of those with the fewest steps the one with the fewest changes of
  /// actor. Without what follows it.
  std::array<std::optional<Schedule>, kMarkBits> shortest{};
  bool complete = true;  ///< false: more points than was allowed, or a contradiction
  /// A run that by its key came to a known point, and went on otherwise: nothing that was found is
  /// to be trusted.
  std::optional<Schedule> contradiction{};
};

/// Every ordering of the steps of the program's actors.
[[nodiscard]] SearchResult search(const Begin& begin, const SearchOptions& options = {});

/// `runs` orderings, each choice of which is drawn with equal chance, from `seed`.
[[nodiscard]] SearchResult sample(const Begin& begin, std::uint64_t runs, std::uint64_t seed);

}  // namespace anybind::race
