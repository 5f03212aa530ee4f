#include "policy/greeter.h"

#include <gmock/gmock.h>

#include <unistd.h>

#include "engine/hold.h"
#include "engine_fixture.h"
#include "policy/spec.h"

namespace anybind {
namespace {

using testing::HasSubstr;

const BusName kPci = BusName::literal("pci");
constexpr const char* kFlag = "bus/pci/drivers_autoprobe";

/// What a listener is warned of.
class Warned final : public Listener {
 public:
  void on_warning(const std::string& text) override { warnings.push_back(text); }
  std::vector<std::string> warnings;
};

/// The PCI bus of a modelled Linux 7.3, held by this process or by another one.
class HoldTest : public EngineTest {
 protected:
  HoldTest() : host_(*sysfs_) {
    core_ = drivercore::DriverCore(read_machine(kMachine, "linux-7.3"));
    host_.storage = &files_;
    host_.clock = &clock_;
    host_.boot = "boot";
    host_.release = "7.3.4";
    host_.own_proc = Proc("/proc");
  }
  std::string flag() { return sysfs_->read(kFlag).value_or("?").substr(0, 1); }
  /// The process that holds it has gone.
  void die() {
    auto text = **files_.read("hold.json");
    const std::string pid = "\"pid\":" + std::to_string(::getpid());
    ASSERT_NE(text.find(pid), std::string::npos);
    text.replace(text.find(pid), pid.size(), "\"pid\":999999999");
    ASSERT_TRUE(files_.replace("hold.json", text));
  }
  /// Another card comes to this place; no driver is asked, as the bus is held.
  void exchange(const DeviceId& id) {
    write(id.path() + "/remove", "1");
    write("bus/pci/rescan", "1");
  }
  std::string rule(const DeviceId& device, const std::string& driver) {
    return "[[rule]]\nname = \"" + device.str() + "\"\nmatch = { device = \"" + device.name.str() +
           "\" }\ndriver = \"" + driver + "\"\n";
  }
  static Uevent added(const std::string& name, const std::string& subsystem = "pci") {
    return {.action = "add",
            .devpath = (subsystem == "pci" ? "/devices/pci0000:00/" : "/bus/pci/drivers/") + name,
            .subsystem = subsystem};
  }
  void greet_by(Greeter& greeter, const std::string& text) {
    const auto spec = parse_spec({{.name = "a.toml", .text = text}});
    ASSERT_TRUE(spec) << spec.error().message();
    greeter.use(std::make_shared<Spec>(*spec), read_hold(host_)->value().youngest);
  }

