// Plans of the real planner, and what came of them, to JSON and back.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "plan/plan_functions.h"
#include "trial.h"
#include "wire/outcome.h"
#include "wire/plan.h"

namespace anybind {
namespace {

class WireTest : public MachineTest {
 protected:
  /// Comes back, and does the same as the plan that was made.
  void expect_to_come_back(const Result<HeldPlan>& held) {
    ASSERT_TRUE(held) << held.error().message();
    const Plan& plan = *held;
    const auto back = wire::plan_from_json(wire::text_of(wire::to_json(plan)));
    ASSERT_TRUE(back) << back.error().message();
    EXPECT_EQ(*back, plan);
    ++plans_;
  }

  int plans_ = 0;
};

TEST_F(WireTest, PlansOfEveryVerbComeBack) {
  expect_to_come_back(to_vfio({kNicA}));
  expect_to_come_back(to_vfio({kGpu, kNicB}, true));
  expect_to_come_back(plan_unbind(*sysfs_, {kDisk}));
  const auto before = origins();
  expect_to_come_back(plan_restore(*sysfs_, {kNicA, kGpu}, before.table()));
  for (const auto mechanism : {Mechanism::kBind, Mechanism::kNewId, Mechanism::kNewIdWindow}) {
    const auto plan = plan_bind(*sysfs_, {.devices = {kNicA},
                                          .driver = driver("pci-stub"),
                                          .mechanism = mechanism,
                                          .ignores_same_id = true});
    if (plan) expect_to_come_back(plan);
  }
  EXPECT_GE(plans_, 5);
}

TEST_F(WireTest, PlansThatMakeFunctionsComeBack) {
  World world(read_machine(kFunctions));
  int seen = 0;
  for (const auto& [name, key] : world.core.state().buses.at("pci").device_names) {
    for (const unsigned count : {0U, 2U}) {
      const auto plan = plan_virtual_functions(
          *world.sysfs, {.pf = pci(name), .count = count, .driver = driver("vfio-pci")});
      if (!plan) continue;
      expect_to_come_back(plan);
      ++seen;
    }
  }
  EXPECT_GT(seen, 0);
}

TEST_F(WireTest, OutcomesComeBack) {
  auto memory = origins();
  auto journal = Journal::load(*storage_, "boot", "test", 0);
  ASSERT_TRUE(journal);
  const auto plan = to_vfio({kNicA, kNicB});
  ASSERT_TRUE(plan);
  const auto outcomes = run(*sysfs_, *plan, {&memory, &*journal}, recorder_);
  ASSERT_TRUE(outcomes) << outcomes.error().message();
  EXPECT_EQ(wire::outcomes_from_json(wire::line_of(wire::to_json(*outcomes))), *outcomes);
}

}  // namespace
}  // namespace anybind
