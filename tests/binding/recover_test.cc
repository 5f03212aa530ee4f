// The journal and what recover() makes of it: every way in which a file can be broken, and a crash
// at every operation on sysfs and on the journal.
#include <gmock/gmock.h>

#include <array>
#include <cerrno>

#include <fmt/format.h>

#include "base/text.h"
#include "change/recover.h"
#include "disturbed.h"
#include "machine.h"

namespace anybind {
namespace {

using What = Recovered::What;

class RecoverTest : public MachineTest {
 protected:
  Journal journal(const std::string& boot = "boot") {
    return *Journal::load(files_, boot, "test", 0);
  }
  Result<std::vector<Outcome>> go(Sysfs& sysfs, const Plan& plan) {
    Origins memory = *Origins::load(files_, "boot");
    Journal log = journal();
    return run(sysfs, plan, {&memory, &log}, recorder_);
  }
  std::vector<Recovered> heal(const std::string& boot = "boot") {
    Origins memory = *Origins::load(files_, boot);
    Journal log = journal(boot);
    return recover(*sysfs_, {&memory, &log}, recorder_);
  }
  /// A bind of one card that died before its last write; the text of its journal.
  std::string cut_off() {
    Disturbance death{.kind = Disturbance::Kind::kCrash, .at = 18};
    DisturbedSysfs mortal(*sysfs_, death);
    try {
      (void)go(mortal, *to_vfio(mortal, {kNicA}));
    } catch (const Crash&) {
    }
    return files_.files().contains("journal-1.open") ? files_.files().at("journal-1.open") : "";
  }

  DisturbedStorage files_;
};

TEST_F(RecoverTest, ACrashAtEveryOperationEndsWholeOrAsItWas) {
  std::size_t cases = 0;
  for (const bool after : {false, true}) {
    for (const std::size_t kept : {std::size_t{0}, std::size_t{9}, std::size_t{1} << 20}) {
      for (const bool back : {false, true}) {
        bool died = true;
        for (std::size_t at = 1; died; ++at, ++cases) {
          ASSERT_LT(at, 2000U);
          core_ = drivercore::DriverCore(read_machine(kMachine));
          files_.clear();
          const auto untouched = all();
          if (back) {
            ASSERT_TRUE(go(*sysfs_, *to_vfio({kNicA, kGpu}, true)));
          }
          const auto before = all();
          files_.disturbance = {.kind = Disturbance::Kind::kCrash, .at = at, .after = after};
          DisturbedSysfs mortal(*sysfs_, files_.disturbance);
          died = false;
          try {
            const auto plan = back ? plan_restore(mortal, {kNicA, kGpu, kGpuAudio},
                                                  Origins::load(files_, "boot")->table())
                                   : to_vfio(mortal, {kNicA, kGpu}, true);
            ASSERT_TRUE(plan);
            (void)go(mortal, *plan);
          } catch (const Crash&) {
            died = true;
          }
          files_.disturbance = {};
          files_.lose_unsynced(kept);
          for (const Recovered& one : heal()) ASSERT_NE(one.what, What::kLeft) << at;
          ASSERT_TRUE(journal().open().empty()) << at;
          const auto now = all();
          const bool is_bound = state_of(kNicA) == "vfio-pci vfio-pci" &&
                                state_of(kGpu) == "vfio-pci vfio-pci" &&
                                state_of(kGpuAudio) == "vfio-pci vfio-pci";
          ASSERT_TRUE(now == before || (back ? now == untouched : is_bound)) << "crash at " << at;
          const auto again = plan_restore(*sysfs_, {kNicA, kGpu, kGpuAudio},
                                          Origins::load(files_, "boot")->table());
          ASSERT_TRUE(again);
          ASSERT_TRUE(go(*sysfs_, *again));
          ASSERT_EQ(all(), untouched) << "restore after a crash at " << at;
        }
      }
    }
  }
  std::printf("crashes: %zu cases\n", cases);
}

TEST_F(RecoverTest, ACrashUndoesAndForgets) {
  const auto before = all();
  ASSERT_FALSE(cut_off().empty());
  const auto healed = heal();
  ASSERT_EQ(healed.size(), 1U);
  EXPECT_EQ(healed[0].what, What::kUndone);
  EXPECT_EQ(all(), before);
  EXPECT_TRUE(heal().empty());
}

TEST_F(RecoverTest, AChangeOfADeviceWithAnOpenTransactionIsRefused) {
  ASSERT_FALSE(cut_off().empty());
  const auto outcome = go(*sysfs_, *to_vfio({kNicA}));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, ErrorKind::kIncomplete);
  EXPECT_EQ(outcome.error().advice, Action::kRecover);
  EXPECT_TRUE(go(*sysfs_, *to_vfio({kNicB}))) << "another device is free";
}

TEST_F(RecoverTest, AFullDiskBeforeTheFirstWriteChangesNothing) {
  const auto before = all();
  files_.disturbance = {
      .kind = Disturbance::Kind::kError, .at = 1, .lasting = true, .err = {ENOSPC}};
  const auto outcome = go(*sysfs_, *to_vfio({kNicA}));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().err.value, ENOSPC);
  EXPECT_EQ(all(), before);
  EXPECT_TRUE(recorder_.lines.empty());
}

