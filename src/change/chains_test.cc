#include "change/chains.h"

#include <gtest/gtest.h>

#include "inventory/test_tree.h"

namespace anybind {
namespace {

TEST(ChainsTest, KeepTogetherWhatSharesAGroupOrASlot) {
  TestTree tree;
  HeldPlan plan;
  const auto add = [&](const std::string& name, int group) {
    tree.pci({.address = name, .group = group});
    plan.devices.push_back(
        {.device = {.bus = BusName::literal("pci"), .name = DeviceName::literal(name)},
         .instance = {},
         .before = {},
         .goal = {},
         .steps = {}});
  };
  add("0000:01:00.0", 1);
  add("0000:02:00.0", 2);
  add("0000:03:00.0", 3);
  add("0000:03:00.1", -1);  // of the same slot as the one before it
  add("0000:04:00.0", 1);   // of the same group as the first
  add("0000:05:00.0", -1);
  using Chains = std::vector<std::vector<std::size_t>>;
  EXPECT_EQ(chains_of(tree.sysfs(), plan, 0), (Chains{{0, 4}, {1}, {2, 3}, {5}}));
  EXPECT_EQ(chains_of(tree.sysfs(), plan, 1), (Chains{{1}, {2, 3}, {4}, {5}}));
}

}  // namespace
}  // namespace anybind
