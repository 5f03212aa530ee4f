#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>

#include "daemon/answers.h"
#include "engine_fixture.h"
#include "wire/history.h"

namespace anybind::daemon {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;
using Action = Permit::Action;

/// What has to be allowed for a change, and that it does no more than that.
class PermitsTest : public EngineTest {
 protected:
  PermitsTest() : host_(*sysfs_) {
    host_.storage = &files_;
    host_.clock = &clock_;
    host_.boot = "boot";
    host_.command = "bind";
  }
  static Request bind(const DeviceId& device) {
    return {.devices = {device}, .driver = DriverName::literal("vfio-pci")};
  }
  static Permit to_vfio(const DeviceId& device, const std::string& overrules = "") {
    return {.action = overrules.empty() ? Action::kChange : Action::kOverrule,
            .device = device.str(),
            .driver = "vfio-pci",
            .overrules = overrules};
  }
  [[nodiscard]] std::vector<Permit> asked(const Request& request) const {
    auto out = permits_for(host_, RuleSource{}, Wanted{.request = request});
    EXPECT_TRUE(out) << out.error().message();
    return out.value_or(std::vector<Permit>{});
  }

  [[nodiscard]] Result<Answer> go(const Request& request, const std::vector<Permit>& allowed) {
    return change(host_, RuleSource{}, Wanted{.request = request}, allowed, patient_);
  }

  Host host_;
  const Waiting patient_{.stop_requested = [] { return false; }, .tell = [](const Progress&) {}};
};

TEST_F(PermitsTest, EachDeviceIsAskedAbout) {
  EXPECT_THAT(asked(bind(kNicA)), ElementsAre(to_vfio(kNicA)));
  Request parked{.verb = Request::Verb::kUnbind, .devices = {kNicA, kDisk}};
  EXPECT_THAT(asked(parked), UnorderedElementsAre(Permit{.device = kNicA.str(), .driver = "none"},
                                                  Permit{.device = kDisk.str(), .driver = "none"}));
}

TEST_F(PermitsTest, AGuardThatIsOverruledIsAnotherQuestion) {
  Request request = bind(kNicA);
  request.ignored = {"mounted", "swap"};
  EXPECT_THAT(asked(request), ElementsAre(to_vfio(kNicA, "mounted,swap")));
  request = bind(kNicA);
  request.no_iommu = true;
  EXPECT_THAT(asked(request), ElementsAre(to_vfio(kNicA, "no-iommu")));
}

TEST_F(PermitsTest, AWayThatReachesOtherDevicesIsAnotherQuestion) {
  Request request = bind(kDisk);
  request.mechanism = Mechanism::kNewId;
  EXPECT_THAT(asked(request), Contains(to_vfio(kDisk, "mechanism,other-devices")));
}

TEST_F(PermitsTest, WhatIsAllowedIsDone) {
  const auto done = go(bind(kNicA), {to_vfio(kNicA)});
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
  EXPECT_THAT(done->json, HasSubstr("\"address\": \"" + kNicA.name.str() + "\""));
}

TEST_F(PermitsTest, WhatIsMoreThanThatIsNot) {
  const auto before = all();
  Request both = bind(kNicA);
  both.devices.push_back(kDisk);
  for (const auto& [request, allowed] : std::vector<std::pair<Request, std::vector<Permit>>>{
           {both, {to_vfio(kNicA)}},
           {bind(kNicA), {}},
           {bind(kNicA), {{.device = kNicA.str(), .driver = "none"}}},
           {bind(kNicA), {to_vfio(kNicA, "mounted")}}}) {
    const auto done = go(request, allowed);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, ErrorKind::kNotPermitted) << done.error().message();
    EXPECT_EQ(all(), before) << "nothing was touched";
  }
}

TEST_F(PermitsTest, ADeviceThatAnybindNeverHadIsNotGivenBackButChanged) {
  const Request back{.verb = Request::Verb::kRestore, .devices = {kNicA}};
  EXPECT_THAT(asked(back), ElementsAre(Permit{.device = kNicA.str(), .driver = "default"}));
  ASSERT_TRUE(go(bind(kNicA), {to_vfio(kNicA)}));
  EXPECT_THAT(
      asked(back),
      ElementsAre(Permit{.action = Action::kGiveBack, .device = kNicA.str(), .driver = "igc"}));
}

TEST_F(PermitsTest, RulesAreAllowedOneByOne) {
  const std::string file = testing::TempDir() + "permits_test.toml";
  std::ofstream(file) << "[[rule]]\nname = \"one\"\nmatch = { device = \"" + kNicA.name.str() +
                             "\" }\ndriver = \"vfio-pci\"\n[[rule]]\nname = \"two\"\nmatch = { "
                             "device = \"" +
                             kDisk.name.str() + "\" }\ndriver = \"none\"\n";
  const RuleSource rules{.named = {file}};
  const auto permits = permits_for(host_, rules);
  ASSERT_TRUE(permits);
  const Permit one{.action = Action::kApplyRule, .rule = "one"};
  const Permit two{.action = Action::kApplyRule, .rule = "two"};
  EXPECT_THAT(*permits, ElementsAre(one, two));
  const std::string disk = state_of(kDisk);
  const auto done = apply(host_, rules, {one}, patient_);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
  EXPECT_EQ(state_of(kDisk), disk) << "its rule was not allowed";
  EXPECT_THAT(permits_for(host_, rules).value(), ElementsAre(two));
}

TEST_F(PermitsTest, WhoStopsStops) {
  const auto before = all();
  Waiting stops = patient_;
  stops.stop_requested = [] { return true; };
  const auto done =
      change(host_, RuleSource{}, Wanted{.request = bind(kNicA)}, {to_vfio(kNicA)}, stops);
  ASSERT_FALSE(done);
  EXPECT_EQ(all(), before);
}

TEST_F(PermitsTest, AnswersAreJson) {
  EXPECT_THAT(list_devices(host_, {kNicA.name.str()}).value(), HasSubstr("\"driver\":\"igc\""));
  EXPECT_THAT(explain(host_, kNicA.name.str(), "vfio-pci").value(), HasSubstr("\"asked\""));
  EXPECT_THAT(plan(host_, RuleSource{}, Wanted{.request = bind(kNicA)}).value(),
              HasSubstr("\"predicted\""));
  EXPECT_EQ(history(host_).value(), "[]\n");
  ASSERT_TRUE(go(bind(kNicA), {to_vfio(kNicA)}));
  const auto told = wire::history_from_json(history(host_).value());
  ASSERT_TRUE(told) << told.error().message();
  ASSERT_EQ(told->size(), 1U);
  EXPECT_EQ(told->front().command, "bind");
  EXPECT_EQ(told->front().result, "done");
  EXPECT_THAT(told->front().devices, ElementsAre(kNicA.str()));
  for (const char* text :
       {"", "{}", "[1]", "[{\"id\": -1, \"result\": \"done\"}]", "[{\"id\": 1}]",
        "[{\"id\": 1, \"result\": 2}]", "[{\"id\": 1, \"result\": \"done\", \"time\": 3}]"})
    EXPECT_EQ(wire::history_from_json(text).error().kind, ErrorKind::kUsage) << text;
  EXPECT_EQ(list_devices(host_, {"no-such-thing"}).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(list_devices(host_, std::vector<std::string>(1001, "x")).error().kind,
            ErrorKind::kUsage);
}

}  // namespace
}  // namespace anybind::daemon
