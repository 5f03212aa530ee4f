#include "race/fibre.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace anybind::race {
namespace {

struct Over {};

TEST(FibreTest, GoesOnWhereItWasLeft) {
  std::string said;
  Fibre* self = nullptr;
  Fibre fibre([&] {
    for (const char c : {'a', 'b', 'c'}) {
      said += c;
      self->suspend();
    }
  });
  self = &fibre;
  EXPECT_FALSE(fibre.begun());
  for (const char* all : {"a", "ab", "abc"}) {
    fibre.resume();
    EXPECT_EQ(said, all);
    EXPECT_FALSE(fibre.ended());
  }
  fibre.resume();
  EXPECT_TRUE(fibre.ended());
}

/// A frame of its own at each level, and back again.
unsigned deep(Fibre& fibre, unsigned levels) {
  std::vector<unsigned> held(3, levels);
  if (levels == 0) fibre.suspend();
  const unsigned below = levels == 0 ? 0 : deep(fibre, levels - 1);
  fibre.suspend();
  return below + held.at(levels % 3);
}

TEST(FibreTest, ManyTakeTurnsAtDifferentDepths) {
  std::vector<std::unique_ptr<Fibre>> fibres(8);
  std::vector<unsigned> sums(fibres.size());
  for (unsigned i = 0; i < fibres.size(); ++i) {
    fibres[i] = std::make_unique<Fibre>([&, i] { sums[i] = deep(*fibres[i], 10 * i); });
  }
  for (bool goes_on = true; goes_on;) {
    goes_on = false;
    for (const auto& fibre : fibres) {
      if (fibre->ended()) continue;
      fibre->resume();
      goes_on = true;
    }
  }
  for (unsigned i = 0; i < fibres.size(); ++i) EXPECT_EQ(sums[i], 10 * i * (10 * i + 1) / 2);
}

TEST(FibreTest, ASuspendedOneEndsByAnException) {
  for (int i = 0; i < 1000; ++i) {  // their stacks are used again
    bool ends = false;
    bool unwound = false;
    Fibre* self = nullptr;
    Fibre fibre([&] {
      try {
        self->suspend();
        if (ends) throw Over{};
      } catch (const Over&) {
        unwound = true;
      }
    });
    self = &fibre;
    fibre.resume();
    ends = true;
    fibre.resume();
    ASSERT_TRUE(unwound && fibre.ended());
  }
}

}  // namespace
}  // namespace anybind::race