TEST_F(RecoverTest, AnotherBootOwesNothing) {
  ASSERT_FALSE(cut_off().empty());
  const auto state = all();
  EXPECT_EQ(heal("another").front().what, What::kNothingOwed);
  EXPECT_EQ(all(), state);
  EXPECT_TRUE(journal().open().empty());
}

/// The file has its name only once that line is whole.
TEST_F(RecoverTest, AFirstLineThatWasCutShortIsLeftAndSaid) {
  const std::string text = cut_off();
  const auto state = all();
  for (const std::size_t size : {std::size_t{0}, std::size_t{5}, text.find('\n')}) {
    ASSERT_TRUE(files_.replace("journal-1.open", text.substr(0, size)));
    const auto healed = heal();
    EXPECT_EQ(healed.front().what, What::kLeft) << size;
    EXPECT_EQ(healed.front().error->kind, ErrorKind::kIncomplete) << size;
    EXPECT_EQ(all(), state);
  }
}

TEST_F(RecoverTest, ADamagedFirstLineIsLeftAndSaid) {
  const std::string text = cut_off();
  const auto state = all();
  std::string wrong = text;
  wrong[40] = '#';
  const auto line = [](const std::string& json) {
    return fmt::format("{:016x} {}\n", fnv1a(json), json);
  };
  for (const std::string& file :
       {wrong, std::string("garbage\n"), std::string("\n"), line("{}"), line("[]"), line("{"),
        line(R"({"version":2})"), std::string(4096, '\xff') + "\n"}) {
    ASSERT_TRUE(files_.replace("journal-1.open", file));
    const auto healed = heal();
    ASSERT_EQ(healed.size(), 1U);
    EXPECT_EQ(healed[0].what, What::kLeft);
    EXPECT_EQ(healed[0].error->kind, ErrorKind::kIncomplete);
    EXPECT_EQ(all(), state);
  }
}

TEST_F(RecoverTest, TornAndUnknownLaterLinesAreIgnored) {
  const auto before = all();
  std::string text = cut_off();
  text += fmt::format("{:016x} {}\n", fnv1a(R"({"later":1})"), R"({"later":1})");
  text += "0000000000000000 {\"done\":0}\nhalf a li";
  ASSERT_TRUE(files_.replace("journal-1.open", text));
  EXPECT_EQ(heal().front().what, What::kUndone);
  EXPECT_EQ(all(), before);
}

