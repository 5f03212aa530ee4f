// What a plan's own steps take away, and the way back: in which order, by which names, how far.
#include <gmock/gmock.h>

#include "engine/engine.h"
#include "engine_fixture.h"

namespace anybind {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::vector<DeviceId> devices_of(const Result<std::vector<Outcome>>& outcomes) {
  std::vector<DeviceId> out;
  for (const Outcome& outcome : outcomes.value_or(std::vector<Outcome>()))
    out.push_back(outcome.device);
  return out;
}

/// Keeps what the planner said.
class Notes final : public Listener {
 public:
  void on_plan(const Plan& plan) override {
    notes = plain(plan.notes);
    warnings = plain(plan.warnings);
  }
  std::vector<std::string> notes;
  std::vector<std::string> warnings;
};

class WayHome : public EngineTest {
 protected:
  using EngineTest::EngineTest;
  Result<std::vector<Outcome>> ask(const Request& request) {
    return change(host(), request, notes_);
  }
  Notes notes_;
};

/// A network card and its virtual functions, all in one group.
class WithFunctions : public WayHome {
 protected:
  WithFunctions() : WayHome(kFunctions) {}
  const DeviceId kPf = pci("0000:31:00.0");
  const DeviceId kVf0 = pci("0000:31:01.0");
  const DeviceId kVf1 = pci("0000:31:01.1");
};

TEST_F(WithFunctions, AMemberThatThePlanWouldTakeAwayIsRefusedBeforeAnythingIsWritten) {
  for (const auto& devices : {std::vector{kPf, kVf0}, std::vector{kVf0, kPf}}) {
    for (const Request& request : {Request{.devices = devices, .driver = driver("vfio-pci")},
                                   Request{.verb = Request::Verb::kUnbind, .devices = devices}}) {
      const auto refused = ask(request);
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().kind, ErrorKind::kRefused);
      EXPECT_EQ(refused.error().object, "0000:31:01.0");
      EXPECT_EQ(refused.error().why,
                "it is a virtual function of 0000:31:00.0, and may go away when that leaves ice");
      EXPECT_THAT(files_.files(), IsEmpty());
      EXPECT_EQ(state_of(kPf), "ice (unset)");
    }
  }
}

TEST_F(WithFunctions, AWholeGroupLeavesThemOut) {
  const auto done = ask({.devices = {kPf}, .driver = driver("vfio-pci"), .whole_group = true});
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_THAT(devices_of(done), ElementsAre(kPf));
  EXPECT_THAT(
      notes_.notes,
      Contains("0000:31:01.0 is a virtual function of 0000:31:00.0, and may go away when that "
               "leaves ice: left out"));
  EXPECT_EQ(state_of(kVf0), "absent");
}

TEST_F(WithFunctions, AWholeGroupIsRefusedWhenItWouldTakeWhatWasAskedForAway) {
  const auto refused = ask({.devices = {kVf0}, .driver = driver("vfio-pci"), .whole_group = true});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kRefused);
  EXPECT_EQ(refused.error().object, "0000:31:01.0");
  EXPECT_THAT(refused.error().why, HasSubstr("same IOMMU group"));
  EXPECT_EQ(state_of(kPf), "ice (unset)");
}

TEST_F(WithFunctions, WhatGoesWithTheDeviceDoesNotKeepItsGroupFromUserSpace) {
  // On a host driver a virtual function would, but it goes with its physical one.
  EXPECT_EQ(write("bus/pci/devices/0000:31:01.0/driver_override", "ice"), 0);
  EXPECT_EQ(write("bus/pci/drivers/ice/bind", "0000:31:01.0"), 0);
  Request request{.devices = {kPf}, .driver = driver("vfio-pci")};
  request.ignored = {"vf-in-use"};
  const auto done = ask(request);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(state_of(kPf), "vfio-pci vfio-pci");
}

TEST_F(WithFunctions, FunctionsThatWereRemovedAreMadeAgainForWhatTheyWere) {
  // One on vfio-pci, one without a driver.
  ASSERT_EQ(write("bus/pci/devices/0000:31:01.0/driver_override", "vfio-pci"), 0);
  ASSERT_EQ(write("bus/pci/drivers/vfio-pci/bind", "0000:31:01.0"), 0);
  Request remove{.verb = Request::Verb::kMakeFunctions, .devices = {kPf}, .count = 0};
  remove.ignored = {"vf-in-use", "vfio-user"};
  const auto removed = ask(remove);
  ASSERT_TRUE(removed) << removed.error().message();
  EXPECT_EQ(state_of(kVf0), "absent");
  const auto undone = ask({.verb = Request::Verb::kUndo});
  ASSERT_TRUE(undone) << undone.error().message();
  EXPECT_EQ(state_of(kVf0), "vfio-pci vfio-pci");
  EXPECT_EQ(state_of(kVf1), "- (unset)") << "no driver has probed it unasked";
  const auto flag = sysfs_->read("bus/pci/devices/0000:31:00.0/sriov_drivers_autoprobe");
  ASSERT_TRUE(flag);
  EXPECT_EQ(flag->substr(0, 1), "1") << "as it was";
}

