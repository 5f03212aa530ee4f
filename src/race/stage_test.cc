#include "race/stage.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "race/scenario.h"

namespace anybind::race {
namespace {

/// Keeps the calls that were begun.
class Calls final : public Stage::Watcher {
 public:
  void on_step(unsigned /*actor*/, const drivercore::KernelStep& /*step*/) override {}
  void on_call(unsigned /*actor*/, const Stage::Call& call) override {
    begun.push_back(call.text());
  }
  void on_answer(unsigned /*actor*/, const std::string& /*answer*/) override {}

  std::vector<std::string> begun;
};

TEST(StageTest, WhoIsKilledInACallEndsItAndDoesNothingAfterIt) {
  const auto kernel = machine_of({.of = {.mechanism = find_mechanism("anybind")}});
  ASSERT_TRUE(kernel);
  Calls calls;
  std::unique_ptr<Sysfs> sysfs;  // goes after those who use it
  Stage stage(*kernel, calls);
  sysfs = stage.sysfs();
  const std::string device = "bus/pci/devices/" + std::string(kChosen);
  const unsigned admin = stage.add("admin", [&] {
    (void)sysfs->write(device + "/driver/unbind", kChosen);
    (void)sysfs->write(device + "/driver_override", kTarget);
  });
  stage.advance(admin);
  ASSERT_TRUE(stage.actor(admin).in_call);
  stage.kill(admin);
  EXPECT_FALSE(stage.actor(admin).ended) << "the kernel is still at it";
  while (!stage.enabled().empty()) stage.advance(admin);
  EXPECT_TRUE(stage.actor(admin).ended);
  EXPECT_EQ(calls.begun, (std::vector<std::string>{"echo " + std::string(kChosen) + " > " + device +
                                                   "/driver/unbind"}));
  const auto* card = stage.kernel().find("pci", std::string(kChosen));
  EXPECT_FALSE(card->driver) << "the call was made to its end";
  EXPECT_FALSE(card->driver_override);
}

}  // namespace
}  // namespace anybind::race
