#include <gmock/gmock.h>

#include "machine.h"

namespace anybind {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> lines(const Plan& plan) {
  std::vector<std::string> out;
  for (const DevicePlan& device : plan.devices) {
    for (const Step& step : device.steps) out.push_back(shell_line(device.device, step, "/sys"));
  }
  return out;
}

Binding bound(const std::string& to, std::optional<std::string> override = std::nullopt) {
  return {.driver = driver(to), .has_override = true, .driver_override = std::move(override)};
}

using Planner = MachineTest;

TEST_F(Planner, SetsTheOverrideBeforeItUnbindsAndLeavesIt) {
  EXPECT_THAT(lines(*to_vfio({kNicA})),
              ElementsAre("echo vfio-pci > /sys/bus/pci/devices/0000:04:00.0/driver_override",
                          "echo 0000:04:00.0 > /sys/bus/pci/drivers/igc/unbind",
                          "echo 0000:04:00.0 > /sys/bus/pci/drivers/vfio-pci/bind"));
}

TEST_F(Planner, LeavesADeviceThatIsThereAlone) {
  EXPECT_TRUE(plan_bind(*sysfs_, {.devices = {kNicA}, .driver = driver("igc")})->empty());
}

TEST_F(Planner, OnlyMendsAnOverrideThatNamesAnother) {
  ASSERT_EQ(write("bus/pci/devices/0000:04:00.0/driver_override", "vfio-pci"), 0);
  EXPECT_THAT(lines(*plan_bind(*sysfs_, {.devices = {kNicA}, .driver = driver("igc")})),
              ElementsAre("echo igc > /sys/bus/pci/devices/0000:04:00.0/driver_override"));
}

TEST_F(Planner, RefusesAMemberOfAGroupThatIsNotViableAndNamesTheOthers) {
  const auto plan = to_vfio({kGpu});
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().kind, ErrorKind::kRefused);
  EXPECT_THAT(plan.error().message(), HasSubstr("0000:03:00.1 (snd_hda_intel)"));
  EXPECT_TRUE(plan.error().advice.names(Action::kTakeGroup));
}

TEST_F(Planner, LooksAtTheGroupOfEachDevice) {
  for (const auto& devices : {std::vector{kNicA, kGpu}, std::vector{kGpu, kNicA}}) {
    const auto plan = to_vfio(devices);
    ASSERT_FALSE(plan);
    EXPECT_THAT(plan.error().message(), HasSubstr("0000:03:00.1 (snd_hda_intel)"));
  }
}

TEST_F(Planner, AcceptsAllMembersNamedOneByOne) {
  EXPECT_TRUE(to_vfio({kGpu, kGpuAudio}));
}

TEST_F(Planner, TakesTheWholeGroupButNotItsBridge) {
  const auto plan = to_vfio({kGpuAudio}, true);
  ASSERT_TRUE(plan);
  std::vector<DeviceId> devices;
  for (const DevicePlan& device : plan->devices) devices.push_back(device.device);
  EXPECT_THAT(devices, ElementsAre(kGpuAudio, kGpu));
  EXPECT_THAT(plain(plan->notes), testing::Contains(HasSubstr("0000:00:03.0 is a bridge")));
}

TEST_F(Planner, RefusesABridge) {
  const auto plan = to_vfio({kGpuPort, kGpu, kGpuAudio});
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().kind, ErrorKind::kRefused);
  EXPECT_EQ(plan.error().object, "0000:00:03.0");
}

TEST_F(Planner, AHostDriverNeedsNoViableGroup) {
  EXPECT_TRUE(plan_bind(*sysfs_, {.devices = {kGpu}, .driver = driver("pci-stub")}));
}

TEST_F(Planner, AnUnknownDriverIsNotFoundWithTheNearestNames) {
  const auto plan = plan_bind(*sysfs_, {.devices = {kNicA}, .driver = driver("vfio_pci")});
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().kind, ErrorKind::kNotFound);
  EXPECT_THAT(plan.error().advice.plain(), HasSubstr("vfio-pci"));
}

TEST_F(Planner, AnUnknownDeviceIsNotFound) {
  EXPECT_EQ(to_vfio({pci("0000:77:00.0")}).error().kind, ErrorKind::kNotFound);
}

TEST_F(Planner, EachDeviceOnce) {
  EXPECT_EQ(to_vfio({kNicA, kNicB, kNicA})->devices.size(), 2U);
}

TEST_F(Planner, UnbindKeepsEveryDriverAway) {
  EXPECT_THAT(lines(*plan_unbind(*sysfs_, {kNicA})),
              ElementsAre("echo none > /sys/bus/pci/devices/0000:04:00.0/driver_override",
                          "echo 0000:04:00.0 > /sys/bus/pci/drivers/igc/unbind"));
}

TEST(StepsBetween, PutsAFormerDriverBackUnderATemporaryOverride) {
  const auto steps = steps_between(bound("vfio-pci", "vfio-pci"), as_goal(bound("igc")));
  std::vector<std::string> out;
  for (const Step& step : steps) out.push_back(shell_line(kNicA, step, "/sys"));
  EXPECT_THAT(out, ElementsAre("echo igc > /sys/bus/pci/devices/0000:04:00.0/driver_override",
                               "echo 0000:04:00.0 > /sys/bus/pci/drivers/vfio-pci/unbind",
                               "echo 0000:04:00.0 > /sys/bus/pci/drivers/igc/bind",
                               "echo > /sys/bus/pci/devices/0000:04:00.0/driver_override"));
}

TEST(StepsBetween, IsEmptyFromAStateToItself) {
  for (const Binding& state :
       {bound("igc"), bound("vfio-pci", "vfio-pci"), bound("igc", "vfio-pci"),
        Binding{.has_override = true}, Binding{.has_override = true, .driver_override = "none"}}) {
    EXPECT_THAT(steps_between(state, as_goal(state)), IsEmpty());
  }
}

TEST(ShellLine, QuotesNamesFromOutside) {
  const DeviceId odd{.bus = BusName::literal("pnp"), .name = DeviceName::literal("a b;c")};
  const Step step{.kind = Step::Kind::kBind, .value = "i8042 kbd", .reason = ""};
  EXPECT_EQ(shell_line(odd, step, "/sys"), "echo 'a b;c' > '/sys/bus/pnp/drivers/i8042 kbd/bind'");
}

}  // namespace
}  // namespace anybind