TEST_F(WayHome, TheLastThatWasTakenIsGivenBackFirst) {
  ASSERT_TRUE(ask({.devices = {kNicA}, .driver = driver("vfio-pci")}));
  ASSERT_TRUE(ask({.devices = {kDisk, kNicB}, .driver = driver("vfio-pci")}));
  const auto back = ask({.verb = Request::Verb::kRestore, .devices = {kNicA, kNicB, kDisk}});
  EXPECT_THAT(devices_of(back), ElementsAre(kNicB, kDisk, kNicA));
}

TEST_F(WayHome, EverythingIsWhatAnybindChanged) {
  const auto before = all();
  ASSERT_TRUE(ask({.devices = {kNicA, kDisk}, .driver = driver("vfio-pci")}));
  const auto back = ask({.verb = Request::Verb::kRestore, .everything = true});
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_THAT(devices_of(back), ElementsAre(kDisk, kNicA));
  EXPECT_EQ(all(), before);
  EXPECT_TRUE(ask({.verb = Request::Verb::kRestore, .everything = true}))
      << "nothing is left to do";
}

TEST_F(WayHome, AGroupGoesAndComesAsOne) {
  const auto before = all();
  const auto gone =
      ask({.verb = Request::Verb::kUnbind, .devices = {kGpuAudio}, .whole_group = true});
  EXPECT_THAT(devices_of(gone), ElementsAre(kGpuAudio, kGpu));
  const auto back = ask({.verb = Request::Verb::kRestore, .devices = {kGpu}, .whole_group = true});
  EXPECT_THAT(devices_of(back), ElementsAre(kGpu, kGpuAudio));
  EXPECT_EQ(all(), before);
}

TEST_F(WayHome, AGroupThatIsLeftMixedIsSaid) {
  ASSERT_TRUE(ask({.devices = {kGpu, kGpuAudio}, .driver = driver("vfio-pci")}));
  ASSERT_TRUE(ask({.verb = Request::Verb::kRestore, .devices = {kGpu}}));
  EXPECT_THAT(
      notes_.notes,
      Contains("IOMMU group 13 is left mixed: 0000:03:00.1 stays with vfio-pci; restore the "
               "whole group of 0000:03:00.0 gives back the others too"));
  ASSERT_TRUE(ask({.verb = Request::Verb::kRestore, .devices = {kGpuAudio}}));
  EXPECT_THAT(notes_.notes, Not(Contains(HasSubstr("mixed"))));
}

TEST_F(WayHome, AfterABootAGroupComesBackWholeThoughNothingIsRemembered) {
  const auto before = all();
  for (const DeviceId& id : {kGpu, kGpuAudio}) {
    const std::string driver(link_name(*sysfs_->read_link(id.path() + "/driver")));
    ASSERT_EQ(write(id.path() + "/driver_override", "vfio-pci"), 0);
    ASSERT_EQ(write("bus/pci/drivers/" + driver + "/unbind", id.name.str()), 0);
    ASSERT_EQ(write("bus/pci/drivers_probe", id.name.str()), 0);
  }
  const auto back = ask({.verb = Request::Verb::kRestore, .devices = {kGpu}, .whole_group = true});
  EXPECT_THAT(devices_of(back), testing::UnorderedElementsAre(kGpu, kGpuAudio));
  EXPECT_EQ(all(), before);
}

TEST_F(WayHome, AnOverrideOfSomebodyElseIsNotClearedWithoutAWord) {
  ASSERT_EQ(write("bus/pci/devices/0000:04:00.0/driver_override", "vfio-pci"), 0);
  ASSERT_TRUE(ask({.verb = Request::Verb::kRestore, .devices = {kNicA}}));
  EXPECT_THAT(notes_.warnings, Contains(HasSubstr("driver_override \"vfio-pci\" may be somebody")));
  ASSERT_TRUE(ask({.devices = {kNicB}, .driver = driver("vfio-pci")}));
  ASSERT_TRUE(ask({.verb = Request::Verb::kRestore, .devices = {kNicB}}));
  EXPECT_THAT(notes_.warnings, IsEmpty()) << "that one was our own";
}

TEST_F(WayHome, ADeviceIsKnownByTheNameItWasTakenBy) {
  Request request{.devices = {kNicA, kNicB}, .driver = driver("vfio-pci")};
  request.names = {{kNicA, "eth0"}};
  ASSERT_TRUE(ask(request));
  EXPECT_THAT(known_as(host(), "eth0"), ElementsAre(kNicA));
  EXPECT_THAT(known_as(host(), "eth1"), IsEmpty());
  EXPECT_THAT(known_as(host(), ""), IsEmpty()) << "as no device is called";
  ASSERT_TRUE(ask({.verb = Request::Verb::kRestore, .devices = {kNicA}}));
  EXPECT_THAT(known_as(host(), "eth0"), IsEmpty()) << "given back";
}

