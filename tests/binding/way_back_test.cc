// The way back: of a change that fails, and of one that was cut off. What somebody uses, what
// somebody else has done, and what cannot be written down.
#include <gmock/gmock.h>

#include <cerrno>
#include <map>

#include <fmt/format.h>

#include "base/text.h"
#include "change/recover.h"
#include "disturbed.h"
#include "machine.h"
#include "record/records.h"

namespace anybind {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using What = Recovered::What;

class WayBackTest : public MachineTest {
 protected:
  Journal journal() { return *Journal::load(files_, "boot", "test", 0); }

  Host kept_host() {
    Host out(*sysfs_);
    out.storage = &files_;
    out.boot = "boot";
    out.command = "test";
    return out;
  }

  /// A sleep takes no time, and is over.
  class HurriedClock final : public Clock {
   public:
    Time now() override { return now_; }
    void sleep(std::chrono::milliseconds time) override { now_ += time; }
    std::int64_t date() override { return 0; }

   private:
    Time now_{};
  };

  /// Of the devices in use_, whatever driver they have.
  RunOptions options() { return {.users = &users_}; }

  class SomeUsers final : public Users {
   public:
    explicit SomeUsers(WayBackTest& test) : test_(test) {}
    Result<> refuse(const std::vector<Asked>& devices) const override {
      for (const Asked& asked : devices) {
        test_.asked_.push_back(asked.device.str());
        if (test_.on_ask) test_.on_ask();
        if (std::ranges::find(test_.used_, asked.device) == test_.used_.end()) continue;
        return fail({.kind = ErrorKind::kRefused,
                     .object = asked.device.str(),
                     .why = "in use",
                     .details = {asked.device.str() + "  mounted: at /mnt"}});
      }
      return {};
    }

   private:
    WayBackTest& test_;
  };
  SomeUsers users_{*this};

  Result<std::vector<Outcome>> go(Sysfs& sysfs, const Plan& plan) {
    Origins memory = *Origins::load(files_, "boot");
    Journal log = journal();
    return run(sysfs, plan, {&memory, &log}, recorder_, options());
  }

  /// The process dies at the next operation: a listener that throws would end nothing.
  static void die_next(Disturbance& death) {
    death.kind = Disturbance::Kind::kCrash;
    death.at = death.count + 1;
  }

  /// Dies at the write of that step.
  void cut_off(const std::vector<DeviceId>& devices, std::size_t at_step) {
    Disturbance death;
    DisturbedSysfs mortal(*sysfs_, death);
    const auto plan = to_vfio(mortal, devices);
    ASSERT_TRUE(plan);
    recorder_.lines.clear();
    recorder_.before_step = [&](std::size_t count) {
      if (count == at_step) die_next(death);
    };
    EXPECT_THROW((void)go(mortal, *plan), Crash);
    recorder_.before_step = nullptr;
    recorder_.lines.clear();
  }

  Recovered heal(bool with_origins = true) {
    Origins memory = with_origins ? *Origins::load(files_, "boot") : Origins::none(files_, "boot");
    Journal log = journal();
    auto all = recover(*sysfs_, {with_origins ? &memory : nullptr, &log}, recorder_, options());
    EXPECT_EQ(all.size(), 1U);
    return all.empty() ? Recovered{} : std::move(all.front());
  }

  bool is_open() { return !journal().open().empty(); }

