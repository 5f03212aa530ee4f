// Depth first, and stateless as far as the program goes: a point is come back to by running the
// choices that led there again. What is kept of a point is its key and where its steps lead, which
// makes a graph without circles: every step is a step further for some actor, and its place is part
// of the key. The number of orderings is the number of ways through that graph, so they need not be
// walked one by one to be counted.
#include "race/search.h"

#include <algorithm>
#include <bit>
#include <map>
#include <ranges>
#include <utility>

namespace anybind::race {
namespace {

using PointId = std::uint32_t;

struct Edge {
  unsigned actor;
  PointId to;
};

/// There are millions of them.
struct Point {
  std::uint32_t enabled = 0;  ///< a bit for each actor
  Marks marks = 0;
  std::vector<PointId>
      ways;  ///< where each enabled actor that was tried leads to, the lowest first

  [[nodiscard]] unsigned actor(std::size_t number) const {
    std::uint32_t left = enabled;
    for (; number > 0; --number) left &= left - 1;
    return static_cast<unsigned>(std::countr_zero(left));
  }
  [[nodiscard]] bool tried() const {
    return ways.size() == static_cast<std::size_t>(std::popcount(enabled));
  }
  [[nodiscard]] std::vector<Edge> edges() const {
    std::vector<Edge> out;
    out.reserve(ways.size());
    for (std::size_t i = 0; i < ways.size(); ++i) out.push_back({.actor = actor(i), .to = ways[i]});
    return out;
  }
};

std::uint32_t bits_of(const std::vector<unsigned>& actors) {
  std::uint32_t out = 0;
  for (const unsigned actor : actors) out |= 1U << actor;
  return out;
}

/// The best way from a point to a mark, by its first actor.
struct Way {
  std::uint32_t steps = 0;
  std::uint32_t changes = 0;
  PointId next = 0;
  unsigned actor = 0;
};

class Search {
 public:
  Search(const Begin& begin, const SearchOptions& options) : begin_(begin), options_(options) {}

  SearchResult run() {
    bool more = true;
    while (more) more = one_run();
    finish();
    return std::move(result_);
  }

 private:
  struct Stop {
    PointId point;
    std::size_t next;  ///< which of its enabled actors goes
  };

  /// The point that the execution stands at, and whether it was not known.
  std::pair<PointId, bool> arrive(Execution& execution) {
    const auto next = static_cast<PointId>(points_.size());
    if (options_.reduce) {
      const auto [at, fresh] = known_.try_emplace(execution.key(), next);
      if (!fresh) return {at->second, false};
    }
    Point& point = points_.emplace_back();
    point.enabled = bits_of(execution.enabled());
    point.marks = execution.marks(point.enabled == 0);
    all_marks_ |= point.marks;
    return {next, true};
  }

  void advance(Execution& execution, unsigned actor) {
    ++result_.steps;
    execution.advance(actor);
  }

  /// Runs the choices on the stack, then goes on until a point is known or nobody can go on. False:
  /// everything was tried.
  bool one_run() {
    ++result_.runs;
    const auto execution = begin_();
    if (stack_.empty()) {
      if (!points_.empty()) return false;
      stack_.push_back({arrive(*execution).first, 0});
    } else {
      for (std::size_t i = 0; i + 1 < stack_.size(); ++i) {
        advance(*execution, points_[stack_[i].point].actor(stack_[i].next));
      }
    }
    for (;;) {
      const Stop at = stack_.back();
      if (points_[at.point].enabled == 0) break;
      if (points_.size() >= options_.most_points) {
        result_.complete = false;
        return false;
      }
      const unsigned actor = points_[at.point].actor(at.next);
      advance(*execution, actor);
      const auto [to, fresh] = arrive(*execution);
      points_[at.point].ways.push_back(to);
      if (!fresh) break;
      stack_.push_back({to, 0});
    }
    return back();
  }

  /// To the last point that has an actor which was not tried.
  bool back() {
    while (!stack_.empty()) {
      Stop& at = stack_.back();
      const Point& point = points_[at.point];
      if (!point.tried()) {
        at.next = point.ways.size();
        return true;
      }
      finished_.push_back(at.point);
      stack_.pop_back();
    }
    return false;
  }

  // ---- what the graph says

  void finish() {
    result_.points = points_.size();
    while (!stack_.empty()) {  // of a search that was cut short
      finished_.push_back(stack_.back().point);
      stack_.pop_back();
    }
    count();
    for (unsigned bit = 0; bit < kMarkBits; ++bit) {
      if ((all_marks_ >> bit & 1U) != 0) find_shortest(bit);
    }
  }

