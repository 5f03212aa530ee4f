// The search against programs whose number of orderings is known, and the reduction against the
// search without it.
#include "race/search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "race/cell.h"
#include "race/table.h"

/// AddressSanitizer asks for this in its build. A look-out for the use of dead frames costs it
/// memory of its own for each fibre, and five times the time; the other test programs have that
/// look-out over the same code.
// NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming): its name
extern "C" const char* __asan_default_options() {
  return "detect_stack_use_after_return=0";
}

namespace anybind::race {
namespace {

/// Actors that take so many steps each; one step can be the last that another waits for.
class Counters final : public Execution {
 public:
  Counters(std::vector<unsigned> steps, bool shared) : left_(std::move(steps)), shared_(shared) {}
  std::vector<unsigned> enabled() override {
    std::vector<unsigned> out;
    for (unsigned i = 0; i < left_.size(); ++i) {
      if (left_[i] > 0) out.push_back(i);
    }
    return out;
  }
  void advance(unsigned actor) override {
    --left_[actor];
    order_ = order_ * 31 + actor + 1;
    // Mark 0: actor 1 ended before actor 0 took a step.
    if (left_.size() > 1 && left_[1] == 0 && actor == 1) first_ = order_;
    if (actor == 0 && !started_) {
      started_ = true;
      if (left_.size() > 1 && left_[1] == 0) marks_ |= 1U;
    }
  }
  Hash key() override {
    Hash hash;
    for (const unsigned left : left_) hash.add(left);
    hash.add(marks_);
    if (shared_) hash.add(order_);  // every step is seen by all
    return hash;
  }
  Marks marks(bool /*over*/) override { return marks_; }

 private:
  std::vector<unsigned> left_;
  bool shared_;
  bool started_ = false;
  std::uint64_t order_ = 0;
  std::uint64_t first_ = 0;
  Marks marks_ = 0;
};

Begin program(const std::vector<unsigned>& steps, bool shared = false) {
  return [steps, shared] { return std::make_unique<Counters>(steps, shared); };
}

/// (a+b+...)! / (a! b! ...)
double multinomial(const std::vector<unsigned>& steps) {
  double out = 1;
  unsigned done = 0;
  for (const unsigned each : steps) {
    for (unsigned i = 1; i <= each; ++i) out = out * ++done / i;
  }
  return std::round(out);
}

TEST(Search, TriesEveryOrderingOnceWithoutTheReduction) {
  for (const std::vector<unsigned>& steps : std::vector<std::vector<unsigned>>{
           {1}, {5}, {1, 1}, {3, 4}, {2, 2, 2}, {6, 6}, {1, 2, 3, 1}, {3, 3, 3}}) {
    const auto all = search(program(steps), {.reduce = false});
    EXPECT_EQ(all.orderings, multinomial(steps));
    EXPECT_EQ(static_cast<double>(all.runs), multinomial(steps));
    EXPECT_TRUE(all.complete);
  }
}

TEST(Search, CountsTheSameOrderingsWithTheReduction) {
  for (const std::vector<unsigned>& steps :
       std::vector<std::vector<unsigned>>{{3, 4}, {6, 6}, {3, 3, 3}, {10, 10, 10}}) {
    const auto reduced = search(program(steps));
    EXPECT_EQ(reduced.orderings, multinomial(steps));
  }
  // Nothing to reduce where every step is seen by all others.
  EXPECT_EQ(static_cast<double>(search(program({4, 4}, true)).runs), multinomial({4, 4}));
  // Independent steps meet: as many points as there are pairs of places, and the mark's.
  EXPECT_LT(search(program({20, 20})).points, 2U * 21 * 21);
}

TEST(Search, FindsTheOneOrderingAndTheShortestWayToIt) {
  // Of C(7,3) orderings one has all four steps of actor 1 first.
  const auto found = search(program({3, 4}));
  EXPECT_EQ(found.with_mark[0], 1);
  ASSERT_TRUE(found.shortest[0]);
  EXPECT_EQ(*found.shortest[0], (Schedule{1, 1, 1, 1, 0}));
  EXPECT_FALSE(found.shortest[1]);
}

TEST(Search, StopsAtItsBoundAndSaysSo) {
  EXPECT_FALSE(search(program({30, 30}), {.most_points = 100}).complete);
}

/// Actor 0 remembers whether actor 1 had gone, takes a step more then, and its key does not tell.
class Forgetful final : public Execution {
 public:
  std::vector<unsigned> enabled() override {
    std::vector<unsigned> out;
    if (steps_ < (saw_ ? 4U : 3U)) out.push_back(0);
    if (!gone_) out.push_back(1);
    if (others_ < 3) out.push_back(2);
    return out;
  }
  void advance(unsigned actor) override {
    if (actor == 0 && steps_++ == 0) saw_ = gone_;
    if (actor == 1) gone_ = true;
    if (actor == 2) ++others_;
  }
  Hash key() override {
    Hash hash;
    hash.add(steps_ + (saw_ && steps_ > 1 ? 10U : 0U));
    hash.add(gone_ ? 1 : 0);
    hash.add(others_);
    return hash;
  }
  Marks marks(bool /*over*/) override { return 0; }