  DisturbedStorage files_;
  std::vector<DeviceId> used_;
  std::vector<std::string> asked_;
  std::function<void()> on_ask;
};

constexpr std::size_t kStepsOfOne = 3;  // override, unbind, bind

TEST_F(WayBackTest, OneDeviceThatCannotGoBackSendsNoOtherForward) {
  cut_off({kNicA, kDisk}, kStepsOfOne + 1);
  ASSERT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
  core_.set_probe("igc", -EIO);
  used_ = {kDisk};
  const auto healed = heal();
  EXPECT_EQ(healed.what, What::kLeft);
  ASSERT_TRUE(healed.error);
  EXPECT_EQ(healed.error->kind, ErrorKind::kIncomplete);
  EXPECT_THAT(healed.error->message(), HasSubstr("0000:04:00.0"));
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci") << "where it was to go";
  EXPECT_EQ(state_of(kDisk), "nvme (unset)");
  EXPECT_TRUE(is_open());

  used_ = {};
  EXPECT_EQ(heal().what, What::kLeft);
  EXPECT_EQ(state_of(kDisk), "nvme (unset)") << "also when nobody uses it";

  core_.set_probe("igc", 0);
  EXPECT_EQ(heal().what, What::kUndone);
  EXPECT_EQ(state_of(kNicA), "igc (unset)");
  EXPECT_FALSE(is_open());
}

TEST_F(WayBackTest, TheOnlyDeviceThatCannotGoBackGoesWhereItWasToGo) {
  cut_off({kNicA}, kStepsOfOne);
  core_.set_probe("igc", -EIO);
  EXPECT_EQ(heal().what, What::kFinished);
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
  EXPECT_FALSE(is_open());
}

TEST_F(WayBackTest, RecoverLeavesWhatIsInUseAndSaysSo) {
  cut_off({kNicA, kDisk}, kStepsOfOne + 1);
  used_ = {kNicA};
  auto healed = heal();
  EXPECT_EQ(healed.what, What::kLeft);
  ASSERT_TRUE(healed.error);
  EXPECT_EQ(healed.error->kind, ErrorKind::kIncomplete);
  EXPECT_THAT(healed.error->details, Contains("0000:04:00.0  mounted: at /mnt"));
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci") << "not even its override";
  EXPECT_THAT(recorder_.lines, IsEmpty());
  EXPECT_TRUE(is_open());
  used_ = {};
  EXPECT_EQ(heal().what, What::kUndone);
  EXPECT_EQ(state_of(kNicA), "igc (unset)");
}

TEST_F(WayBackTest, ItIsAskedBeforeEachUnbindOfTheWayBack) {
  cut_off({kNicA, kDisk}, 2 * kStepsOfOne);
  asked_.clear();
  EXPECT_EQ(heal().what, What::kUndone);
  EXPECT_THAT(asked_, ElementsAre("0000:04:00.0")) << "the disk has no driver to lose";
}

TEST_F(WayBackTest, FinishingAsksToo) {
  cut_off({kNicA}, kStepsOfOne);
  const auto line = [](const std::string& json) {
    return fmt::format("{:016x} {}\n", fnv1a(json), json);
  };
  std::string text = files_.files().at("journal-1.open");
  text += line(R"({"stuck":0,"pid":1,"started":1,"back":false})");
  ASSERT_TRUE(files_.replace("journal-1.open", text));
  ASSERT_EQ(write("bus/pci/devices/0000:04:00.0/driver_override", "\n"), 0);
  ASSERT_EQ(write("bus/pci/drivers_probe", "0000:04:00.0"), 0);
  ASSERT_EQ(state_of(kNicA), "igc (unset)");
  used_ = {kNicA};
  const auto healed = heal();
  EXPECT_EQ(healed.what, What::kUndone) << "it is as it was already";
  ASSERT_TRUE(healed.error);
  EXPECT_THAT(healed.error->message(), HasSubstr("in use"));
  EXPECT_EQ(state_of(kNicA), "igc (unset)");
}

TEST_F(WayBackTest, RollingBackLeavesWhatSomebodyHasOpenedMeanwhile) {
  const auto plan = to_vfio({kNicA, kNicB, kDisk});
  ASSERT_TRUE(plan);
  recorder_.before_step = [&](std::size_t count) {
    if (count != 3 * kStepsOfOne) return;
    core_.set_probe("vfio-pci", -EIO);
    used_ = {kNicA};
  };
  const auto outcome = go(*sysfs_, *plan);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, ErrorKind::kIncomplete);
  EXPECT_THAT(outcome.error().details, Contains("0000:04:00.0  mounted: at /mnt"));
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
  EXPECT_EQ(state_of(kNicB), "igc (unset)");
  EXPECT_EQ(state_of(kDisk), "nvme (unset)");
  used_ = {};
  EXPECT_EQ(heal().what, What::kUndone);
  EXPECT_EQ(state_of(kNicA), "igc (unset)");
}

