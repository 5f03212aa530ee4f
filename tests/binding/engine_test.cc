// The engine: what every caller of a change gets without asking for it.
#include "engine/engine.h"

#include <gmock/gmock.h>

#include "change/transaction.h"
#include "engine_fixture.h"

namespace anybind {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(EngineTest, AChangeIsRememberedForUndoAndRestore) {
  const auto before = all();
  told_.at_step = [&] { EXPECT_TRUE(files_.held) << "nobody else meanwhile"; };
  ASSERT_TRUE(go(to_vfio_request({kNicA, kDisk})));
  EXPECT_THAT(told_.lines, ElementsAre("plan for 2", "0000:04:00.0", "0000:06:00.0"));
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
  EXPECT_THAT(open(), IsEmpty());
  EXPECT_EQ(files_.owner_, "anybind test");
  EXPECT_FALSE(files_.held) << "others may go on";
  ASSERT_TRUE(go({.verb = Request::Verb::kRestore, .devices = {kNicA}}));
  EXPECT_EQ(state_of(kNicA), "igc (unset)");
  ASSERT_TRUE(go({.verb = Request::Verb::kUndo}));  // the last one: the restore
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
  ASSERT_TRUE(go({.verb = Request::Verb::kUndo}));  // that is undone: the one before
  EXPECT_EQ(all(), before);
  const auto nothing = go({.verb = Request::Verb::kUndo});
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(go({.verb = Request::Verb::kUndo, .change = 77}).error().kind, ErrorKind::kNotFound);
}

TEST_F(EngineTest, NoneIsNoDriverThatIsKeptAway) {
  ASSERT_TRUE(go({.devices = {kNicA}, .driver = driver("none")}));
  EXPECT_EQ(state_of(kNicA), "- none");
}

TEST_F(EngineTest, DefaultIsWhatTheBusChoosesWithoutAnOverride) {
  ASSERT_EQ(write("bus/pci/devices/" + kNicA.name.str() + "/driver_override", "igc"), 0);
  ASSERT_TRUE(go(to_vfio_request({kNicA})));
  ASSERT_TRUE(go({.devices = {kNicA}, .driver = driver("default")}));
  EXPECT_EQ(state_of(kNicA), "igc (unset)");
  const auto again = go({.devices = {kNicA}, .driver = driver("default")});
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->front().changed);
  ASSERT_TRUE(go({.verb = Request::Verb::kRestore, .devices = {kNicA}}));
  EXPECT_EQ(state_of(kNicA), "igc igc") << "what there was before is still known";
}

TEST_F(EngineTest, ALooseChangeLeavesNoOverride) {
  Request request = to_vfio_request({kNicA});
  request.stays = Stays::kLoose;
  ASSERT_TRUE(go(request));
  EXPECT_EQ(state_of(kNicA), "vfio-pci (unset)");
  ASSERT_TRUE(go({.verb = Request::Verb::kUnbind, .devices = {kNicA}, .stays = Stays::kLoose}));
  EXPECT_EQ(state_of(kNicA), "- (unset)");
  ASSERT_TRUE(go({.verb = Request::Verb::kRestore, .devices = {kNicA}}));
  EXPECT_EQ(state_of(kNicA), "igc (unset)");
}

TEST_F(EngineTest, ADeviceThatIsThereIsNamedWhereThatIsAskedFor) {
  ASSERT_TRUE(go({.devices = {kNicA}, .driver = driver("igc")}));
  EXPECT_EQ(state_of(kNicA), "igc (unset)");
  ASSERT_TRUE(go({.devices = {kNicA}, .driver = driver("igc"), .stays = Stays::kNamed}));
  EXPECT_EQ(state_of(kNicA), "igc igc");
}