 private:
  unsigned steps_ = 0;
  unsigned others_ = 0;
  bool gone_ = false;
  bool saw_ = false;
};

TEST(Search, SaysSoWhenAKeyDoesNotHoldAllThatDecides) {
  const auto found = search([] { return std::make_unique<Forgetful>(); });
  EXPECT_FALSE(found.complete);
  EXPECT_TRUE(found.contradiction);
  EXPECT_FALSE(
      search([] { return std::make_unique<Forgetful>(); }, {.reduce = false}).contradiction);
}

/// A run goes on behind what is known, so that each step costs little more than itself.
TEST(Search, TakesFewStepsTwice) {
  const auto found = search(program({20, 20, 20}));
  const std::uint64_t different = std::uint64_t{3} * 20 * 21 * 21;
  EXPECT_GE(found.steps, different);
  EXPECT_LT(found.steps, 4 * different);
}

TEST(Search, ASampleIsTheSameForTheSameSeed) {
  const auto begin = program({3, 4});
  const auto one = sample(begin, 500, 7);
  EXPECT_EQ(one.runs, 500U);
  EXPECT_EQ(one.with_mark[0], sample(begin, 500, 7).with_mark[0]);
  EXPECT_FALSE(one.complete);
  EXPECT_GT(sample(begin, 3000, 8).with_mark[0], 0);
}

/// What stands in a cell, without how it was found.
std::vector<double> verdicts(const SearchResult& found) {
  std::vector<double> out = {found.orderings};
  out.insert(out.end(), found.with_mark.begin(), found.with_mark.end());
  for (const auto& shortest : found.shortest) {
    out.push_back(shortest ? static_cast<double>(shortest->size()) : 0);
  }
  return out;
}

/// The key of a point must hold all that decides what follows. If it did not, two different points
/// would be taken for one, and orderings be counted that are not there.
TEST(Reduction, GivesTheSameAsEveryOrderingOneByOne) {
  struct Small {
    const char* mechanism;
    const char* scenario;
  };
  for (const Small& small :
       {Small{"anybind", "kill-recover"}, Small{"ids+bind", "kill"}, Small{"new_id", "kill"},
        Small{"override-first", "kill"}, Small{"anybind", "kill"},
        Small{"autoprobe-flag", "deferred"}, Small{"anybind", "deferred"},
        Small{"new_id", "deferred"}, Small{"override-first", "probe"}}) {
    const auto* mechanism = find_mechanism(small.mechanism);
    const auto* scenario = find_scenario(small.scenario);
    ASSERT_TRUE(mechanism != nullptr && scenario != nullptr);
    std::size_t compared = 0;
    for (const Setting& setting : settings_of({.mechanism = mechanism, .scenarios = {scenario}})) {
      const auto begin = begin_of(setting);
      ASSERT_TRUE(begin);
      const auto reduced = search(*begin);
      constexpr double kFew = 3000;
      if (reduced.orderings > kFew) continue;
      ++compared;
      EXPECT_EQ(verdicts(reduced), verdicts(search(*begin, {.reduce = false})))
          << small.mechanism << " " << small.scenario;
    }
    EXPECT_GT(compared, 0U) << small.mechanism << " " << small.scenario;
  }
}

/// Where there are too many to try them all, no ordering drawn by chance shows what the search did
/// not find.
TEST(Reduction, ChanceFindsNothingThatItMissed) {
  for (const char* name : {"new_id-window", "override-late", "driver_probe_id", "anybind"}) {
    for (const char* with : {"same-id", "unplug", "host-module", "second-other", "vfs"}) {
      for (const Setting& setting :
           settings_of({.mechanism = find_mechanism(name), .scenarios = {find_scenario(with)}})) {
        const auto begin = begin_of(setting);
        ASSERT_TRUE(begin);
        const auto all = search(*begin);
        EXPECT_TRUE(all.complete);
        const auto some = sample(*begin, 100, 1);
        for (unsigned bit = 0; bit < kMarkBits; ++bit) {
          if (!some.shortest.at(bit)) continue;
          ASSERT_TRUE(all.shortest.at(bit)) << name << " " << with << " " << bit;
          EXPECT_LE(all.shortest.at(bit)->size(), some.shortest.at(bit)->size());
        }
      }
    }
  }
}

/// The same of anybindd, which is more than one actor and goes on for ever.
TEST(Reduction, HoldsForThePolicyToo) {
  std::size_t compared = 0;
  for (const KernelVersion kernel : {KernelVersion{6, 12}, KernelVersion{7, 3}}) {
    for (const char* with : {"alone", "probe-fails", "target-unload", "kill"}) {
      for (const Setting& setting : settings_of({.mechanism = find_mechanism("policy"),
                                                 .scenarios = {find_scenario(with)},
                                                 .kernel = kernel})) {
        const auto begin = begin_of(setting);
        ASSERT_TRUE(begin);
        const auto all = search(*begin);
        EXPECT_TRUE(all.complete);
        EXPECT_FALSE(all.contradiction);
        const auto some = sample(*begin, 100, 1);
        for (unsigned bit = 0; bit < kMarkBits; ++bit)
          EXPECT_LE(all.shortest.at(bit).has_value() ? 0 : 1, some.shortest.at(bit) ? 0 : 1)
              << kernel.str() << " " << with << " " << bit;
        constexpr double kFew = 3000;
        if (all.orderings > kFew) continue;
        ++compared;
        EXPECT_EQ(verdicts(all), verdicts(search(*begin, {.reduce = false})))
            << kernel.str() << " " << with;
      }
    }
  }
  EXPECT_GT(compared, 0U);
}

/// What the search found in anybindd, mended since: no driver of the host is asked where the bus
/// can be held, and nobody is left behind.
TEST(Regression, WhatTheExplorerFoundInThePolicyStaysMended) {
  for (const char* with : {"deferred", "kill-recover", "probe-fails"}) {
    const auto cell = explore({.mechanism = find_mechanism("policy"),
                               .scenarios = {find_scenario(with)},
                               .kernel = {7, 3}});
    ASSERT_TRUE(cell);
    EXPECT_TRUE(cell->complete);
    EXPECT_TRUE(cell->safe()) << with;
    EXPECT_GT(cell->danger.at(static_cast<unsigned>(Promise::kUnprobed)), 0) << with;
  }
}

/// The errno of a bind is settled before its last step and given after it; it was not in the key,
/// which a tenth of this pair was enough to show.
TEST(Reduction, TheAnswerThatACallHasNotYetGivenIsPartOfAPoint) {
  const auto settings =
      settings_of({.mechanism = find_mechanism("anybind"),
                   .scenarios = {find_scenario("unplug"), find_scenario("probe")}});
  const auto begin = begin_of(settings[0]);
  ASSERT_TRUE(begin);
  constexpr std::size_t kEnough = 8000;
  const auto found = search(*begin, {.most_points = kEnough});
  EXPECT_EQ(found.points, kEnough);
  EXPECT_FALSE(found.contradiction);
}

/// Pairs of scenarios in which anybind once broke a promise; the tokens are of the code of then.
TEST(Regression, WhatTheExplorerFoundInAnybindStaysMended) {
  struct Fault {
    const char* a;
    const char* b;
    const char* token;
    const char* what;
  };
  for (const Fault& fault : {
           Fault{"probe", "kill-recover", "2:a29dc14b2c14b9c3",
                 "recover believed the driver link of a probe that had just begun"},
           Fault{"target-unload", "kill-recover", "0:a29dc7b11c14",
                 "an unbind from a driver that had just been unloaded was a failure"},
           Fault{"kill-recover", "probe-fails", "1:a20cb27",
                 "the override of recover's last try stayed when that failed too"},
           Fault{"second-same", "kill-recover", "0:a29db12c29",
                 "a bind found all done that recover was about to take back"},
       }) {
    const auto cell = explore({.mechanism = find_mechanism("anybind"),
                               .scenarios = {find_scenario(fault.a), find_scenario(fault.b)}});
    ASSERT_TRUE(cell);
    EXPECT_TRUE(cell->complete);
    EXPECT_TRUE(cell->safe()) << fault.token << ": " << fault.what;
  }
}

TEST(Token, TellsTheRunThatBreaksThePromise) {
  for (const char* name : {"new_id", "override-bind-clear"}) {
    const auto cell =
        explore({.mechanism = find_mechanism(name), .scenarios = {find_scenario("replace")}});
    ASSERT_TRUE(cell);
    for (unsigned promise = 0; promise < kPromises; ++promise) {
      const auto& token = cell->broken.at(promise).token;
      if (token.empty()) continue;
      const auto story = replay(token);
      ASSERT_TRUE(story) << token;
      EXPECT_NE(std::ranges::find(story->broken, promise), story->broken.end()) << token;
    }
  }
}

TEST(Token, ThatIsNotUnderstoodIsAnError) {
  for (const char* token :
       {"", "/", "//:", "anybind/alone/0", "nobody/alone/0:a", "anybind/nothing/0:a",
        "anybind/alone/99:a", "anybind/alone/0:A", "anybind/alone/0:a999999999",
        "anybind/alone/0:z", "anybind/alone/-1:a", "anybind/alone/0:a0",
        "anybind/alone+alone+alone+alone+alone/0:a", "anybind/alone/0@:a", "anybind/alone/0@2.6:a",
        "anybind/alone/0@7.99:a", "anybind/alone/0@7.3.1:a", "anybind/alone/@7.3:a",
        "override-first/alone/0@3.14:a"}) {
    const auto story = replay(token);
    ASSERT_FALSE(story) << token;
    EXPECT_EQ(story.error().kind, ErrorKind::kUsage) << token;
  }
}

TEST(Table, IsTheSameHoweverManyThreadsThereAre) {
  TableRequest request{.mechanisms = {find_mechanism("new_id"), find_mechanism("anybind")},
                       .scenarios = {find_scenario("same-id"), find_scenario("unplug")},
                       .pairs = false};
  std::vector<std::string> tokens;
  for (const unsigned threads : {1U, 2U, 3U}) {
    request.threads = threads;
    const auto table = make_table(request);
    ASSERT_TRUE(table);
    std::string all;
    for (const Cell& cell : table->cells) {
      all += std::to_string(cell.orderings) + " " + std::to_string(cell.points) + " ";
      for (const auto& finding : cell.broken) all += finding.token + " ";
    }
    tokens.push_back(all);
  }
  EXPECT_EQ(tokens[0], tokens[1]);
  EXPECT_EQ(tokens[0], tokens[2]);
}

TEST(Table, DoesNotPairTwoThatKillTheSameProgram) {
  Scenario killed_too = *find_scenario("kill-recover");
  killed_too.name = "kill-recover-too";
  const auto table =
      make_table({.mechanisms = {find_mechanism("anybind")},
                  .scenarios = {find_scenario("alone"), find_scenario("kill-recover"), &killed_too,
                                find_scenario("other-id")},
                  .pairs = true,
                  .cell = {.random = 20}});
  ASSERT_TRUE(table);
  std::vector<std::string> pairs;
  for (const Cell& cell : table->pairs) {
    std::string names;
    for (const Scenario* scenario : cell.of.scenarios) names += std::string(scenario->name) + " ";
    pairs.push_back(names);
  }
  EXPECT_EQ(pairs,
            (std::vector<std::string>{"kill-recover other-id ", "kill-recover-too other-id "}));
}

}  // namespace
}  // namespace anybind::race