TEST_F(WayBackTest, UsersAreLookedForOnceMoreWhenTheJournalIsWritten) {
  const auto before = all();
  used_ = {kDisk};
  on_ask = [&] { EXPECT_TRUE(is_open()) << "just before the first write"; };
  const auto plan = to_vfio({kNicA, kDisk});
  const auto outcome = go(*sysfs_, *plan);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, ErrorKind::kRefused);
  EXPECT_THAT(recorder_.lines, IsEmpty());
  EXPECT_EQ(all(), before);
  EXPECT_FALSE(is_open());
  EXPECT_EQ(origins().find(kNicA, plan->devices[0].instance), std::nullopt);
}

TEST_F(WayBackTest, WhatSomebodyElseHasDoneMeanwhileIsLeftAlone) {
  cut_off({kNicA, kDisk}, kStepsOfOne + 1);
  const std::string name = "0000:04:00.0";
  ASSERT_EQ(write("bus/pci/drivers/vfio-pci/unbind", name), 0);
  ASSERT_EQ(write("bus/pci/devices/" + name + "/driver_override", "pci-stub"), 0);
  ASSERT_EQ(write("bus/pci/drivers/pci-stub/bind", name), 0);
  asked_.clear();
  EXPECT_EQ(heal().what, What::kUndone);
  EXPECT_EQ(state_of(kNicA), "pci-stub pci-stub");
  EXPECT_EQ(state_of(kDisk), "nvme (unset)");
  EXPECT_THAT(asked_, IsEmpty());
  EXPECT_FALSE(is_open()) << "it is not owed any more";
}

/// All devices are done, and then a late part of the change fails.
class LateFailure : public WayBackTest {
 protected:
  void die_rolling_back(bool first) {
    Disturbance death;
    DisturbedSysfs mortal(*sysfs_, death);
    const auto plan = to_vfio(mortal, {kNicA, kDisk});
    ASSERT_TRUE(plan);
    RunOptions how = options();
    how.owner = Owner{.uid = 1000};  // who can have no node where there are none
    Host host(mortal);
    HurriedClock clock;
    host.clock = &clock;
    recorder_.before_step = [&](std::size_t count) {
      // After a line that says so; four steps take the second device back.
      if (count == 2 * kStepsOfOne + 1 + (first ? 1 : 5)) die_next(death);
    };
    Origins memory = *Origins::load(files_, "boot");
    Journal log = journal();
    EXPECT_THROW((void)run(host, *plan, {&memory, &log}, recorder_, how), Crash);
    recorder_.before_step = nullptr;
    recorder_.lines.clear();
  }
};

TEST_F(LateFailure, RollingBackThatHadBegunIsGoneOnWith) {
  const auto before = all();
  die_rolling_back(true);
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
  EXPECT_EQ(state_of(kDisk), "vfio-pci vfio-pci");
  EXPECT_EQ(heal().what, What::kUndone);
  EXPECT_EQ(all(), before);
}

TEST_F(LateFailure, AlsoWhenTheLineThatSaysSoIsLost) {
  const auto before = all();
  die_rolling_back(false);
  EXPECT_EQ(state_of(kDisk), "nvme (unset)") << "this one is back";
  std::string text = files_.files().at("journal-1.open");
  text.resize(text.find(R"( {"back")") - 16);
  ASSERT_TRUE(files_.replace("journal-1.open", text));
  EXPECT_EQ(heal().what, What::kUndone);
  EXPECT_EQ(all(), before);
}

TEST_F(WayBackTest, AFullDiskDoesNotChangeWhatRecoverDoes) {
  const auto before = all();
  for (const std::size_t step : {std::size_t{1}, kStepsOfOne, kStepsOfOne + 1, 2 * kStepsOfOne}) {
    core_ = drivercore::DriverCore(read_machine(kMachine));
    files_.clear();
    cut_off({kNicA, kDisk}, step);
    files_.disturbance = {
        .kind = Disturbance::Kind::kError, .at = 1, .lasting = true, .err = {ENOSPC}};
    const auto healed = heal();
    files_.disturbance = {};
    EXPECT_EQ(all(), before) << step;
    EXPECT_EQ(healed.what, What::kLeft) << "the journal is still open";
    EXPECT_EQ(healed.error->kind, ErrorKind::kIncomplete);
    EXPECT_THAT(healed.error->message(), HasSubstr("as before"));
    EXPECT_TRUE(is_open());
    EXPECT_EQ(heal().what, What::kUndone);
    EXPECT_EQ(all(), before) << step;
  }
}

