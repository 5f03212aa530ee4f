// Operations as sequences of visible steps: their order, what can be seen between them, and what
// happens when another actor comes in between (kernel-facts 7, 8, 10).
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "drivercore/machine_fixture.h"

namespace anybind::drivercore {
namespace {

using Kind = KernelStep::Kind;
using Steps = MachineTest;
using InBetween = MachineTest;

std::string name_of(Kind kind) {
  static const std::map<Kind, std::string> kNames = {
      {Kind::kAdded, "added"},
      {Kind::kAddEvent, "add event"},
      {Kind::kReady, "ready"},
      {Kind::kVfLinked, "linked"},
      {Kind::kVfUnlinked, "unlinked"},
      {Kind::kVfsEnabled, "enabled"},
      {Kind::kVfsDisabled, "disabled"},
      {Kind::kMatched, "matched"},
      {Kind::kLinkOn, "link on"},
      {Kind::kProbeBegins, "probe begins"},
      {Kind::kProbeEnds, "probe ends"},
      {Kind::kProbeFailed, "probe failed"},
      {Kind::kBound, "bound"},
      {Kind::kBindEvent, "bind event"},
      {Kind::kLinkOff, "link off"},
      {Kind::kRemoveBegins, "remove begins"},
      {Kind::kUserAsked, "user asked"},
      {Kind::kRemoveEnds, "remove ends"},
      {Kind::kDriverCleared, "driver cleared"},
      {Kind::kUnbindEvent, "unbind event"},
      {Kind::kUnlocked, "unlocked"},
      {Kind::kDead, "dead"},
      {Kind::kUnlisted, "unlisted"},
      {Kind::kRemoveEvent, "remove event"},
      {Kind::kDriverListed, "driver listed"},
      {Kind::kDriverReady, "driver ready"},
      {Kind::kDriverUnlisted, "driver unlisted"},
      {Kind::kDriverGone, "driver gone"},
      {Kind::kModuleComing, "module coming"},
      {Kind::kModuleLive, "module live"},
      {Kind::kModuleGoing, "module going"},
      {Kind::kModuleGone, "module gone"},
      {Kind::kRetry, "retry"},
  };
  return kNames.at(kind);
}

TEST_F(Steps, OfAHotAddABindAndARemoval) {
  std::vector<std::string> steps;
  core_.set_on_step([&](const KernelStep& step) { steps.push_back(name_of(step.kind)); });
  const auto taken = [&] { return std::exchange(steps, {}); };
  ASSERT_TRUE(core_.hot_add(kSpareNic));
  EXPECT_EQ(taken(), (std::vector<std::string>{"added", "add event", "ready", "matched", "link on",
                                               "probe begins", "probe ends", "bound", "bind event",
                                               "unlocked"}));
  ASSERT_EQ(drv("e1000e", "unbind", kSpareNic), 0);
  EXPECT_EQ(taken(), (std::vector<std::string>{"link off", "remove begins", "remove ends",
                                               "driver cleared", "unbind event", "unlocked"}));
  core_.set_probe("e1000e", -EIO);
  ASSERT_EQ(drv("e1000e", "bind", kSpareNic), EIO);
  EXPECT_EQ(taken(), (std::vector<std::string>{"matched", "link on", "probe begins", "probe failed",
                                               "unlocked"}));
  ASSERT_EQ(dev(kSpareNic, "remove", "1"), 0);
  EXPECT_EQ(taken(), (std::vector<std::string>{"dead", "unlisted", "remove event"}));
  ASSERT_TRUE(core_.unload_module("nvme"));
  EXPECT_EQ(taken(),
            (std::vector<std::string>{"module going", "driver unlisted", "link off",
                                      "remove begins", "remove ends", "driver cleared",
                                      "unbind event", "unlocked", "driver gone", "module gone"}));
  ASSERT_TRUE(core_.load_module("nvme"));
  EXPECT_EQ(taken(),
            (std::vector<std::string>{"module coming", "driver listed", "matched", "link on",
                                      "probe begins", "probe ends", "bound", "bind event",
                                      "unlocked", "driver ready", "module live"}));
}

/// What user space sees of the device at each step.
TEST_F(Steps, TheLinkIsNotTheState) {
  std::vector<std::string> seen;
  core_.set_on_step([&](const KernelStep& step) {
    const Device* device = core_.find(step.device);
    seen.push_back(name_of(step.kind) + (driver_of(kNicA).empty() ? ": -" : ": link") +
                   (device->driver ? " driver" : " -") +
                   (read("class/net/eth0/uevent") == "ENOENT" ? "" : " eth0"));
  });
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  EXPECT_EQ(seen,
            (std::vector<std::string>{"link off: - driver eth0", "remove begins: - driver eth0",
                                      "remove ends: - driver", "driver cleared: - -",
                                      "unbind event: - -", "unlocked: - -"}));
  seen.clear();
  ASSERT_EQ(drv("e1000e", "bind", kNicA), 0);
  EXPECT_EQ(seen, (std::vector<std::string>{
                      "matched: - -", "link on: link driver", "probe begins: link driver",
                      "probe ends: link driver eth0", "bound: link driver eth0",
                      "bind event: link driver eth0", "unlocked: link driver eth0"}));
}

TEST_F(Steps, ADriversFilesComeAfterItHasTakenDevices) {
  std::vector<std::string> seen;
  core_.set_on_step([&](const KernelStep& step) {
    if (step.kind == Kind::kDriverListed || step.kind == Kind::kDriverReady ||
        step.kind == Kind::kBindEvent) {
      seen.push_back(name_of(step.kind) + " " + std::to_string(drv("td0", "new_id", "1 2")));
    }
  });
  core_.set_probe("td1", -ENODEV);
  ASSERT_EQ(dev(kEduB, "driver_override", "none"), 0);
  ASSERT_EQ(dev(kSharedEdu, "driver_override", "none"), 0);
  ASSERT_TRUE(core_.load_module("tdrv"));
  EXPECT_EQ(seen[0], "driver listed " + std::to_string(ENOENT));
  EXPECT_EQ(seen[1], "bind event " + std::to_string(ENOENT));
}

TEST_F(Steps, AnAddedFunctionCanBeSeenBeforeAnythingMatchesIt) {
  int bound = -1;
  core_.set_on_step([&](const KernelStep& step) {
    if (step.kind == Kind::kAddEvent) {
      EXPECT_EQ(link("bus/pci/devices/" + kSpareNic + "/iommu_group"),
                "../../../kernel/iommu_groups/7");
      bound = drv("e1000e", "bind", kSpareNic);
    }
  });
  ASSERT_TRUE(core_.hot_add(kSpareNic));
  EXPECT_EQ(bound, ENODEV) << "match_driver is not set yet";
}

// ---- a second actor in between

TEST_F(InBetween, AnOverrideFromTheAddEventWinsOverTheProbe) {
  core_.set_on_step([&](const KernelStep& step) {
    if (step.kind == Kind::kAddEvent) {
      EXPECT_EQ(dev(kSpareNic, "driver_override", "vfio-pci"), 0);
    }
  });
  ASSERT_TRUE(core_.hot_add(kSpareNic));
  EXPECT_EQ(driver_of(kSpareNic), "vfio-pci") << "[E4b]";
}

TEST_F(InBetween, AnOverrideDuringTheProbeComesTooLate) {
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  at_step(Kind::kProbeBegins, kNicA,
          [&] { EXPECT_EQ(dev(kNicA, "driver_override", "vfio-pci"), 0); });
  EXPECT_EQ(drv("e1000e", "bind", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e") << "[E7-10]";
}

TEST_F(InBetween, AnOverrideAfterTheMatchMakesPciRefuse) {
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  at_step(Kind::kMatched, kNicA, [&] { EXPECT_EQ(dev(kNicA, "driver_override", "vfio-pci"), 0); });
  EXPECT_EQ(drv("e1000e", "bind", kNicA), ENODEV);
  EXPECT_EQ(driver_of(kNicA), "");
}

TEST_F(InBetween, DriversProbeBetweenUnbindAndBindGivesTheHostDriverBack) {
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  ASSERT_EQ(drv("pci-stub", "new_id", "8086 10d3 ffffffff ffffffff 1 1"), 0);
  EXPECT_EQ(bus("drivers_probe", kNicA), 0);  // the other administrator
  EXPECT_EQ(drv("pci-stub", "bind", kNicA), ENODEV);
  EXPECT_EQ(driver_of(kNicA), "e1000e") << "[4a]";
}

TEST_F(InBetween, WhoWouldSleepOnTheLockIsToldSo) {
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  std::vector<int> answers;
  at_step(Kind::kProbeBegins, kNicA, [&] {
    answers = {drv("e1000e", "bind", kNicA),   drv("e1000e", "unbind", kNicA),
               bus("drivers_probe", kNicA),    drv("nvme", "unbind", kNicA),
               drv("e1000e", "new_id", "1 2"), drv("nvme", "new_id", "1 2"),
               dev(kNicA, "remove", "1"),      dev(kNicA, "driver_override", "none")};
  });
  EXPECT_EQ(drv("e1000e", "bind", kNicA), 0);
  EXPECT_EQ(answers, (std::vector<int>{
                         EDEADLK,  // waits for the lock [E7-1]
                         EDEADLK,  // likewise [E7-2]
                         0,        // at once, without the lock: dev->driver is set
                         ENODEV,   // at once: another driver
                         EDEADLK,  // waits behind a device that its driver matches [E7-6]
                         0,        // not behind one that it does not match [E7-7]
                         EDEADLK,  // waits for the probe [E7-5]
                         0,        // 6.12 does not wait
                     }));
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

TEST_F(InBetween, OnLinux61OverrideAndUeventWaitToo) {
  State old = core_.state();
  old.profile = *find_profile("linux-6.1");
  core_ = DriverCore(old);
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  std::vector<std::string> answers;
  at_step(Kind::kProbeBegins, kNicA, [&] {
    answers = {Errno{dev(kNicA, "driver_override", "none")}.name(),
               read("bus/pci/devices/" + kNicA + "/driver_override"),
               read("bus/pci/devices/" + kNicA + "/uevent")};
  });
  EXPECT_EQ(drv("e1000e", "bind", kNicA), 0);
  EXPECT_EQ(answers, (std::vector<std::string>{"EDEADLK", "EDEADLK", "EDEADLK"})) << "[E5b-61]";
  EXPECT_EQ(dev(kNicA, "driver_override", "none"), 0);
}

TEST_F(InBetween, ASecondScanWaitsForTheFirst) {
  bool could = true;
  core_.set_on_step([&](const KernelStep& step) {
    if (step.kind == Kind::kAddEvent) could = bus("rescan", "1") != EDEADLK;
  });
  ASSERT_TRUE(core_.hot_add(kSpareNic));
  EXPECT_FALSE(could);
}

TEST_F(InBetween, ADriverInUseCannotBeUnloaded) {
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  bool unloaded = true;
  at_step(Kind::kProbeBegins, kNicA, [&] { unloaded = core_.unload_module("e1000e"); });
  EXPECT_EQ(drv("e1000e", "bind", kNicA), 0);
  EXPECT_FALSE(unloaded);
  EXPECT_EQ(drv("e1000e", "bind", kNicA), EBUSY) << "its files are back";
}

TEST_F(InBetween, ADeviceCanVanishBeforeTheLock) {
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  at_step(Kind::kMatched, kNicA, [&] { EXPECT_TRUE(core_.unplug(kNicA)); });
  EXPECT_EQ(drv("e1000e", "bind", kNicA), ENODEV);
  EXPECT_EQ(driver_of(kNicA), "absent");
}

TEST_F(InBetween, ADriverOfAWalkCanGoAndAnotherCome) {
  ASSERT_TRUE(core_.load_module("tdrv"));
  ASSERT_EQ(drv("td0", "unbind", kEduA), 0);
  core_.set_probe("td0", -EIO);
  at_step(Kind::kProbeFailed, kEduA, [&] {
    EXPECT_TRUE(core_.unload_module("e1000e"));  // stands before td0 in the list
    EXPECT_TRUE(core_.load_module("e1000e"));
  });
  EXPECT_EQ(bus("drivers_probe", kEduA), 0);
  EXPECT_EQ(driver_of(kEduA), "td1");
}

// ---- two actors on their own stacks, as the race explorer will run them

/// Lets one of two threads run at a time. An actor hands over when it must wait, and when it ends.
class Turns {
 public:
  void run(std::function<void()> first, std::function<void()> second) {
    std::thread a([&] { act(0, first); });
    std::thread b([&] { act(1, second); });
    a.join();
    b.join();
  }
  /// The other one runs until it ends or waits. False: it has ended already.
  bool hand_over() {
    std::unique_lock lock(mutex_);
    const int me = turn_;
    if (ended_[1 - me]) return false;
    turn_ = 1 - me;
    changed_.notify_all();
    changed_.wait(lock, [&] { return turn_ == me; });
    return true;
  }

 private:
  void act(int me, const std::function<void()>& action) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return turn_ == me; });
    lock.unlock();
    action();
    lock.lock();
    ended_[me] = true;
    if (!ended_[1 - me]) turn_ = 1 - me;
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  int turn_ = 0;
  bool ended_[2] = {false, false};
};

/// The first actor is stopped at a step, the second runs as far as it gets, then the first goes on.
class TwoActors : public MachineTest {
 protected:
  void run(Kind at, const std::string& device, const std::function<void()>& first,
           const std::function<void()>& second) {
    core_.set_on_blocked([&](const Blocked&) { return turns_.hand_over(); });
    at_step(at, device, [&] { (void)turns_.hand_over(); });
    turns_.run(first, second);
  }
  Turns turns_;
};

TEST_F(TwoActors, TheSecondBindWaitsAndIsRefused) {
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  int first = -1;
  int second = -1;
  run(
      Kind::kProbeBegins, kNicA, [&] { first = drv("e1000e", "bind", kNicA); },
      [&] { second = drv("e1000e", "bind", kNicA); });
  EXPECT_EQ(first, 0);
  EXPECT_EQ(second, EBUSY) << "[E7-1]";
}

TEST_F(TwoActors, AnUnbindDuringTheProbeWaitsAndThenUnbinds) {
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  int first = -1;
  int second = -1;
  run(
      Kind::kProbeBegins, kNicA, [&] { first = drv("e1000e", "bind", kNicA); },
      [&] { second = drv("e1000e", "unbind", kNicA); });
  EXPECT_EQ(first, 0);
  EXPECT_EQ(second, 0);
  EXPECT_EQ(driver_of(kNicA), "") << "both report success [E7-2]";
}

TEST_F(TwoActors, ABindDuringASlowRemoveWaitsAndSucceeds) {
  ASSERT_EQ(drv("pci-stub", "new_id", "8086 10d3"), 0);
  int first = -1;
  int second = -1;
  run(
      Kind::kRemoveBegins, kNicA, [&] { first = drv("e1000e", "unbind", kNicA); },
      [&] { second = drv("pci-stub", "bind", kNicA); });
  EXPECT_EQ(first, 0);
  EXPECT_EQ(second, 0);
  EXPECT_EQ(driver_of(kNicA), "pci-stub") << "[E7-9]";
}

TEST_F(TwoActors, AnUnloadDuringAProbeWaitsAndThenDetaches) {
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  int first = -1;
  bool unloaded = false;
  run(
      Kind::kProbeBegins, kNicA, [&] { first = drv("e1000e", "bind", kNicA); },
      [&] { unloaded = core_.unload_module("e1000e"); });
  EXPECT_EQ(first, 0) << "the write reports success";
  EXPECT_TRUE(unloaded);
  EXPECT_EQ(driver_of(kNicA), "") << "though the device ends driverless [E7-8]";
}

TEST_F(TwoActors, ARemovalDuringAProbeWaitsAndABindBehindItFindsNothing) {
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  int removed = -1;
  int bound = -1;
  run(
      Kind::kDead, kNicA, [&] { removed = dev(kNicA, "remove", "1"); },
      [&] { bound = drv("e1000e", "bind", kNicA); });
  EXPECT_EQ(removed, 0);
  EXPECT_EQ(bound, ENODEV) << "[E7-5]";
}

TEST_F(TwoActors, AnUnbindThatWaitedReleasesAnotherDriver) {
  ASSERT_EQ(drv("pci-stub", "new_id", "8086 10d3"), 0);
  int second = -1;
  // The second write asks while e1000e still has the device, and gets the lock when pci-stub does.
  run(
      Kind::kRemoveBegins, kNicA,
      [&] {
        EXPECT_EQ(drv("e1000e", "unbind", kNicA), 0);
        EXPECT_EQ(drv("pci-stub", "bind", kNicA), 0);
      },
      [&] { second = drv("e1000e", "unbind", kNicA); });
  EXPECT_EQ(second, 0);
  EXPECT_EQ(driver_of(kNicA), "");
}

/// driver_detach asks under the lock whether the device still has this driver.
TEST(TwoActorsOfSerio, AnUnloadThatWaitedLeavesTheDeviceToAnotherDriver) {
  auto machine = load_machine(R"(
driver = [
  { name = "atkbd", bus = "serio", aliases = ["serio:ty06pr*id*ex*"] },
  { name = "serio_raw", bus = "serio", aliases = ["serio:ty06pr*id*ex*"] },
]
device = [{ bus = "serio", name = "serio0", modalias = "serio:ty06pr00id00ex00", driver = "atkbd" }]
)",
                              "test");
  ASSERT_TRUE(machine) << machine.error().message();
  DriverCore core(*std::move(machine));
  const auto sysfs = model_sysfs(core);
  Turns turns;
  core.set_on_blocked([&](const Blocked&) { return turns.hand_over(); });
  bool stopped = false;
  core.set_on_step([&](const KernelStep& step) {
    if (step.kind == Kind::kRemoveBegins && !std::exchange(stopped, true)) (void)turns.hand_over();
  });
  bool unloaded = false;
  turns.run([&] { EXPECT_TRUE(sysfs->write("bus/serio/devices/serio0/drvctl", "serio_raw")); },
            [&] { unloaded = core.unload_module("atkbd"); });
  EXPECT_TRUE(stopped);
  EXPECT_TRUE(unloaded);
  EXPECT_EQ(link_name(sysfs->read_link("bus/serio/devices/serio0/driver").value_or("none")),
            "serio_raw");
}

TEST_F(TwoActors, TheWorkerCanBeAnActorOfItsOwn) {
  core_.set_workers_run_by_themselves(false);
  ASSERT_TRUE(core_.load_module("tdrv"));
  for (const char* driver : {"td0", "td1", "td2"}) core_.set_probe(driver, -517);
  ASSERT_EQ(drv("td0", "unbind", kEduA), 0);
  ASSERT_EQ(bus("drivers_probe", kEduA), 0);
  core_.set_probe("td0", 0);
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  run(
      Kind::kBound, kNicA, [&] { EXPECT_EQ(drv("e1000e", "bind", kNicA), 0); },
      [&] {
        while (core_.work()) {
        }
      });
  EXPECT_EQ(driver_of(kEduA), "td0");
}

// ---- virtual functions, groups and deferred devices between two actors

class TwoActorsOnVfs : public TwoActors {
 protected:
  TwoActorsOnVfs() {
    core_ = DriverCore(load(R"(
      driver = [
        { name = "nvme", ids = ["class:010802"], sriov = "leaves" },
        { name = "pci-stub", managed_dma = true },
      ]
      device = [{ address = "01:00.0", id = "1b36:0010", class = "010802", total_vfs = 4 }])"));
  }
  std::string numvfs() { return read("bus/pci/devices/" + pf_ + "/sriov_numvfs"); }
  int numvfs(const char* text) { return dev(pf_, "sriov_numvfs", text); }
  /// At this step of whichever device.
  void run_at(Kind kind, const std::function<void()>& first, const std::function<void()>& second) {
    core_.set_on_blocked([&](const Blocked&) { return turns_.hand_over(); });
    core_.set_on_step([this, kind, done = false](const KernelStep& step) mutable {
      if (step.kind == kind && !std::exchange(done, true)) (void)turns_.hand_over();
    });
    turns_.run(first, second);
  }
  const std::string pf_ = "0000:01:00.0";
  const std::string vf_ = "0000:01:00.1";
};

TEST_F(TwoActorsOnVfs, TheSecondOfTwoWritersFindsThemEnabled) {
  int first = -1;
  int second = -1;
  run_at(Kind::kVfLinked, [&] { first = numvfs("2"); }, [&] { second = numvfs("1"); });
  EXPECT_EQ(first, 0);
  EXPECT_EQ(second, EBUSY);
  EXPECT_EQ(numvfs(), "2\n");
}

TEST_F(TwoActorsOnVfs, AReaderWaitsForTheWriter) {
  std::string seen;
  run_at(Kind::kVfLinked, [&] { EXPECT_EQ(numvfs("3"), 0); }, [&] { seen = numvfs(); });
  EXPECT_EQ(seen, "3\n");
}

TEST_F(TwoActorsOnVfs, AnUnbindOfTheirPhysicalOneWaitsAndLeavesThem) {
  int second = -1;
  run_at(
      Kind::kVfLinked, [&] { EXPECT_EQ(numvfs("2"), 0); },
      [&] { second = drv("nvme", "unbind", pf_); });
  EXPECT_EQ(second, 0);
  EXPECT_EQ(driver_of(pf_), "");
  EXPECT_EQ(driver_of("0000:01:00.2"), "nvme") << "the write went on to its end";
  EXPECT_EQ(numvfs(), "2\n");
}

TEST_F(TwoActorsOnVfs, ARescanWaitsUntilTheyAreThere) {
  std::size_t devices = 0;
  run_at(
      Kind::kVfLinked, [&] { EXPECT_EQ(numvfs("2"), 0); },
      [&] {
        EXPECT_EQ(bus("rescan", "1"), 0);
        devices = list("bus/pci/devices").size();
      });
  EXPECT_EQ(devices, 3U);
}

TEST_F(TwoActorsOnVfs, OneThatIsBoundWhileTheyGoGoesAllTheSame) {
  ASSERT_EQ(dev(pf_, "sriov_drivers_autoprobe", "0"), 0);
  ASSERT_EQ(numvfs("1"), 0);
  int second = -1;
  run_at(
      Kind::kVfUnlinked, [&] { EXPECT_EQ(numvfs("0"), 0); },
      [&] {
        EXPECT_EQ(dev(vf_, "driver_override", "pci-stub"), 0);
        second = drv("pci-stub", "bind", vf_);
      });
  EXPECT_EQ(second, 0);
  EXPECT_EQ(driver_of(vf_), "absent");
}

TEST_F(TwoActors, WhoTakesAGroupDuringAHostDriversProbeIsRefused) {
  for (const auto& nic : {kSharedA, kSharedB}) ASSERT_EQ(drv("e1000", "unbind", nic), 0);
  ASSERT_EQ(dev(kSharedA, "driver_override", "vfio-pci"), 0);
  ASSERT_EQ(drv("vfio-pci", "bind", kSharedA), 0);
  bool held = true;
  run(
      Kind::kProbeBegins, kSharedB, [&] { EXPECT_EQ(drv("e1000", "bind", kSharedB), 0); },
      [&] { held = core_.hold_group(6, true); });
  EXPECT_FALSE(held);
}

TEST_F(TwoActors, AGroupThatIsTakenAfterTheMatchKeepsTheHostDriverOut) {
  for (const auto& nic : {kSharedA, kSharedB}) ASSERT_EQ(drv("e1000", "unbind", nic), 0);
  ASSERT_EQ(dev(kSharedA, "driver_override", "vfio-pci"), 0);
  ASSERT_EQ(drv("vfio-pci", "bind", kSharedA), 0);
  int bound = -1;
  run(
      Kind::kMatched, kSharedB, [&] { bound = drv("e1000", "bind", kSharedB); },
      [&] { EXPECT_TRUE(core_.hold_group(6, true)); });
  EXPECT_EQ(bound, EBUSY);
}

TEST_F(TwoActors, AnUnbindWaitsForItsUserAndTheHostDriverBehindIt) {
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  ASSERT_EQ(drv("vfio-pci", "new_id", "8086 10d3"), 0);
  ASSERT_TRUE(core_.hold_group(1, true));
  ASSERT_TRUE(core_.open_device("pci", kNicA, true));
  int unbound = -1;
  int bound = -1;
  run(
      Kind::kUserAsked, kNicA,
      [&] {
        unbound = drv("vfio-pci", "unbind", kNicA);
        bound = drv("e1000e", "bind", kNicA);
      },
      [&] {
        EXPECT_EQ(driver_of(kNicA), "");
        EXPECT_FALSE(core_.unload_module("vfio_pci"));
        EXPECT_TRUE(core_.open_device("pci", kNicA, false));
      });
  EXPECT_EQ(unbound, 0);
  EXPECT_EQ(bound, 0);
}

TEST_F(InBetween, ADeferredDeviceCanGoWhileTheWorkerTakesIt) {
  ASSERT_TRUE(core_.load_module("tdrv"));
  for (const char* driver : {"td0", "td1", "td2"}) core_.set_probe(driver, -517);
  for (const auto& edu : {kEduA, kEduB}) {
    ASSERT_EQ(drv("td0", "unbind", edu), 0);
    ASSERT_EQ(bus("drivers_probe", edu), 0);
  }
  core_.set_probe("td0", 0);
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  at_step(Kind::kRetry, kEduA, [&] {
    EXPECT_EQ(dev(kEduA, "remove", "1"), 0);
    EXPECT_EQ(dev(kEduB, "driver_override", "td0"), 0);
  });
  ASSERT_EQ(drv("e1000e", "bind", kNicA), 0);
  EXPECT_EQ(driver_of(kEduA), "absent");
  EXPECT_EQ(driver_of(kEduB), "td0");
  EXPECT_FALSE(core_.has_work());
}

}  // namespace
}  // namespace anybind::drivercore