  Host host_;
  Warned warned_;
};

TEST_F(HoldTest, ItIsRememberedAndPutBack) {
  EXPECT_TRUE(can_hold(host_));
  EXPECT_EQ(*read_hold(host_), std::nullopt);
  ASSERT_TRUE(begin_hold(host_, kPci, warned_));
  EXPECT_EQ(flag(), "0");
  const auto hold = read_hold(host_)->value();
  EXPECT_EQ(hold.pid, ::getpid());
  EXPECT_TRUE(hold.is_alive);
  exchange(kNicA);
  EXPECT_EQ(state_of(kNicA), "- (unset)") << "nobody was asked";
  EXPECT_EQ(*end_hold(host_, warned_), true);
  EXPECT_EQ(flag(), "1");
  EXPECT_EQ(state_of(kNicA), "igc (unset)") << "what came is offered";
  EXPECT_EQ(*read_hold(host_), std::nullopt);
  EXPECT_EQ(*end_hold(host_, warned_), false) << "once";
  EXPECT_THAT(warned_.warnings, testing::IsEmpty());
}

TEST_F(HoldTest, RecoverEndsThatOfADeadProcessOnly) {
  ASSERT_TRUE(begin_hold(host_, kPci, warned_));
  ASSERT_TRUE(recover_changes(host_, {}, warned_));
  EXPECT_EQ(flag(), "0") << "we live";
  exchange(kNicA);
  die();
  ASSERT_TRUE(recover_changes(host_, {}, warned_));
  EXPECT_EQ(flag(), "1");
  EXPECT_EQ(state_of(kNicA), "igc (unset)");
  EXPECT_THAT(warned_.warnings, testing::ElementsAre(HasSubstr("it is on again")));
}

TEST_F(HoldTest, ADeadHoldIsEndedByTheNext) {
  ASSERT_TRUE(begin_hold(host_, kPci, warned_));
  exchange(kNicA);
  die();
  ASSERT_TRUE(begin_hold(host_, kPci, warned_));
  EXPECT_EQ(flag(), "0");
  EXPECT_EQ(state_of(kNicA), "igc (unset)") << "what waited for the dead one";
  EXPECT_TRUE(read_hold(host_)->value().is_alive);
}

TEST_F(HoldTest, WhatSomebodyElseSwitchedOffIsTheirs) {
  write(kFlag, "0");
  const auto begun = begin_hold(host_, kPci, warned_);
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().kind, ErrorKind::kRefused);
  EXPECT_EQ(*read_hold(host_), std::nullopt);
}

TEST_F(HoldTest, AfterABootNothingIsHeld) {
  ASSERT_TRUE(begin_hold(host_, kPci, warned_));
  host_.boot = "another";
  EXPECT_EQ(*read_hold(host_), std::nullopt);
  ASSERT_TRUE(files_.replace("hold.json", "{}"));
  EXPECT_EQ(read_hold(host_).error().kind, ErrorKind::kIncomplete);
  host_.release = "6.12.1";
  EXPECT_FALSE(can_hold(host_));
}

TEST_F(HoldTest, WhatCannotBeRememberedIsNotBegun) {
  class FullStorage final : public MemoryStorage {
    Reply<void> replace(std::string_view /*name*/, std::string_view /*bytes*/) override {
      return std::unexpected(Errno{ENOSPC});
    }
  } full;
  host_.storage = &full;
  EXPECT_FALSE(begin_hold(host_, kPci, warned_));
  EXPECT_EQ(flag(), "1");
}

TEST_F(HoldTest, ANewcomerIsForItsRuleOrForTheBus) {
  ASSERT_TRUE(begin_hold(host_, kPci, warned_));
  Greeter greeter(host_, [](const Notice& /*notice*/) {});
  greet_by(greeter, rule(kNicA, "vfio-pci") + rule(kDisk, "none"));
  for (const DeviceId& id : {kNicA, kNicB, kDisk}) {
    exchange(id);
    EXPECT_EQ(state_of(id), "- (unset)");
    greeter.hear(added(id.name.str()));
  }
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
  EXPECT_EQ(state_of(kNicB), "igc (unset)");
  EXPECT_EQ(state_of(kDisk), "- none");
  EXPECT_EQ(greeter.counts().kept, 2U);
  EXPECT_EQ(greeter.counts().races_lost, 0U);
  EXPECT_EQ(greeter.next_time(), std::nullopt) << "nobody waits";
}

TEST_F(HoldTest, OfLostEventsTheNewcomersAreFound) {
  ASSERT_TRUE(begin_hold(host_, kPci, warned_));
  Greeter greeter(host_, [](const Notice& /*notice*/) {});
  write("bus/pci/drivers/nvme/unbind", kDisk.name.str());
  write(kDisk.path() + "/driver_override", "none\n");
  greet_by(greeter, rule(kNicA, "vfio-pci"));
  exchange(kNicA);
  exchange(kNicB);
  greeter.offer_all();
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
  EXPECT_EQ(state_of(kNicB), "igc (unset)");
  EXPECT_EQ(state_of(kDisk), "- none") << "which somebody keeps without one";
}

TEST_F(HoldTest, ADriverThatComesIsOfferedWhatHasNone) {
  ASSERT_TRUE(begin_hold(host_, kPci, warned_));
  Greeter greeter(host_, [](const Notice& /*notice*/) {});
  greet_by(greeter, rule(kNicA, "vfio-pci"));
  exchange(kNicA);
  exchange(kNicB);
  greeter.hear(added("igc", "drivers"));
  EXPECT_EQ(state_of(kNicB), "igc (unset)");
  EXPECT_EQ(state_of(kNicA), "- (unset)") << "but not what a rule gives to another one";
  write(kNicB.path() + "/driver_override", "none\n");
  write("bus/pci/drivers/igc/unbind", kNicB.name.str());
  greeter.hear(added("igc", "drivers"));
  EXPECT_EQ(state_of(kNicB), "- none") << "nor what somebody keeps without one";
}

TEST_F(HoldTest, WhatNobodyTakesIsOfferedAgainForAWhile) {
  ASSERT_TRUE(begin_hold(host_, kPci, warned_));
  Greeter greeter(host_, [](const Notice& /*notice*/) {});
  greet_by(greeter, rule(kNicA, "vfio-pci"));
  exchange(kNicB);
  write(kNicB.path() + "/driver_override", "no-such\n");
  greeter.hear(added(kNicB.name.str()));
  ASSERT_TRUE(greeter.next_time());
  write(kNicB.path() + "/driver_override", "\n");
  clock_.sleep(std::chrono::seconds(1));
  greeter.offer_waiting();
  EXPECT_EQ(state_of(kNicB), "igc (unset)");
  EXPECT_EQ(greeter.next_time(), std::nullopt);
  exchange(kNicB);
  write(kNicB.path() + "/driver_override", "no-such\n");
  greeter.hear(added(kNicB.name.str()));
  int rounds = 0;
  for (; greeter.next_time() && rounds < 100; ++rounds) {
    clock_.sleep(std::chrono::minutes(2));
    greeter.offer_waiting();
  }
  EXPECT_LT(rounds, 13) << "it is given up";
}

TEST_F(HoldTest, ACardOfARuleIsOfferedAgainToo) {
  ASSERT_TRUE(begin_hold(host_, kPci, warned_));
  Greeter greeter(host_, [](const Notice& /*notice*/) {});
  greet_by(greeter, rule(kNicA, "vfio-pci"));
  exchange(kNicA);
  ASSERT_TRUE(core_.set_probe("vfio-pci", -EIO, kNicA.name.str()));
  greeter.hear(added(kNicA.name.str()));
  EXPECT_EQ(state_of(kNicA), "- vfio-pci");
  ASSERT_TRUE(core_.set_probe("vfio-pci", 0, kNicA.name.str()));
  ASSERT_TRUE(greeter.next_time());
  clock_.sleep(std::chrono::seconds(1));
  greeter.offer_waiting();
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
  EXPECT_EQ(greeter.next_time(), std::nullopt);
  EXPECT_EQ(greeter.counts().kept, 1U) << "which is counted once";
}

TEST_F(HoldTest, ADeferredProbeIsRetriedAsTheKernelWouldHave) {
  constexpr int kDefer = -517;
  ASSERT_TRUE(core_.set_probe("igc", kDefer, kNicB.name.str()));
  write("bus/pci/drivers/igc/unbind", kNicB.name.str());
  write("bus/pci/drivers_probe", kNicB.name.str());
  ASSERT_TRUE(core_.set_probe("igc", 0, kNicB.name.str()));
  write("bus/pci/drivers/igc/unbind", kNicA.name.str());
  ASSERT_TRUE(begin_hold(host_, kPci, warned_));
  Greeter greeter(host_, [](const Notice& /*notice*/) {});
  greet_by(greeter, rule(kDisk, "none"));
  write("bus/pci/drivers/nvme/unbind", kDisk.name.str());
  write("bus/pci/drivers/nvme/bind", kDisk.name.str());
  EXPECT_EQ(state_of(kNicB), "- (unset)") << "the kernel does not, as the bus is held";
  greeter.hear(
      {.action = "bind", .devpath = "/devices/pci0000:00/" + kDisk.name.str(), .subsystem = "pci"});
  greeter.offer_waiting();
  EXPECT_EQ(state_of(kNicB), "igc (unset)");
  EXPECT_EQ(state_of(kNicA), "- (unset)") << "which somebody has taken its driver from";
}

/// A virtual function is linked to its physical one a moment after its event. Offered within that
/// moment it would be anybody's: the rule knows it by the link.
class FunctionsHeld : public HoldTest {
 protected:
  FunctionsHeld() {
    core_ = drivercore::DriverCore(read_machine(kFunctions, "linux-7.3"));
    write(kPf.path() + "/sriov_numvfs", "0");
  }
  static constexpr const char* kRule =
      "[[rule]]\nname = \"first\"\nmatch = { pf = \"0000:31:00.0\", vf = \"0\" }\n"
      "driver = \"vfio-pci\"\n";
  const DeviceId kPf = pci("0000:31:00.0");
  const DeviceId kFirst = pci("0000:31:01.0");
};

TEST_F(FunctionsHeld, AFunctionIsNotOfferedBeforeARuleCanKnowIt) {
  ASSERT_TRUE(begin_hold(host_, kPci, warned_));
  Greeter greeter(host_, [](const Notice& /*notice*/) {});
  greet_by(greeter, kRule);
  std::vector<std::string> seen;
  core_.set_on_step([&](const drivercore::KernelStep& step) {
    using Kind = drivercore::KernelStep::Kind;
    if (step.kind == Kind::kAddEvent) greeter.hear(added(kFirst.name.str()));
    Uevent linked = added(kFirst.name.str());
    linked.action = "change";
    if (step.kind == Kind::kVfLinked) greeter.hear(linked);
    if (step.kind == Kind::kAddEvent || step.kind == Kind::kVfLinked)
      seen.push_back(state_of(kFirst) + ", " + std::to_string(greeter.counts().offered));
  });
  ASSERT_EQ(write(kPf.path() + "/sriov_numvfs", "1"), 0);
  core_.set_on_step({});
  EXPECT_THAT(seen, testing::ElementsAre("- (unset), 0", "- vfio-pci, 0"));
  clock_.sleep(std::chrono::seconds(1));
  greeter.offer_waiting();
  EXPECT_EQ(state_of(kFirst), "vfio-pci vfio-pci");
  EXPECT_EQ(greeter.counts().kept, 1U);
  EXPECT_EQ(greeter.next_time(), std::nullopt);
}

TEST_F(FunctionsHeld, NorIsItGivenToADriverThatComesJustThen) {
  ASSERT_EQ(write("bus/pci/drivers/ice/new_id", "8086 1889"), 0);
  ASSERT_TRUE(begin_hold(host_, kPci, warned_));
  ASSERT_EQ(write(kPf.path() + "/sriov_numvfs", "1"), 0);
  ASSERT_EQ(state_of(kFirst), "- (unset)");
  auto state = core_.state();
  for (auto& [key, device] : state.devices)
    if (device.name == kFirst.name.str()) device.physfn.clear();
  core_ = drivercore::DriverCore(std::move(state));
  Greeter greeter(host_, [](const Notice& /*notice*/) {});
  greet_by(greeter, kRule);
  greeter.hear(added("ice", "drivers"));
  EXPECT_EQ(state_of(kFirst), "- (unset)");
  clock_.sleep(std::chrono::seconds(1));
  greeter.hear(added("ice", "drivers"));
  EXPECT_EQ(state_of(kFirst), "ice (unset)") << "it is no function";
}

TEST_F(FunctionsHeld, WhatStandsThereAndBecomesNoneWaitsLessThanASecond) {
  ASSERT_EQ(write(kPf.path() + "/sriov_numvfs", "1"), 0);
  ASSERT_TRUE(begin_hold(host_, kPci, warned_));
  auto state = core_.state();
  for (auto& [key, device] : state.devices)
    if (device.name == kFirst.name.str()) device.physfn.clear();
  core_ = drivercore::DriverCore(std::move(state));
  Greeter greeter(host_, [](const Notice& /*notice*/) {});
  greet_by(greeter, kRule);
  const auto began = clock_.now();
  greeter.hear(added(kFirst.name.str()));
  EXPECT_EQ(greeter.counts().offered, 0U);
  while (greeter.counts().offered == 0 && clock_.now() - began < std::chrono::seconds(1))
    greeter.offer_waiting();
  EXPECT_EQ(greeter.counts().offered, 1U);
}

}  // namespace
}  // namespace anybind