TEST_F(WayBackTest, OriginsThatCannotBeWrittenAreToldAndNoMore) {
  const auto before = all();
  cut_off({kNicA}, kStepsOfOne);
  // The log: opened, a line break, "back"; then origins.json.
  files_.disturbance = {.kind = Disturbance::Kind::kError, .at = 4, .err = {ENOSPC}};
  Origins memory = *Origins::load(files_, "boot");
  Journal log = journal();
  const auto all_of_it = recover(*sysfs_, {&memory, &log}, recorder_);
  files_.disturbance = {};
  ASSERT_EQ(all_of_it.size(), 1U);
  EXPECT_EQ(all_of_it[0].what, What::kUndone);
  ASSERT_TRUE(all_of_it[0].memory);
  EXPECT_EQ(all_of_it[0].memory->err.value, ENOSPC);
  EXPECT_EQ(all(), before);
  EXPECT_FALSE(is_open());
}

TEST_F(WayBackTest, WithDamagedOriginsTheJournalPutsDevicesBack) {
  const auto before = all();
  cut_off({kNicA, kDisk}, kStepsOfOne + 1);
  ASSERT_TRUE(files_.replace("origins.json", "{"));
  const Storage::Wait never = [](const std::string&) { return false; };
  EXPECT_FALSE(Memory::lock(kept_host(), never));
  auto memory = Memory::lock(kept_host(), never, Memory::OnDamage::kGoOn);
  ASSERT_TRUE(memory);
  ASSERT_TRUE(memory->damage);
  EXPECT_EQ(heal(false).what, What::kUndone);
  EXPECT_EQ(all(), before);
  EXPECT_FALSE(is_open());
  EXPECT_EQ(files_.files().at("origins.json"), "{") << "to be looked at";
}

TEST_F(WayBackTest, WithoutANameOfThisBootNothingIsChangedOrDropped) {
  const Storage::Wait never = [](const std::string&) { return false; };
  Host unnamed = kept_host();
  unnamed.boot = "";
  const auto locked = Memory::lock(unnamed, never);
  ASSERT_FALSE(locked);
  EXPECT_EQ(locked.error().kind, ErrorKind::kFailed);
  EXPECT_THAT(locked.error().advice.plain(), HasSubstr("/proc"));
  cut_off({kNicA}, kStepsOfOne);
  Origins memory = Origins::none(files_, "");
  Journal nameless = *Journal::load(files_, "", "test", 0);
  EXPECT_EQ(recover(*sysfs_, {&memory, &nameless}, recorder_).front().what, What::kLeft);
  EXPECT_TRUE(is_open());
}

TEST_F(WayBackTest, AJournalThatNamesOtherFilesIsNotFollowed) {
  cut_off({kNicA}, kStepsOfOne);
  const std::string text = files_.files().at("journal-1.open");
  const std::string head = text.substr(17, text.find('\n') - 17);
  const auto state = all();
  const auto with = [&](const std::string& path, const std::string& undo_path) {
    std::string json = head;
    const std::string none = R"("settings":[])";
    json.replace(json.find(none), none.size(),
                 fmt::format(R"("settings":[{{"path":"{}","bytes":"1","undo_path":"{}",)"
                             R"("undo_bytes":"1","device":null,"lasting":true,"late":false}}])",
                             path, undo_path));
    return fmt::format("{:016x} {}\n", fnv1a(json), json);
  };
  const std::string good = "bus/pci/drivers_autoprobe";
  for (const std::string& bad :
       {std::string("bus/pci/drivers/igc/unbind"), std::string("bus/pci/rescan"),
        std::string("bus/../kernel/x/drivers_autoprobe"), std::string("../drivers_autoprobe"),
        std::string("bus/pci/devices/0000:05:00.0/sriov_numvfs"),
        std::string("kernel/uevent_helper"),
        std::string("bus/pci/drivers/../../drivers/igc/new_id"), std::string()}) {
    for (const auto& file : {with(bad, good), with(good, bad)}) {
      ASSERT_TRUE(files_.replace("journal-1.open", file));
      const auto healed = heal();
      EXPECT_EQ(healed.what, What::kLeft) << bad;
      ASSERT_TRUE(healed.error);
      EXPECT_EQ(healed.error->kind, ErrorKind::kNotPermitted) << bad;
      EXPECT_EQ(all(), state) << bad;
      EXPECT_THAT(recorder_.lines, IsEmpty()) << bad;
    }
  }
  ASSERT_TRUE(files_.replace("journal-1.open", with(good, good)));
  EXPECT_EQ(heal().what, What::kUndone);
}