TEST_F(EngineTest, ADriverThatIsOnlyNamedComesWithTheNextProbe) {
  Request request = to_vfio_request({kNicA});
  request.stays = Stays::kOnlyNamed;
  ASSERT_TRUE(go(request));
  EXPECT_EQ(state_of(kNicA), "- vfio-pci");
  ASSERT_EQ(write("bus/pci/drivers_probe", kNicA.name.str()), 0);
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
  ASSERT_TRUE(go(request));
  EXPECT_EQ(state_of(kNicA), "- vfio-pci") << "also from that driver itself";
}

TEST_F(EngineTest, APartOfAGroupGoesWhereThatIsAskedForWithAWarning) {
  Request request = to_vfio_request({kGpu});
  EXPECT_EQ(go(request).error().kind, ErrorKind::kRefused);
  request.part_of_group = true;
  const auto memory = read_memory(host());
  const auto plan = plan_change(host(), request, *memory);
  ASSERT_TRUE(plan);
  EXPECT_THAT(plain(plan->warnings), ElementsAre(testing::HasSubstr("0000:03:00.1")));
  ASSERT_TRUE(go(request));
  EXPECT_EQ(state_of(kGpu), "vfio-pci vfio-pci");
  request.devices = {kGpuAudio};
  EXPECT_TRUE(plan_change(host(), request, *memory)->warnings.empty());
}

TEST_F(EngineTest, ARequestThatMakesNoSenseTouchesNothing) {
  const auto before = all();
  using Verb = Request::Verb;
  for (const Request& request :
       {Request{}, Request{.devices = {kNicA}}, Request{.verb = Verb::kRestore},
        Request{.verb = Verb::kMakeFunctions, .devices = {kNicA, kNicB}},
        Request{.devices = {kNicA}, .driver = driver("vfio-pci"), .owner = "root"},
        Request{.verb = Verb::kUnbind, .devices = {kNicA}, .owner = "root"},
        Request{.verb = Verb::kUnbind, .devices = {kNicA}, .stays = Stays::kOnlyNamed},
        Request{.verb = Verb::kRestore, .devices = {kNicA}, .stays = Stays::kLoose},
        Request{.verb = Verb::kUnbind, .devices = {kNicA}, .part_of_group = true}}) {
    const auto refused = go(request);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::kUsage) << refused.error().message();
  }
  EXPECT_THAT(told_.lines, IsEmpty());
  EXPECT_THAT(files_.files(), IsEmpty());
  EXPECT_EQ(all(), before);
}

TEST_F(EngineTest, AnotherCardThanTheOneThatIsMeantIsLeftAlone) {
  const auto before = all();
  Request request = to_vfio_request({kNicA, kDisk});
  const auto dir = open_device(*sysfs_, kNicA);
  request.instances[kNicA] = (*dir)->instance().value();
  request.instances[kDisk] = {.device = 1, .inode = 1};
  const auto refused = go(request);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(refused.error().object, kDisk.str());
  EXPECT_EQ(all(), before);
  request.devices = {kNicA};
  ASSERT_TRUE(go(request));
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
}

TEST_F(EngineTest, AnotherChangeIsWaitedForAsLongAsTheRequestSays) {
  files_.taken = true;
  Request request = to_vfio_request({kNicA});
  request.patience = std::chrono::milliseconds(100);
  const auto refused = go(request);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kRefused);
  EXPECT_THAT(refused.error().why, HasSubstr("process 4711"));
  EXPECT_THAT(told_.lines, ElementsAre("waiting for 4711 anybind bind"));
  told_.lines.clear();
  told_.stop = true;
  EXPECT_FALSE(go(to_vfio_request({kNicA}))) << "who asks to stop does not wait";
  EXPECT_THAT(told_.lines, IsEmpty());
}

