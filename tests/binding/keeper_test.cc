#include "policy/keeper.h"

#include <gmock/gmock.h>

#include "engine/hold.h"
#include "engine_fixture.h"
#include "policy/greeter.h"
#include "policy/spec.h"

namespace anybind {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Rules over time on the modelled kernel, where a test is the clock and everybody else.
class KeeperTest : public EngineTest {
 protected:
  KeeperTest()
      : host_(*sysfs_),
        keeper_(
            host_, [this] { return parse_spec({{.name = "a.toml", .text = text_}}); },
            [this](const Notice& notice) {
              said_.push_back((notice.device ? notice.device->name.str() + ": " : std::string()) +
                              notice.text);
            }),
        greeter_(host_, [this](const Notice& notice) { said_.push_back(notice.text); }) {
    host_.storage = &files_;
    host_.clock = &clock_;
    host_.boot = "boot";
    host_.command = "keeper";
  }

  static std::string rule(const DeviceId& device, const std::string& driver,
                          const std::string& more = "") {
    return "[[rule]]\nname = \"" + device.str() + "\"\nmatch = { device = \"" + device.name.str() +
           "\" }\ndriver = \"" + driver + "\"\n" + more;
  }
  void rules(const std::string& text) {
    text_ = text;
    keeper_.load();
    greeter_.use(std::make_shared<Spec>(keeper_.spec()), held_since_);
  }
  std::optional<Clock::Time> look() {
    said_.clear();
    return keeper_.look(told_);
  }
  /// Until the moment that the last look named.
  void look_when_due(std::optional<Clock::Time> next) {
    ASSERT_TRUE(next);
    const auto now = clock_.now();
    if (*next > now) clock_.sleep(std::chrono::duration_cast<milliseconds>(*next - now));
    look();
  }
  /// A script takes a device back, as driverctl does.
  void meddle(const DeviceId& device, const std::string& to) {
    const std::string name = device.name.str();
    const std::string now = state_of(device);
    if (now[0] != '-') write("bus/pci/drivers/" + now.substr(0, now.find(' ')) + "/unbind", name);
    write(device.path() + "/driver_override", "\n");
    write("bus/pci/drivers/" + to + "/bind", name);
  }
  static Uevent added(const DeviceId& device) {
    return {.action = "add",
            .devpath = "/devices/pci0000:00/" + device.name.str(),
            .subsystem = device.bus.str()};
  }