TEST_F(RecoverTest, SettingsAreTakenBackAfterACrash) {
  bool died = true;
  for (std::size_t at = 1; died; ++at) {
    ASSERT_LT(at, 200U);
    core_ = drivercore::DriverCore(read_machine(kMachine));
    files_.clear();
    const auto before = all();
    const Plan plan{.settings = {{.path = "bus/pci/drivers_autoprobe",
                                  .bytes = "0",
                                  .undo_path = "bus/pci/drivers_autoprobe",
                                  .undo_bytes = "1",
                                  .reason = ""}},
                    .devices = to_vfio({kNicA})->devices,
                    .notes = {}};
    files_.disturbance = {.kind = Disturbance::Kind::kCrash, .at = at, .after = true};
    DisturbedSysfs mortal(*sysfs_, files_.disturbance);
    died = false;
    try {
      (void)go(mortal, plan);
    } catch (const Crash&) {
      died = true;
    }
    files_.disturbance = {};
    for (const Recovered& one : heal()) EXPECT_NE(one.what, What::kLeft) << at;
    EXPECT_EQ(sysfs_->read("bus/pci/drivers_autoprobe").value(), "1\n") << at;
    EXPECT_TRUE(all() == before || state_of(kNicA) == "vfio-pci vfio-pci") << at;
  }
}

/// Since 6.19 no driver is asked for a card that comes while drivers_autoprobe is off, also not
/// once it is on again.
TEST_F(RecoverTest, CardsThatCameWhileAutoprobeWasOffAreOfferedAfterACrash) {
  const DeviceId newcomer = pci("0000:07:00.0");
  bool died = true;
  std::size_t waited = 0;
  for (std::size_t at = 1; died; ++at) {
    ASSERT_LT(at, 200U);
    core_ = drivercore::DriverCore(read_machine(kMachine, "linux-7.3"));
    files_.clear();
    // An administrator wants it without a driver.
    ASSERT_EQ(write("bus/pci/drivers/nvme/unbind", kDisk.name.str()), 0);
    const auto before = all();
    const auto plan = plan_bind(
        *sysfs_,
        {.devices = {kNicA}, .driver = driver("vfio-pci"), .mechanism = Mechanism::kNewIdWindow});
    ASSERT_TRUE(plan);
    files_.disturbance = {.kind = Disturbance::Kind::kCrash, .at = at, .after = true};
    DisturbedSysfs mortal(*sysfs_, files_.disturbance);
    died = false;
    try {
      (void)go(mortal, *plan);
    } catch (const Crash&) {
      died = true;
    }
    files_.disturbance = {};
    ASSERT_TRUE(core_.hot_add(newcomer.name.str()));
    const bool waits = state_of(newcomer) == "- (unset)";
    // Where the flag was on it has its driver, and an administrator takes that from it.
    if (!waits) {
      ASSERT_EQ(write("bus/pci/drivers/igc/unbind", newcomer.name.str()), 0);
    }
    if (waits) ++waited;
    for (const Recovered& one : heal()) EXPECT_NE(one.what, What::kLeft) << at;
    EXPECT_EQ(state_of(newcomer), waits ? "igc (unset)" : "- (unset)") << at;
    EXPECT_EQ(state_of(kDisk), "- (unset)") << at;
    EXPECT_EQ(sysfs_->read("bus/pci/drivers_autoprobe").value(), "1\n") << at;
    ASSERT_TRUE(core_.unplug(newcomer.name.str()));
    EXPECT_TRUE(all() == before || state_of(kNicA).starts_with("vfio-pci")) << at;
  }
  EXPECT_GT(waited, 3U);
}

TEST_F(RecoverTest, UndoGivesBackWhatTheTransactionChanged) {
  const auto before = all();
  ASSERT_TRUE(go(*sysfs_, *to_vfio({kNicA, kNicB})));
  const auto entry = journal().read(1);
  ASSERT_TRUE(entry && *entry);
  const auto plan = plan_undo(*sysfs_, (*entry)->plan(), (*entry)->id);
  ASSERT_TRUE(plan);
  ASSERT_TRUE(go(*sysfs_, *plan));
  EXPECT_EQ(all(), before);
}

}  // namespace
}  // namespace anybind
