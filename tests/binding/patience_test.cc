// Writes that do not return in time, whichever they are; devices whose lock the kernel holds; and
// the process that writes for us killed.
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "change/recover.h"
#include "disturbed.h"
#include "host/faulty_sysfs.h"
#include "machine.h"
#include "plan/mechanism.h"

namespace anybind {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using What = Recovered::What;

/// A process that waits, as one does that was left behind, until it is ended.
class Waiting {
 public:
  Waiting() : pid_(::fork()) {
    if (pid_ == 0) {
      for (;;) ::pause();
    }
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  ~Waiting() { end(); }
  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  [[nodiscard]] long pid() const { return pid_; }

 private:
  pid_t pid_;
};

class PatienceTest : public MachineTest {
 protected:
  PatienceTest() { fault_.pid = waiting_.pid(); }

  static Host host_of(Sysfs& sysfs) {
    Host out(sysfs);
    out.own_proc = Proc("/proc");
    return out;
  }

  Journal journal() { return *Journal::load(*storage_, "boot", "test", 0); }
  Result<std::vector<Outcome>> go(const Result<HeldPlan>& plan) {
    if (!plan) return fail(plan.error());
    Origins memory = origins();
    Journal log = journal();
    return run(host_of(*faulty_), *plan, {&memory, &log}, recorder_, options_);
  }
  std::vector<Recovered> heal() {
    Origins memory = origins();
    Journal log = journal();
    return recover(host_of(*faulty_), {&memory, &log}, recorder_, options_);
  }
  JournalEntry open_entry() {
    const Journal log = journal();
    EXPECT_THAT(log.open(), SizeIs(1));
    return log.open().empty() ? JournalEntry{} : log.read(log.open().front())->value();
  }
  static Result<HeldPlan> by_new_id(Sysfs& sysfs) {
    return plan_bind(
        sysfs, {.devices = {kNicA}, .driver = driver("pci-stub"), .mechanism = Mechanism::kNewId});
  }

  Waiting waiting_;
  Fault fault_;
  std::unique_ptr<Sysfs> faulty_ = faulty_sysfs(*sysfs_, fault_);
  RunOptions options_;
};

TEST_F(PatienceTest, AnyUnbindMayBeLeftBehind) {
  fault_.left_behind = "igc/unbind";
  const auto done = go(to_vfio(*faulty_, {kDisk, kNicA}));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kIncomplete);
  EXPECT_EQ(done.error().operation, "unbind");
  EXPECT_THAT(done.error().why,
              AllOf(HasSubstr("has not returned after 120 s"),
                    HasSubstr("process " + std::to_string(waiting_.pid()) + " is left waiting")));
  EXPECT_TRUE(done.error().advice.names(Action::kRecover));
  EXPECT_EQ(state_of(kDisk), "nvme (unset)") << "the other one is put back";
  const JournalEntry entry = open_entry();
  ASSERT_THAT(entry.stuck, SizeIs(1));
  EXPECT_EQ(entry.stuck[0].device, 1U);
  EXPECT_EQ(entry.stuck[0].what, "unbind");
  EXPECT_FALSE(entry.stuck[0].back);
}

TEST_F(PatienceTest, ABindMayBeLeftBehindAndRecoverWaitsForItsEnd) {
  fault_.left_behind = "vfio-pci/bind";
  fault_.after = true;  // it returns later
  const auto done = go(to_vfio(*faulty_, {kNicA}));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kIncomplete);
  EXPECT_EQ(done.error().operation, "bind");
  const auto again = go(to_vfio(*faulty_, {kNicA}));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::kIncomplete);
  EXPECT_THAT(again.error().why, HasSubstr("still waits in its bind"));
  fault_.left_behind.clear();
  const auto early = heal();
  ASSERT_THAT(early, SizeIs(1));
  EXPECT_EQ(early[0].what, What::kLeft);
  EXPECT_THAT(early[0].error->why,
              HasSubstr("process " + std::to_string(waiting_.pid()) + " still waits in its bind"));
  waiting_.end();
  const auto late = heal();
  ASSERT_THAT(late, SizeIs(1));
  EXPECT_EQ(late[0].what, What::kFinished);
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
}

TEST_F(PatienceTest, AnotherDeviceIsChangedMeanwhile) {
  fault_.left_behind = "igc/unbind";
  ASSERT_FALSE(go(to_vfio(*faulty_, {kNicA})));
  EXPECT_TRUE(go(to_vfio(*faulty_, {kDisk})));
  EXPECT_EQ(state_of(kDisk), "vfio-pci vfio-pci");
}

TEST_F(PatienceTest, AWriteOfTheWayBackMayBeLeftBehind) {
  recorder_.stop_after = 3;  // once the disk is bound
  fault_.left_behind = "nvme/bind";
  const auto done = go(to_vfio(*faulty_, {kDisk, kNicA}));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kIncomplete);
  const JournalEntry entry = open_entry();
  ASSERT_THAT(entry.stuck, SizeIs(1));
  EXPECT_EQ(entry.stuck[0].device, 0U);
  EXPECT_TRUE(entry.stuck[0].back);
  EXPECT_EQ(heal().at(0).what, What::kLeft);
  waiting_.end();
  fault_.left_behind.clear();
  EXPECT_EQ(heal().at(0).what, What::kUndone);
  EXPECT_EQ(state_of(kDisk), "nvme (unset)");
}