TEST(OriginsFile, EveryBitThatIsWrongIsFound) {
  const auto storage = memory_storage();
  auto origins = Origins::load(*storage, "boot");
  origins->remember(
      kNicA, {.instance = {.device = 22, .inode = 14517},
              .binding = {.driver = driver("igc"), .has_override = true, .driver_override = {}}});
  ASSERT_TRUE(origins->save());
  const std::string good = storage->read("origins.json").value().value();
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string wrong = good;
    wrong[bit / 8] = static_cast<char>(wrong[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_TRUE(storage->replace("origins.json", wrong));
    EXPECT_FALSE(Origins::load(*storage, "boot")) << "bit " << bit << ": " << wrong;
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    ASSERT_TRUE(storage->replace("origins.json", good.substr(0, size)));
    EXPECT_FALSE(Origins::load(*storage, "boot")) << size;
  }
  ASSERT_TRUE(storage->replace(
      "origins.json",
      R"({"version":1,"boot":"boot","devices":[{"bus":"pci","device":"0000:04:00.0",)"
      R"("instance":[22,14517],"driver":"igc","driver_override":null}]})"));
  EXPECT_TRUE(Origins::load(*storage, "boot")->find(kNicA, {.device = 22, .inode = 14517}))
      << "an older version wrote no checksum";
}

/// A physical function and its virtual ones in one change.
TEST(FunctionsTest, APlanThatRemovesItsOwnMembersIsNotToldAsDone) {
  const drivercore::State machine = read_machine(kFunctions);
  const DeviceId pf = pci("0000:31:00.0");
  const DeviceId vf = pci("0000:31:01.0");
  for (const std::vector<DeviceId>& order : {std::vector{vf, pf}, std::vector{pf, vf}}) {
    drivercore::DriverCore core(machine);
    const auto sysfs = drivercore::model_sysfs(core);
    MemoryStorage files;
    Origins origins = *Origins::load(files, "boot");
    Journal journal = *Journal::load(files, "boot", "test", 0);
    // No planner makes such a plan; but what is below one may change before it is run.
    EXPECT_FALSE(plan_bind(*sysfs, {.devices = order, .driver = driver("vfio-pci")}));
    HeldPlan plan;
    for (const DeviceId& id : order) {
      const auto dir = *open_device(*sysfs, id);
      const Goal goal{.driver = driver("vfio-pci"), .driver_override = "vfio-pci"};
      plan.devices.push_back({.device = id,
                              .instance = *dir->instance(),
                              .before = *read_binding(*dir),
                              .goal = goal,
                              .steps = steps_between(*read_binding(*dir), goal)});
    }
    Listener nobody;
    const auto outcome = run(*sysfs, plan, {&origins, &journal}, nobody);
    ASSERT_FALSE(outcome) << "a function that is gone is not on vfio-pci";
    EXPECT_THAT(outcome.error().message(), HasSubstr("0000:31:0"));
    const auto* device = core.find("pci", pf.name.str());
    ASSERT_NE(device, nullptr);
    ASSERT_TRUE(device->driver);
    EXPECT_EQ(core.state().drivers.at(*device->driver).name, "ice");
    EXPECT_EQ(device->num_vfs, 2U);
    const bool open = !Journal::load(files, "boot", "test", 0)->open().empty();
    EXPECT_EQ(open, outcome.error().kind == ErrorKind::kIncomplete);
  }
}

TEST_F(WayBackTest, ADeviceThatSomebodyTakesBeforeTheEndIsNotToldAsDone) {
  recorder_.before_step = [&](std::size_t count) {
    if (count != 2 * kStepsOfOne) return;
    ASSERT_EQ(write("bus/pci/drivers/vfio-pci/unbind", "0000:04:00.0"), 0);
  };
  const auto before = all();
  const auto outcome = go(*sysfs_, *to_vfio({kNicA, kDisk}));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, ErrorKind::kFailed);
  EXPECT_THAT(outcome.error().message(), HasSubstr("0000:04:00.0"));
  EXPECT_EQ(all(), before);
}

}  // namespace
}  // namespace anybind