  /// Ways from the start to each point; a point comes after all that lead to it.
  void count() {
    std::vector<double> ways(points_.size(), 0);
    ways[0] = 1;
    for (const PointId id : finished_ | std::views::reverse) {
      const Point& point = points_[id];
      for (const PointId to : point.ways) ways[to] += ways[id];
      if (!point.ways.empty()) continue;
      result_.orderings += ways[id];
      for (unsigned bit = 0; bit < kMarkBits; ++bit) {
        if ((point.marks >> bit & 1U) != 0) result_.with_mark.at(bit) += ways[id];
      }
    }
  }

  /// The better of two ways for whoever comes from `actor`.
  static bool better(const Way& a, const Way& b, std::optional<unsigned> actor) {
    const auto cost = [&](const Way& way) {
      const std::uint32_t change = actor && way.steps > 0 && way.actor != *actor ? 1 : 0;
      return std::tuple(way.steps, way.changes + change, way.actor);
    };
    return cost(a) < cost(b);
  }

  void find_shortest(unsigned bit) {
    std::vector<std::vector<Way>> ways(points_.size());
    for (const PointId id : finished_) {
      const Point& point = points_[id];
      if ((point.marks >> bit & 1U) != 0) {
        ways[id] = {Way{}};
        continue;
      }
      for (const Edge& edge : point.edges()) {
        const Way* best = nullptr;
        for (const Way& way : ways[edge.to]) {
          if (best == nullptr || better(way, *best, edge.actor)) best = &way;
        }
        if (best == nullptr) continue;
        const std::uint32_t change = best->steps > 0 && best->actor != edge.actor ? 1 : 0;
        ways[id].push_back({.steps = best->steps + 1,
                            .changes = best->changes + change,
                            .next = edge.to,
                            .actor = edge.actor});
      }
    }
    if (ways[0].empty()) return;
    Schedule schedule;
    std::optional<unsigned> before;
    for (PointId at = 0; (points_[at].marks >> bit & 1U) == 0;) {
      const auto best = std::ranges::min_element(
          ways[at], [&](const Way& a, const Way& b) { return better(a, b, before); });
      schedule.push_back(best->actor);
      before = best->actor;
      at = best->next;
    }
    result_.shortest.at(bit) = std::move(schedule);
  }

  const Begin& begin_;
  SearchOptions options_;
  SearchResult result_;
  std::vector<Point> points_;
  std::map<Hash, PointId> known_;
  Marks all_marks_ = 0;  ///< of any point
  std::vector<Stop> stack_;
  std::vector<PointId> finished_;  ///< a point after all that it leads to
};

/// splitmix64: the same numbers everywhere.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::size_t below(std::size_t bound) {
    state_ += 0x9E3779B97F4A7C15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EB;
    return static_cast<std::size_t>((z ^ (z >> 31U)) % bound);
  }

 private:
  std::uint64_t state_;
};

/// Keeps `schedule` for each of the marks that have none or a longer one.
void keep_shorter(SearchResult& result, Marks marks, const Schedule& schedule) {
  for (unsigned bit = 0; bit < kMarkBits; ++bit) {
    auto& kept = result.shortest.at(bit);
    if ((marks >> bit & 1U) != 0 && (!kept || kept->size() > schedule.size())) kept = schedule;
  }
}

}  // namespace

SearchResult search(const Begin& begin, const SearchOptions& options) {
  return Search(begin, options).run();
}

SearchResult sample(const Begin& begin, std::uint64_t runs, std::uint64_t seed) {
  SearchResult result;
  result.complete = false;
  Dice dice(seed);
  for (; result.runs < runs; ++result.runs) {
    const auto execution = begin();
    Schedule schedule;
    Marks before = 0;
    for (;;) {
      const auto enabled = execution->enabled();
      const Marks marks = execution->marks(enabled.empty());
      keep_shorter(result, marks & ~before, schedule);
      before = marks;
      if (enabled.empty()) break;
      schedule.push_back(enabled[dice.below(enabled.size())]);
      execution->advance(schedule.back());
    }
    result.steps += schedule.size();
    result.orderings += 1;
    for (unsigned bit = 0; bit < kMarkBits; ++bit) {
      if ((before >> bit & 1U) != 0) result.with_mark.at(bit) += 1;
    }
  }
  return result;
}

}  // namespace anybind::race
