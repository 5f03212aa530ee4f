// Stateless as far as the program goes: a point is come back to by running choices that lead there
// again. What is kept of a point is its key and where its steps lead, which makes a graph without
// circles: every step is a step further for some actor, and its place is part of the key. Each step
// of it has to be taken once. So that little time goes into ways back, a run begins with the
// missing step that is nearest to the start, and when it comes to a known point it goes on to the
// next missing step behind that, until there is none. So the steps behind a point are taken after
// other ways to it than the first, which shows whether its key holds all that decides what follows:
// before each missing step the key is compared. The number of orderings is the number of ways
// through the graph, so they need not be walked one by one to be counted.
#include "race/search.h"

#include <algorithm>
#include <bit>
#include <ranges>
#include <utility>

namespace anybind::race {
namespace {

using PointId = std::uint32_t;

struct Edge {
  unsigned actor;
  PointId to;
};

/// There are millions of them, and they are come to in no order: one line of the cache holds each.
struct alignas(64) Point {
  Hash key;                   ///< where points with the same key are one
  std::vector<PointId> ways;  ///< where each enabled actor that was tried leads to, lowest first
  std::uint32_t enabled = 0;  ///< a bit for each actor
  Marks marks = 0;
  PointId from = 0;  ///< where it was first come to from; of the start, itself
  std::uint32_t depth = 0;
  std::uint8_t by = 0;  ///< by whose step it was first come to
  bool closed = false;  ///< no step is missing here and behind it

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

/// Which point has a key: open addressing, as there are too many for a node each.
class Known {
 public:
  /// The point with this key, or else where it is to be put.
  PointId& operator()(const Hash& key, const std::vector<Point>& points) {
    if (points.size() * 2 >= slots_.size()) grow(points);
    return slot_of(key, points);
  }
  static constexpr PointId kNone = UINT32_MAX;

 private:
  PointId& slot_of(const Hash& key, const std::vector<Point>& points) {
    for (std::size_t at = key.low_bits();; ++at) {
      PointId& slot = slots_[at & (slots_.size() - 1)];
      if (slot == kNone || points[slot].key == key) return slot;
    }
  }
  void grow(const std::vector<Point>& points) {
    constexpr std::size_t kSmallest = 1024;
    slots_.assign(std::max(kSmallest, slots_.size() * 2), kNone);
    for (PointId id = 0; id < points.size(); ++id) slot_of(points[id].key, points) = id;
  }

  std::vector<PointId> slots_;  ///< a power of two of them
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
    arrive(*begin_(), 0, 0);
    while (const auto start = nearest_missing()) {
      if (!one_run(*start)) break;
    }
    finish();
    return std::move(result_);
  }

 private:
  /// A point on a way, and which of its enabled actors goes on from there.
  struct Stop {
    PointId point;
    std::size_t next;
  };

  /// The point that the execution stands at, by a step of `by` from another.
  PointId arrive(Execution& execution, PointId from, unsigned by) {
    const auto next = static_cast<PointId>(points_.size());
    Hash key;
    if (options_.reduce) {
      key = execution.key();
      PointId& known = known_(key, points_);
      if (known != Known::kNone) return known;
      known = next;
    }
    Point& point = points_.emplace_back();
    point.key = key;
    point.enabled = bits_of(execution.enabled());
    point.marks = execution.marks(point.enabled == 0);
    point.from = from;
    point.by = static_cast<std::uint8_t>(by);
    point.depth = next == 0 ? 0 : points_[from].depth + 1;
    all_marks_ |= point.marks;
    if (at_depth_.size() <= point.depth) at_depth_.resize(point.depth + 1);
    at_depth_[point.depth].push_back(next);
    return next;
  }

  /// Whether the execution, which took another way than the first, stands where it should.
  bool stands_at(Execution& execution, PointId id) {
    return !options_.reduce || execution.key() == points_[id].key;
  }

  void advance(Execution& execution, unsigned actor) {
    ++result_.steps;
    execution.advance(actor);
  }

  /// A point of the smallest depth that has a step which was never taken.
  std::optional<PointId> nearest_missing() {
    for (; nearest_ < at_depth_.size(); ++nearest_) {
      auto& points = at_depth_[nearest_];
      while (!points.empty() && points_[points.back()].tried()) points.pop_back();
      if (!points.empty()) return points.back();
    }
    return std::nullopt;
  }

  /// Makes way_ the steps from a point to the first that was never taken, which is the last of
  /// them; none when nothing is missing.
  void find_way_to_missing(PointId from) {
    way_.assign(1, {.point = from, .next = 0});
    while (!way_.empty()) {
      Stop& at = way_.back();
      Point& point = points_[at.point];
      if (!point.tried()) {
        at.next = point.ways.size();
        return;
      }
      while (at.next < point.ways.size() && points_[point.ways[at.next]].closed) ++at.next;
      if (at.next < point.ways.size()) {
        way_.push_back({.point = point.ways[at.next], .next = 0});
      } else {
        point.closed = true;
        way_.pop_back();
      }
    }
  }

  /// To `start`, and on as long as steps are missing. False: the search is to end.
  bool one_run(PointId start) {
    ++result_.runs;
    const auto execution = begin_();
    taken_.clear();
    for (PointId at = start; at != 0; at = points_[at].from) taken_.push_back(points_[at].by);
    std::ranges::reverse(taken_);
    for (const unsigned actor : taken_) advance(*execution, actor);
    for (PointId at = start;;) {
      find_way_to_missing(at);
      if (way_.empty()) return true;
      result_.complete = points_.size() < options_.most_points;
      if (!result_.complete) return false;
      for (const Stop& stop : way_ | std::views::take(way_.size() - 1)) {
        taken_.push_back(points_[stop.point].actor(stop.next));
        advance(*execution, taken_.back());
      }
      const auto [from, next] = way_.back();
      const bool just_arrived = at != start && way_.size() == 1;
      if (!just_arrived && !stands_at(*execution, from)) {
        result_.complete = false;
        result_.contradiction = taken_;
        return false;
      }
      taken_.push_back(points_[from].actor(next));
      advance(*execution, taken_.back());
      at = arrive(*execution, from, taken_.back());
      points_[from].ways.push_back(at);
    }
  }

  // ---- what the graph says

  void finish() {
    result_.points = points_.size();
    order();
    count();
    for (unsigned bit = 0; bit < kMarkBits; ++bit) {
      if ((all_marks_ >> bit & 1U) != 0) find_shortest(bit);
    }
  }

  void order() {
    std::vector<bool> seen(points_.size());
    std::vector<Stop> way = {{.point = 0, .next = 0}};
    while (!way.empty()) {
      Stop& at = way.back();
      const Point& point = points_[at.point];
      if (at.next == point.ways.size()) {
        finished_.push_back(at.point);
        way.pop_back();
        continue;
      }
      const PointId to = point.ways[at.next++];
      if (seen[to]) continue;
      seen[to] = true;
      way.push_back({.point = to, .next = 0});
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
  Known known_;
  Marks all_marks_ = 0;  ///< of any point
  std::vector<std::vector<PointId>> at_depth_;
  std::size_t nearest_ = 0;        ///< less deep there is no step that is missing
  Schedule taken_;                 ///< in the run
  std::vector<Stop> way_;          ///< of find_way_to_missing()
  std::vector<PointId> finished_;  ///< each point after all that it leads to
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