  Host host_;
  std::string text_;
  std::vector<std::string> said_;
  Keeper keeper_;
  Greeter greeter_;
  std::optional<Instance> held_since_{};
};

TEST_F(KeeperTest, WhatIsDeclaredBecomesSo) {
  rules(rule(kNicA, "vfio-pci") + rule(kDisk, "none"));
  EXPECT_EQ(look(), std::nullopt) << "nothing is left to wait for";
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
  EXPECT_EQ(state_of(kDisk), "- none");
  EXPECT_EQ(state_of(kNicB), "igc (unset)") << "which no rule is about";
  EXPECT_EQ(keeper_.counts().corrections, 2U);
  EXPECT_EQ(keeper_.declared(), 2U);
  EXPECT_EQ(keeper_.met(), 2U);
  const auto before = all();
  EXPECT_EQ(look(), std::nullopt);
  EXPECT_THAT(said_, IsEmpty());
  EXPECT_EQ(all(), before);
}

TEST_F(KeeperTest, WhatSomebodyIsDoingIsGivenASecond) {
  rules(rule(kNicA, "vfio-pci"));
  look();
  meddle(kNicA, "igc");
  const auto next = look();
  EXPECT_EQ(state_of(kNicA), "igc (unset)");
  ASSERT_TRUE(next);
  EXPECT_GT(*next - clock_.now(), milliseconds(900));
  EXPECT_LE(*next - clock_.now(), seconds(1));
  look_when_due(next);
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
  EXPECT_THAT(said_, ElementsAre("0000:04:00.0: igc -> vfio-pci"));
}

TEST_F(KeeperTest, ItDoesNotFight) {
  rules(rule(kNicA, "vfio-pci"));
  look();  // the first correction
  meddle(kNicA, "igc");
  look_when_due(look());
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci") << "the second";
  meddle(kNicA, "igc");
  EXPECT_EQ(look(), std::nullopt);
  EXPECT_THAT(said_, ElementsAre(HasSubstr("twice within a minute")));
  clock_.sleep(minutes(1));
  EXPECT_EQ(look(), std::nullopt) << "not a minute later either";
  EXPECT_EQ(state_of(kNicA), "igc (unset)");
  EXPECT_EQ(keeper_.counts().given_up, 1U);
  rules(rule(kNicA, "vfio-pci") + "# changed\n" + rule(kNicB, "igc"));
  look();
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci") << "with new rules it is tried again";
}

TEST_F(KeeperTest, SlowMeddlingIsCorrectedEachTime) {
  rules(rule(kNicA, "vfio-pci"));
  look();
  for (int round = 0; round < 5; ++round) {
    clock_.sleep(minutes(2));
    meddle(kNicA, "igc");
    look_when_due(look());
    EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci") << round;
  }
  EXPECT_EQ(keeper_.counts().given_up, 0U);
}

TEST_F(KeeperTest, WhatIsDoneByAnybindIsWanted) {
  rules(rule(kNicA, "vfio-pci"));
  look();
  Host person = host_;
  person.command = "restore 04:00.0";
  ASSERT_TRUE(change(person, {.verb = Request::Verb::kRestore, .devices = {kNicA}}, told_));
  EXPECT_EQ(look(), std::nullopt);
  EXPECT_THAT(said_,
              testing::Contains(HasSubstr("as somebody wanted (change 2: restore 04:00.0)")));
  clock_.sleep(minutes(20));
  look();
  EXPECT_EQ(state_of(kNicA), "igc (unset)");
  ASSERT_TRUE(change(person, to_vfio_request({kNicA}), told_));
  look();
  meddle(kNicA, "igc");
  look_when_due(look());
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci") << "by then it was as declared again";
}

TEST_F(KeeperTest, WhatFailsIsTriedLessAndLessOften) {
  rules(rule(kNicA, "no-such-driver"));
  std::vector<long> waits;
  for (int round = 0; round < 12; ++round) {
    const auto next = look();
    EXPECT_EQ(said_.empty(), round > 0) << "it is told once";
    ASSERT_TRUE(next);
    const auto wait = *next - clock_.now();
    waits.push_back(std::chrono::duration_cast<seconds>(wait + milliseconds(500)).count());
    clock_.sleep(std::chrono::duration_cast<milliseconds>(wait) + milliseconds(1));
  }
  EXPECT_THAT(waits, ElementsAre(2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300));
  EXPECT_EQ(keeper_.counts().failures, 12U);
  EXPECT_EQ(state_of(kNicA), "igc (unset)");
}

TEST_F(KeeperTest, BrokenRulesLeaveTheOldOnes) {
  rules(rule(kNicA, "vfio-pci"));
  look();
  said_.clear();
  text_ = "broken";
  EXPECT_FALSE(keeper_.load());
  EXPECT_THAT(said_, ElementsAre(HasSubstr("the rules stay what they were")));
  meddle(kNicA, "igc");
  look_when_due(look());
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
  rules("");
  meddle(kNicA, "igc");
  EXPECT_EQ(look(), std::nullopt);
  EXPECT_EQ(state_of(kNicA), "igc (unset)") << "without a rule it is nobody's business";
}

TEST_F(KeeperTest, WhatWasCutOffIsEnded) {
  cut_off();
  ASSERT_FALSE(open().empty());
  rules(rule(kNicB, "vfio-pci"));
  look();
  EXPECT_TRUE(open().empty());
  EXPECT_THAT(said_, testing::Contains(HasSubstr("was cut off, and has been ended")));
  EXPECT_EQ(state_of(kNicB), "vfio-pci vfio-pci");
}

TEST_F(KeeperTest, ANewcomerIsKeptBeforeAnythingElse) {
  rules(rule(kNicA, "vfio-pci") + rule(kDisk, "default"));
  look();
  // Another card comes to the place, and no driver has had it yet.
  write("bus/pci/drivers/vfio-pci/unbind", kNicA.name.str());
  write(kNicA.path() + "/driver_override", "\n");
  ASSERT_EQ(state_of(kNicA), "- (unset)");
  greeter_.hear(added(kNicA));
  EXPECT_EQ(state_of(kNicA), "- vfio-pci") << "before any look";
  EXPECT_EQ(said_.back(), "it has come, and is kept for vfio-pci");
  EXPECT_EQ(greeter_.counts().kept, 1U);
  greeter_.hear(added(kNicB));
  greeter_.hear(added(kDisk));
  EXPECT_EQ(state_of(kNicB), "igc (unset)");
  EXPECT_EQ(state_of(kDisk), "nvme (unset)");
  EXPECT_EQ(greeter_.counts().races_lost, 0U);
}

TEST_F(KeeperTest, ARaceThatIsLostIsCountedAndPutRight) {
  rules(rule(kNicA, "vfio-pci"));
  greeter_.hear(added(kNicA));
  EXPECT_EQ(greeter_.counts().races_lost, 1U);
  EXPECT_EQ(state_of(kNicA), "igc (unset)") << "nobody loses a driver in a hurry";
  look();
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
}

TEST_F(KeeperTest, WhatItDoesNotKnowIsLeftAlone) {
  rules(rule(kNicA, "vfio-pci"));
  look();
  EXPECT_FALSE(
      keeper_.concerns({.action = "add", .devpath = "/devices/x/1-1", .subsystem = "usb"}));
  EXPECT_FALSE(keeper_.concerns({.action = "add", .devpath = "/devices/x", .subsystem = "../pci"}));
  EXPECT_TRUE(keeper_.concerns({.action = "add", .devpath = "/devices/..", .subsystem = "pci"}));
  Uevent written = added(kNicA);
  written.is_synthetic = true;
  write("bus/pci/drivers/vfio-pci/unbind", kNicA.name.str());
  write(kNicA.path() + "/driver_override", "\n");
  EXPECT_TRUE(keeper_.concerns(written)) << "a reason to look";
  greeter_.hear(written);
  EXPECT_EQ(state_of(kNicA), "- (unset)") << "but nobody has come";
}

/// Of the group of the graphics card, which user space has.
class HeldGroupTest : public KeeperTest {
 protected:
  void SetUp() override {
    write("bus/pci/drivers/snd_hda_intel/unbind", kGpuAudio.name.str());
    write("bus/pci/drivers/nouveau/unbind", kGpu.name.str());
    write(kGpu.path() + "/driver_override", "vfio-pci\n");
    write("bus/pci/drivers_probe", kGpu.name.str());
    ASSERT_TRUE(core_.hold_group(13, true));
    rules(rule(kNicA, "vfio-pci"));
    write(kGpuAudio.path() + "/remove", "1");
    write("bus/pci/rescan", "1");
    ASSERT_EQ(state_of(kGpuAudio), "- (unset)") << "the kernel has refused its driver";
    greeter_.hear(added(kGpuAudio));
  }
  void minutes_pass() {
    for (int round = 0; round < 100; ++round) {
      clock_.sleep(seconds(6));
      greeter_.offer_waiting();
    }
  }
};

TEST_F(HeldGroupTest, WhoWasRefusedIsOfferedWhenTheGroupIsFree) {
  minutes_pass();
  EXPECT_EQ(state_of(kGpuAudio), "- (unset)");
  ASSERT_TRUE(core_.hold_group(13, false));
  ASSERT_TRUE(greeter_.next_time());
  EXPECT_LE(*greeter_.next_time() - clock_.now(), seconds(5));
  clock_.sleep(seconds(5));
  greeter_.offer_waiting();
  EXPECT_EQ(state_of(kGpuAudio), "snd_hda_intel (unset)");
  EXPECT_EQ(greeter_.next_time(), std::nullopt);
}

TEST_F(HeldGroupTest, NotWhoSomebodyHasTakenItsDriverFrom) {
  Uevent unbound = added(kGpuAudio);
  unbound.action = "unbind";
  greeter_.hear(unbound);
  EXPECT_EQ(greeter_.next_time(), std::nullopt);
  ASSERT_TRUE(core_.hold_group(13, false));
  minutes_pass();
  EXPECT_EQ(state_of(kGpuAudio), "- (unset)");
}

TEST_F(HeldGroupTest, NorForEverWhereNobodyHasItsGroup) {
  ASSERT_TRUE(core_.hold_group(13, false));
  ASSERT_TRUE(core_.set_probe("snd_hda_intel", -EIO, kGpuAudio.name.str()));
  write("bus/pci/drivers/vfio-pci/unbind", kGpu.name.str());
  minutes_pass();
  EXPECT_EQ(greeter_.next_time(), std::nullopt);
}

/// Two rules that contradict each other in the card's group: that is seen by the look at all
/// devices only, after the card was kept in a hurry.
TEST_F(KeeperTest, WhatWasKeptForARuleThatIsNotObeyedIsGivenBack) {
  rules(rule(kGpu, "vfio-pci", "group = \"whole\"\n") + rule(kGpuAudio, "none"));
  write("bus/pci/drivers/snd_hda_intel/unbind", kGpuAudio.name.str());
  write("bus/pci/drivers/nouveau/unbind", kGpu.name.str());
  greeter_.hear(added(kGpu));
  greeter_.hear(added(kGpuAudio));
  ASSERT_EQ(state_of(kGpu), "- vfio-pci");
  ASSERT_EQ(state_of(kGpuAudio), "- none");
  look();
  ASSERT_TRUE(keeper_.judgement());
  greeter_.take_back(*keeper_.judgement(), told_);
  EXPECT_EQ(state_of(kGpu), "nouveau (unset)");
  EXPECT_EQ(state_of(kGpuAudio), "snd_hda_intel (unset)");
  EXPECT_THAT(said_, testing::Contains(HasSubstr("it was kept for vfio-pci, and the rule is not")));
}

TEST_F(KeeperTest, WhatWasKeptSinceTheLookIsNotGivenBack) {
  rules(rule(kNicA, "vfio-pci"));
  write("bus/pci/drivers/igc/unbind", kNicA.name.str());
  const Judgement of_before{.began = clock_.now()};
  greeter_.hear(added(kNicA));
  greeter_.take_back(of_before, told_);
  EXPECT_EQ(state_of(kNicA), "- vfio-pci");
  greeter_.take_back({.began = clock_.now()}, told_);
  EXPECT_EQ(state_of(kNicA), "igc (unset)") << "no rule is about it by then";
}

TEST_F(KeeperTest, WhatTheGreeterHasKeptIsGivenItsSecond) {
  rules(rule(kNicA, "vfio-pci"));
  write("bus/pci/drivers/igc/unbind", kNicA.name.str());
  greeter_.hear(added(kNicA));
  const auto next = look();
  EXPECT_EQ(state_of(kNicA), "- vfio-pci");
  look_when_due(next);
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
}

TEST_F(KeeperTest, ADriverThatSeemsToBeThereIsLookedAtAgain) {
  rules(rule(kNicA, "vfio-pci"));
  write("bus/pci/drivers/igc/unbind", kNicA.name.str());
  write(kNicA.path() + "/driver_override", "vfio-pci\n");
  write("bus/pci/drivers/vfio-pci/bind", kNicA.name.str());
  const auto next = look();
  ASSERT_TRUE(next);
  EXPECT_LE(*next - clock_.now(), seconds(1));
  write("bus/pci/drivers/vfio-pci/unbind", kNicA.name.str());  // the probe has failed
  look_when_due(next);
  EXPECT_THAT(said_, ElementsAre(HasSubstr("it has no driver")));
  write("bus/pci/drivers/vfio-pci/bind", kNicA.name.str());
  const auto again = look();
  look_when_due(again);
  EXPECT_EQ(look(), std::nullopt) << "once";
}

TEST_F(KeeperTest, TheBootListIsWrittenWithTheLock) {
  class Rules final : public MemoryStorage {
   public:
    explicit Rules(const TakenStorage& state) : state_(state) {}
    Reply<void> replace(std::string_view name, std::string_view bytes) override {
      was_held = state_.held;
      return MemoryStorage::replace(name, bytes);
    }
    bool was_held = false;

   private:
    const TakenStorage& state_;
  } kept(files_);
  host_.rules = &kept;
  rules(rule(kNicA, "vfio-pci"));
  look();
  EXPECT_TRUE(kept.files().contains("boot.list"));
  EXPECT_TRUE(kept.was_held);
  EXPECT_FALSE(files_.held);
}

TEST_F(KeeperTest, WhoeverIsToStopDoesNotBegin) {
  rules(rule(kNicA, "vfio-pci"));
  told_.stop = true;
  look();
  EXPECT_EQ(state_of(kNicA), "igc (unset)");
}

TEST_F(KeeperTest, WhatIsNotObeyedIsToldOnce) {
  rules(
      "[[rule]]\nname = \"a\"\nmatch = { device = \"04:00.0\", id = \"10de:1c03\" }\ndriver = "
      "\"vfio-pci\"\n");
  look();
  EXPECT_THAT(said_, ElementsAre(HasSubstr("another card stands where the rule says")));
  look();
  EXPECT_THAT(said_, IsEmpty());
  EXPECT_EQ(state_of(kNicA), "igc (unset)");
}

}  // namespace
}  // namespace anybind