/// A network card whose virtual function is given away by somebody else, at the two moments after
/// the plan was made.
class EngineWithFunctions : public EngineTest {
 protected:
  EngineWithFunctions() : EngineTest(kFunctions) {}
  void give_function_away() {
    EXPECT_EQ(write("bus/pci/devices/0000:31:01.0/driver_override", "vfio-pci"), 0);
    EXPECT_EQ(write("bus/pci/drivers/vfio-pci/bind", "0000:31:01.0"), 0);
  }
  void expect_refused() {
    const auto refused = go(to_vfio_request({kPf}));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::kRefused);
    EXPECT_THAT(plain(refused.error().details), testing::Contains(HasSubstr("vf-in-use")));
    EXPECT_EQ(state_of(kPf), "ice (unset)");
    EXPECT_THAT(open(), IsEmpty()) << "nothing is owed";
    for (const std::string& line : told_.lines) EXPECT_NE(line, kPf.str()) << "it was written to";
  }
  const DeviceId kPf = pci("0000:31:00.0");
};

TEST_F(EngineWithFunctions, UsersAreAskedForOnceThePlanIsMade) {
  told_.at_plan = [&] { give_function_away(); };
  expect_refused();
  EXPECT_THAT(files_.files(), IsEmpty()) << "before anything is written down";
}

TEST_F(EngineWithFunctions, UsersAreAskedForAgainJustBeforeTheFirstWrite) {
  files_.before_create = [&] { give_function_away(); };  // of the journal's file
  expect_refused();
}

TEST_F(EngineWithFunctions, WhoIgnoresAGuardIsNotStoppedByIt) {
  give_function_away();
  Request request = to_vfio_request({kPf});
  request.ignored = {"vf-in-use"};
  const auto done = go(request);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(state_of(kPf), "vfio-pci vfio-pci");
}

TEST_F(EngineTest, WhatWasCutOffIsEndedAndToldOf) {
  const auto before = all();
  cut_off();
  const auto busy = go(to_vfio_request({kNicA}));
  ASSERT_FALSE(busy);
  EXPECT_EQ(busy.error().kind, ErrorKind::kIncomplete) << "its way is not known";
  told_.lines.clear();
  const auto ended = recover_changes(host(), {}, told_);
  ASSERT_TRUE(ended);
  ASSERT_EQ(ended->changes.size(), 1U);
  EXPECT_EQ(told_.lines.front(), "open 1");
  EXPECT_THAT(open(), IsEmpty());
  if (ended->changes[0].what == Recovered::What::kUndone) {
    EXPECT_EQ(all(), before);
  } else {
    EXPECT_EQ(ended->changes[0].what, Recovered::What::kFinished);
    EXPECT_EQ(state_of(kDisk), "vfio-pci vfio-pci");
  }
}

TEST_F(EngineTest, WhatRestoreGoesByMayBeDamaged) {
  const auto before = all();
  cut_off();
  ASSERT_TRUE(files_.replace("origins.json", "{"));
  EXPECT_FALSE(go(to_vfio_request({kNicB}))) << "no change without it";
  const auto ended = recover_changes(host(), {}, told_);
  ASSERT_TRUE(ended) << ended.error().message();
  EXPECT_TRUE(ended->damage);
  ASSERT_EQ(ended->changes.size(), 1U);
  EXPECT_NE(ended->changes[0].what, Recovered::What::kLeft);
  EXPECT_TRUE(all() == before || state_of(kDisk) == "vfio-pci vfio-pci");
}

TEST_F(EngineTest, APlanIsAValue) {
  const auto memory = read_memory(host());
  ASSERT_TRUE(memory);
  const auto one = plan_change(host(), to_vfio_request({kNicA}), *memory);
  const auto two = plan_change(host(), to_vfio_request({kNicA}), *memory);
  ASSERT_TRUE(one && two);
  EXPECT_TRUE(static_cast<const Plan&>(*one) == *two);
  const Plan alone = *one;  // holds nothing of the planner's
  Listener nobody;
  ASSERT_TRUE(run(host(), alone, nullptr, nobody));
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
}

}  // namespace
}  // namespace anybind