TEST_F(WayHome, AnUndoThatOthersStandUponIsRefused) {
  ASSERT_TRUE(ask({.devices = {kNicA, kNicB}, .driver = driver("vfio-pci")}));  // 1
  ASSERT_TRUE(ask({.devices = {kDisk}, .driver = driver("vfio-pci")}));         // 2
  ASSERT_TRUE(ask({.devices = {kNicB}, .driver = driver("pci-stub")}));         // 3
  const auto before = all();
  const auto refused = ask({.verb = Request::Verb::kUndo, .change = 1});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kRefused);
  EXPECT_THAT(refused.error().why, HasSubstr("3 (test) came later"));
  EXPECT_EQ(refused.error().advice.plain(), "first: undo 3");
  EXPECT_EQ(all(), before);
  EXPECT_TRUE(ask({.verb = Request::Verb::kUndo, .change = 2})) << "nobody stands upon that";
  EXPECT_TRUE(ask({.verb = Request::Verb::kUndo, .change = 3}));
  EXPECT_TRUE(ask({.verb = Request::Verb::kUndo, .change = 1}));
}

TEST_F(WayHome, WhatWasTakenBackIsNotTakenBackAgain) {
  const auto before = all();
  ASSERT_TRUE(ask({.devices = {kNicA}, .driver = driver("vfio-pci")}));  // 1
  ASSERT_TRUE(ask({.verb = Request::Verb::kUndo, .change = 1}));         // 2
  const auto again = ask({.verb = Request::Verb::kUndo, .change = 1});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().why, "2 has taken it back already");
  const auto redo = ask({.verb = Request::Verb::kUndo, .change = 2});
  ASSERT_FALSE(redo);
  EXPECT_THAT(redo.error().why, HasSubstr("it took 1 back"));
  EXPECT_EQ(all(), before);
}

TEST_F(WayHome, ADriverThatLetsGoOfNothingIsRefusedBeforeAnythingIsWritten) {
  auto state = drivercore::load_machine(R"(
    driver = [{ name = "byt_gpio", bus = "platform", suppress_bind = true, aliases = ["platform:gpio"] },
              { name = "other", bus = "platform" }]
    device = [{ bus = "platform", name = "gpio", modalias = "platform:gpio" }]
  )",
                                        "inline");
  ASSERT_TRUE(state) << state.error().message();
  core_ = drivercore::DriverCore(*std::move(state));
  sysfs_ = drivercore::model_sysfs(core_);
  const DeviceId gpio{.bus = BusName::literal("platform"), .name = DeviceName::literal("gpio")};
  ASSERT_EQ(state_of(gpio), "byt_gpio (unset)");
  for (const Request& request : {Request{.devices = {gpio}, .driver = driver("other")},
                                 Request{.verb = Request::Verb::kUnbind, .devices = {gpio}}}) {
    const auto refused = ask(request);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::kRefused);
    EXPECT_EQ(refused.error().why, "byt_gpio lets go of no device by hand: it has no unbind file");
  }
  EXPECT_EQ(state_of(gpio), "byt_gpio (unset)");
}

TEST_F(WayHome, ADriverThatEmulatesNeedsNoGroup) {
  auto state = drivercore::load_machine(R"(
    driver = [{ name = "io_subchannel", bus = "css", aliases = ["css:t0"] },
              { name = "vfio_ccw", bus = "css", aliases = ["css:t0"] }]
    device = [{ bus = "css", name = "0.0.0313", modalias = "css:t0", driver = "io_subchannel" }]
  )",
                                        "inline");
  ASSERT_TRUE(state) << state.error().message();
  core_ = drivercore::DriverCore(*std::move(state));
  sysfs_ = drivercore::model_sysfs(core_);
  const DeviceId subchannel{.bus = BusName::literal("css"),
                            .name = DeviceName::literal("0.0.0313")};
  const auto done = ask({.devices = {subchannel}, .driver = driver("vfio_ccw")});
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(state_of(subchannel).substr(0, 8), "vfio_ccw");
}

TEST_F(WayHome, WhatAVerbHasNoUseForIsRefused) {
  for (const Request& request :
       {Request{.verb = Request::Verb::kUnbind, .devices = {kNicA}, .driver = driver("vfio-pci")},
        Request{.devices = {kNicA}, .driver = driver("vfio-pci"), .everything = true},
        Request{.verb = Request::Verb::kRestore, .devices = {kNicA}, .everything = true},
        Request{
            .verb = Request::Verb::kRestore, .devices = {kNicA}, .mechanism = Mechanism::kNewId},
        Request{.verb = Request::Verb::kRestore, .devices = {kNicA}, .no_iommu = true},
        Request{.verb = Request::Verb::kUnbind, .devices = {kNicA}, .count = 4},
        Request{.verb = Request::Verb::kUnbind, .devices = {kNicA}, .change = 4},
        Request{.verb = Request::Verb::kUndo, .devices = {kNicA}},
        Request{.verb = Request::Verb::kUndo, .whole_group = true}}) {
    const auto refused = ask(request);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::kUsage) << refused.error().message();
  }
}

}  // namespace
}  // namespace anybind