TEST_F(PatienceTest, ASettingMayBeLeftBehind) {
  const auto before = all();
  fault_.left_behind = "pci-stub/new_id";
  fault_.after = true;
  const auto done = go(by_new_id(*faulty_));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kIncomplete);
  EXPECT_EQ(done.error().advice, Action::kRecover);
  const JournalEntry entry = open_entry();
  ASSERT_THAT(entry.stuck, SizeIs(1));
  EXPECT_EQ(entry.stuck[0].device, std::nullopt);
  EXPECT_EQ(entry.stuck[0].what, "write to bus/pci/drivers/pci-stub/new_id");
  EXPECT_EQ(heal().at(0).what, What::kLeft);
  waiting_.end();
  EXPECT_EQ(heal().at(0).what, What::kUndone);
  EXPECT_EQ(all(), before);
  EXPECT_THAT(journal().open(), IsEmpty());
}

TEST_F(PatienceTest, TakingASettingBackMayBeLeftBehind) {
  fault_.left_behind = "pci-stub/remove_id";
  const auto done = go(by_new_id(*faulty_));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kIncomplete);
  ASSERT_THAT(open_entry().stuck, SizeIs(1));
  EXPECT_TRUE(open_entry().stuck[0].back);
  waiting_.end();
  fault_.left_behind.clear();
  EXPECT_EQ(heal().at(0).what, What::kFinished);
  EXPECT_EQ(state_of(kNicA), "pci-stub (unset)");
}

TEST_F(PatienceTest, WhatWasOnlyLookedAtIsNotPutBack) {
  ASSERT_TRUE(go(to_vfio(*faulty_, {kNicA})));
  const auto before = all();
  recorder_.lines.clear();
  fault_.left_behind = "power/control";  // the lock is held: is the driver there to stay?
  const auto done = go(to_vfio(*faulty_, {kNicA}));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kFailed) << done.error().message();
  EXPECT_THAT(done.error().why, HasSubstr("by somebody else has been under way"));
  EXPECT_THAT(recorder_.lines, IsEmpty());
  EXPECT_EQ(all(), before);
  EXPECT_THAT(journal().open(), IsEmpty());
}

TEST_F(PatienceTest, AnInterruptedWaitIsToldAsThat) {
  recorder_.stop_after = 3;
  recorder_.before_step = [&](std::size_t steps) {
    if (steps == 2) fault_.left_behind = "igc/unbind";
    if (steps == 2) recorder_.stop_after = 2;  // Ctrl-C while it waits
  };
  const auto done = go(to_vfio(*faulty_, {kNicA}));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kIncomplete);
  EXPECT_THAT(done.error().why, HasSubstr("had not returned when anybind was asked to stop"));
}

TEST_F(PatienceTest, ABusyDeviceIsToldSoBeforeAnythingIsWritten) {
  const auto before = all();
  fault_.busy = kNicA.name.str();
  const auto plan = to_vfio(*faulty_, {kDisk, kNicA});
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().kind, ErrorKind::kFailed);
  EXPECT_EQ(plan.error().object, kNicA.str());
  EXPECT_THAT(plan.error().why, HasSubstr("it is busy: the kernel holds its lock"));
  EXPECT_EQ(all(), before);
  EXPECT_TRUE(to_vfio(*faulty_, {kDisk})) << "others are not";
}

TEST_F(PatienceTest, RecoverLeavesABusyDeviceAlsoWithoutALineThatNamesTheProcess) {
  Disturbance death{.kind = Disturbance::Kind::kCrash, .at = 18};
  DisturbedSysfs mortal(*faulty_, death);
  const auto plan = to_vfio(mortal, {kNicA});
  ASSERT_TRUE(plan);
  {
    Origins memory = origins();
    Journal log = journal();
    EXPECT_THROW((void)run(host_of(mortal), *plan, {&memory, &log}, recorder_, options_), Crash);
  }
  fault_.busy = kNicA.name.str();
  recorder_.lines.clear();
  const auto left = heal();
  ASSERT_THAT(left, SizeIs(1));
  EXPECT_EQ(left[0].what, What::kLeft);
  EXPECT_EQ(left[0].error->kind, ErrorKind::kIncomplete);
  EXPECT_THAT(recorder_.lines, IsEmpty()) << "nothing is written to it";
  fault_.busy.clear();
  EXPECT_EQ(heal().at(0).what, What::kUndone);
  EXPECT_EQ(state_of(kNicA), "igc (unset)");
}

/// The writer is killed in one write after the other, before or after that has had its effect.
TEST_F(PatienceTest, WhereTheWriterIsKilledTheStateIsLookedAtAfresh) {
  for (const bool after : {false, true}) {
    bool met = true;
    std::size_t at = 1;
    for (; met; ++at) {
      core_ = drivercore::DriverCore(read_machine(kMachine));
      storage_ = memory_storage();
      fault_ = {.fail_at = at, .err = {EOWNERDEAD}, .only_writes = true, .after = after};
      const auto before = all();
      const auto done = go(to_vfio(*faulty_, {kNicA, kDisk}));
      met = fault_.count >= at;
      if (after || !met) {
        EXPECT_TRUE(done) << at;
        EXPECT_EQ(state_of(kDisk), "vfio-pci vfio-pci") << at;
        EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci") << at;
        continue;
      }
      ASSERT_FALSE(done) << at;
      EXPECT_EQ(done.error().kind, ErrorKind::kFailed) << done.error().message();
      EXPECT_EQ(all(), before) << at;
      EXPECT_THAT(journal().open(), IsEmpty());
    }
    EXPECT_EQ(at, 8U) << "six writes, and a run without any fault";
  }
}

}  // namespace
}  // namespace anybind
