#include <gmock/gmock.h>

#include <array>
#include <cerrno>
#include <map>

#include <fmt/format.h>

#include "change/device_run.h"
#include "change/patient_writer.h"
#include "change/recover.h"
#include "host/faulty_sysfs.h"
#include "machine.h"

namespace anybind {
namespace {

using testing::HasSubstr;

class Transaction : public MachineTest {
 protected:
  Result<std::vector<Outcome>> run_on(Sysfs& sysfs, const HeldPlan& plan) {
    Origins memory = origins();
    return run(sysfs, plan, &memory, recorder_);
  }
  Result<std::vector<Outcome>> run_plan(const Result<HeldPlan>& plan) {
    EXPECT_TRUE(plan) << plan.error().message();
    return run_on(*sysfs_, *plan);
  }
  Result<std::vector<Outcome>> restore(std::vector<DeviceId> devices) {
    return run_plan(plan_restore(*sysfs_, devices, origins().table()));
  }
};

TEST_F(Transaction, BindsAndRestores) {
  const auto before = all();
  ASSERT_TRUE(run_plan(to_vfio({kGpu}, true)));
  EXPECT_EQ(state_of(kGpu), "vfio-pci vfio-pci");
  EXPECT_EQ(state_of(kGpuAudio), "vfio-pci vfio-pci");
  EXPECT_EQ(state_of(kGpuPort), "pcieport (unset)");
  ASSERT_TRUE(restore({kGpu, kGpuAudio}));
  EXPECT_EQ(all(), before);
}

TEST_F(Transaction, RestoreGivesBackWhatWasThereNotWhatMatches) {
  ASSERT_EQ(write("bus/pci/devices/0000:04:00.0/driver_override", "pci-stub"), 0);
  ASSERT_EQ(write("bus/pci/drivers/igc/unbind", "0000:04:00.0"), 0);
  ASSERT_TRUE(run_plan(to_vfio({kNicA})));
  ASSERT_TRUE(run_plan(plan_unbind(*sysfs_, {kNicA})));  // the first state counts, not the last
  ASSERT_TRUE(restore({kNicA}));
  EXPECT_EQ(state_of(kNicA), "- pci-stub");
}

TEST_F(Transaction, RestoreOfADriverThatWasForcedAndThenLeftForcesItAgain) {
  ASSERT_EQ(write("bus/pci/devices/0000:04:00.0/driver_override", "pci-stub"), 0);
  ASSERT_EQ(write("bus/pci/drivers/igc/unbind", "0000:04:00.0"), 0);
  ASSERT_EQ(write("bus/pci/drivers/pci-stub/bind", "0000:04:00.0"), 0);
  ASSERT_EQ(write("bus/pci/devices/0000:04:00.0/driver_override", "\n"), 0);
  ASSERT_TRUE(run_plan(to_vfio({kNicA})));
  ASSERT_TRUE(restore({kNicA}));
  EXPECT_EQ(state_of(kNicA), "pci-stub (unset)");
}

TEST_F(Transaction, RestoreWithoutMemoryGoesByTheDefaultMatch) {
  ASSERT_EQ(write("bus/pci/devices/0000:04:00.0/driver_override", "vfio-pci"), 0);
  ASSERT_EQ(write("bus/pci/drivers/igc/unbind", "0000:04:00.0"), 0);
  ASSERT_EQ(write("bus/pci/drivers/vfio-pci/bind", "0000:04:00.0"), 0);
  ASSERT_TRUE(restore({kNicA}));
  EXPECT_EQ(state_of(kNicA), "igc (unset)");
}

/// Counts its naps.
class NappingClock final : public Clock {
 public:
  Time now() override { return {}; }
  void sleep(std::chrono::milliseconds /*time*/) override { ++naps; }
  std::int64_t date() override { return 0; }
  int naps = 0;
};

/// While a device is being reset Linux 7.0 and later says EBUSY of its bind for a moment.
TEST_F(Transaction, ABindIsTriedAgainWhereTheDeviceMayBeInAReset) {
  for (const char* release : {"6.12.1-amd64", "7.3.4-amd64"}) {
    core_ = drivercore::DriverCore(read_machine(kMachine));
    const auto before = all();
    Fault fault{.fail_at = 3, .err = {EBUSY}, .only_writes = true};  // override, unbind, bind
    const auto faulty = faulty_sysfs(*sysfs_, fault);
    const auto plan = to_vfio(*faulty, {kNicA});
    ASSERT_TRUE(plan);
    NappingClock clock;
    Host host(*faulty);
    host.release = release;
    host.clock = &clock;
    const bool is_new = std::string_view(release).starts_with("7");
    const auto done = run(host, *plan, Records(nullptr), recorder_);
    EXPECT_EQ(done.has_value(), is_new) << release;
    EXPECT_EQ(clock.naps, is_new ? 1 : 0) << release;
    EXPECT_EQ(state_of(kNicA), is_new ? "vfio-pci vfio-pci" : "igc (unset)") << release;
    EXPECT_TRUE(is_new || all() == before);
  }
}

/// Who holds the group for good is told soon.
TEST_F(Transaction, AGroupThatIsHeldIsToldAfterAFewTries) {
  core_ = drivercore::DriverCore(read_machine(kMachine, "linux-7.3"));
  ASSERT_TRUE(run_plan(to_vfio({kGpu, kGpuAudio})));
  ASSERT_EQ(write("bus/pci/drivers/vfio-pci/unbind", kGpuAudio.name.str()), 0);
  ASSERT_TRUE(core_.hold_group(13, true));
  const auto plan = plan_bind(*sysfs_, {.devices = {kGpuAudio}, .driver = driver("snd_hda_intel")});
  ASSERT_TRUE(plan);
  NappingClock clock;
  Host host(*sysfs_);
  host.release = "7.3.4-amd64";
  host.clock = &clock;
  const auto done = run(host, *plan, Records(nullptr), recorder_);
  ASSERT_FALSE(done);
  EXPECT_EQ(clock.naps, 5);
}

TEST_F(Transaction, RestoreTwiceIsANoOp) {
  ASSERT_TRUE(run_plan(to_vfio({kNicA})));
  ASSERT_TRUE(restore({kNicA}));
  recorder_.lines.clear();
  ASSERT_TRUE(restore({kNicA}));
  EXPECT_TRUE(recorder_.lines.empty());
}

TEST_F(Transaction, ANoOpSendsNoEventAndWritesNothing) {
  ASSERT_TRUE(run_plan(to_vfio({kNicA})));
  (void)core_.take_uevents();
  recorder_.lines.clear();
  const auto outcome = run_plan(to_vfio({kNicA}));
  ASSERT_TRUE(outcome);
  EXPECT_FALSE(outcome->front().changed);
  EXPECT_TRUE(recorder_.lines.empty());
  EXPECT_TRUE(core_.take_uevents().empty());
}

/// Hears which settings are written.
class SettingsHeard final : public Listener {
 public:
  void on_step(const DeviceId& /*device*/, const Step& /*step*/) override {}
  void on_setting(const Setting& setting) override { paths.push_back(setting.path); }
  void on_rollback(const Error& /*cause*/, std::size_t /*devices*/) override {}
  [[nodiscard]] bool stop_requested() const override { return false; }
  std::vector<std::string> paths;
};

TEST_F(Transaction, SettingsAreTakenBackTheLastFirst) {
  const std::string flag = "bus/pci/drivers_autoprobe";
  const std::string parameter = "bus/pci/devices/0000:04:00.0/driver_override";
  Plan plan;
  for (const std::string& path : {flag, parameter})
    plan.settings.push_back(
        {.path = path, .bytes = "0", .undo_path = path, .undo_bytes = "1", .reason = ""});
  SettingsHeard heard;
  const RunOptions options;
  const Host host(*sysfs_);
  const PatientWriter writer(host, options, heard, [](const StuckWrite& /*write*/) {});
  ASSERT_TRUE(undo_settings(*sysfs_, plan, 0, 2, Back::kAll, heard, writer));
  EXPECT_EQ(heard.paths, (std::vector{parameter, flag}));
}

/// Takes every write to one file and does nothing.
class Deaf final : public Sysfs {
 public:
  Deaf(Sysfs& inner, std::string to, std::string prefix = "", std::unique_ptr<Sysfs> own = nullptr)
      : inner_(inner), to_(std::move(to)), prefix_(std::move(prefix)), own_(std::move(own)) {}
  Reply<std::string> read(std::string_view path) override { return inner_.read(path); }
  Reply<std::size_t> write(std::string_view path, std::string_view bytes) override {
    if (prefix_ + std::string(path) == to_) return bytes.size();
    return inner_.write(path, bytes);
  }
  Reply<std::string> read_link(std::string_view path) override { return inner_.read_link(path); }
  Reply<std::vector<std::string>> list(std::string_view path) override { return inner_.list(path); }
  Reply<std::unique_ptr<Sysfs>> open_dir(std::string_view path) override {
    auto dir = inner_.open_dir(path);
    if (!dir) return std::unexpected(dir.error());
    Sysfs& inner = **dir;
    return std::make_unique<Deaf>(inner, to_, prefix_ + std::string(path) + "/", *std::move(dir));
  }
  Reply<Instance> instance() override { return inner_.instance(); }

 private:
  Sysfs& inner_;
  std::string to_;
  std::string prefix_;
  std::unique_ptr<Sysfs> own_;
};

TEST_F(Transaction, AnOverrideThatDoesNotTakeIsSeenBeforeTheHostDriverGoes) {
  const auto before = all();
  Deaf deaf(*sysfs_, "bus/pci/devices/0000:04:00.0/driver_override");
  const auto outcome = run_on(deaf, *to_vfio(deaf, {kNicA}));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, ErrorKind::kFailed);
  EXPECT_THAT(outcome.error().why, HasSubstr("it reads"));
  EXPECT_THAT(recorder_.lines, testing::Not(testing::Contains(HasSubstr("unbind"))));
  EXPECT_EQ(all(), before);
}

TEST_F(Transaction, ASuccessThatDidNothingIsNotBelieved) {
  const auto before = all();
  for (const char* file : {"vfio-pci/bind", "igc/unbind"}) {
    Deaf deaf(*sysfs_, std::string("bus/pci/drivers/") + file);
    const auto outcome = run_on(deaf, *to_vfio(deaf, {kNicA}));
    ASSERT_FALSE(outcome) << file;
    EXPECT_EQ(outcome.error().kind, ErrorKind::kFailed) << file;
    EXPECT_THAT(outcome.error().why, HasSubstr("reported success")) << file;
    EXPECT_EQ(all(), before) << file;
  }
}

TEST_F(Transaction, AFailingProbePutsAllDevicesBack) {
  const auto before = all();
  core_.set_probe("vfio-pci", 0);
  const auto plan = to_vfio({kNicA, kNicB, kDisk});
  ASSERT_TRUE(plan);
  recorder_.before_step = [&](std::size_t count) {
    core_.set_probe("vfio-pci", count > 6 ? -EIO : 0);
  };
  const auto outcome = run_on(*sysfs_, *plan);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, ErrorKind::kFailed);
  EXPECT_EQ(outcome.error().err.value, EIO);
  EXPECT_THAT(outcome.error().message(), HasSubstr("bind 0000:06:00.0"));
  EXPECT_EQ(all(), before);
  EXPECT_EQ(origins().find(kNicA, (*plan).devices[0].instance), std::nullopt)
      << "nothing to restore";
}

TEST_F(Transaction, ADeferredProbeIsAFailureThatIsPutBack) {
  const auto before = all();
  core_.set_probe("vfio-pci", -517);
  const auto outcome = run_plan(to_vfio({kNicA}));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().err.value, EAGAIN);
  EXPECT_THAT(outcome.error().message(), HasSubstr("deferred"));
  EXPECT_EQ(all(), before);
}

TEST_F(Transaction, AGroupInUseByUserSpaceKeepsTheHostDriverOutAndSaysSo) {
  ASSERT_TRUE(run_plan(to_vfio({kGpu}, true)));
  ASSERT_TRUE(core_.hold_group(core_.find("pci", kGpu.name.str())->group.value(), true));
  const auto outcome = restore({kGpuAudio});  // the other keeps the group in its user's hands
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().err.value, EBUSY);
  EXPECT_EQ(state_of(kGpuAudio), "vfio-pci vfio-pci") << "as it was";
}

TEST_F(Transaction, WhatCannotBePutBackIsIncomplete) {
  const auto plan = to_vfio({kNicA});
  recorder_.before_step = [&](std::size_t count) {
    if (count == 3) core_.set_probe("vfio-pci", -EIO);
    if (count == 3) core_.set_probe("igc", -EIO);
  };
  const auto outcome = run_plan(plan);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, ErrorKind::kIncomplete);
  EXPECT_THAT(outcome.error().message(), HasSubstr("igc"));
  EXPECT_EQ(state_of(kNicA), "- (unset)") << "no override is left behind";
  EXPECT_NE(origins().find(kNicA, plan->devices[0].instance), std::nullopt)
      << "restore can try again";
}

TEST_F(Transaction, CtrlCRollsBack) {
  const auto before = all();
  for (std::size_t steps = 0; steps < 6; ++steps) {
    recorder_.lines.clear();
    recorder_.stop_after = steps;
    const auto outcome = run_plan(to_vfio({kNicA, kNicB}));
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().kind, ErrorKind::kFailed);
    EXPECT_THAT(outcome.error().why, HasSubstr("interrupted")) << steps;
    EXPECT_EQ(all(), before) << "interrupted after " << steps;
  }
}

/// A fault at every operation, before or after it took effect: the set ends whole, or as it was.
class EveryFault : public Transaction, public testing::WithParamInterface<std::tuple<int, bool>> {};

TEST_P(EveryFault, EndsWholeOrAsItWas) {
  const auto [error, after] = GetParam();
  bool reached_the_end = false;
  for (std::size_t at = 1; !reached_the_end; ++at) {
    ASSERT_LT(at, 1000U);
    core_ = drivercore::DriverCore(read_machine(kMachine));
    const auto before = all();
    Fault fault{.fail_at = 0, .err = {error}, .after = after};
    const auto faulty = faulty_sysfs(*sysfs_, fault);
    // Planned through it too, as the run goes on with the directories that the planner opened.
    const auto plan = to_vfio(*faulty, {kNicA, kGpu}, true);
    ASSERT_TRUE(plan);
    fault.fail_at = fault.count + at;
    const auto outcome = run_on(*faulty, *plan);
    reached_the_end = fault.count < fault.fail_at;
    if (outcome) {
      EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci") << at;
      EXPECT_EQ(state_of(kGpu), "vfio-pci vfio-pci") << at;
      EXPECT_EQ(state_of(kGpuAudio), "vfio-pci vfio-pci") << at;
    } else {
      EXPECT_NE(outcome.error().kind, ErrorKind::kIncomplete)
          << at << " " << outcome.error().message();
      EXPECT_EQ(all(), before) << "fault " << error << " at operation " << at;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllErrnos, EveryFault,
                         testing::Combine(testing::Values(EIO, ENODEV, ENOENT, EBUSY, EACCES,
                                                          EINVAL, EAGAIN, ENOMEM, EINTR, 512),
                                          testing::Bool()));

TEST_F(Transaction, UndoGoesBackwardsAndLeavesAnotherCardAlone) {
  auto journal = *Journal::load(*storage_, "boot", "bind", 0);
  Origins memory = origins();
  ASSERT_TRUE(run(*sysfs_, *to_vfio({kNicA, kNicB, kDisk}), {&memory, &journal}, recorder_));
  const auto entry = journal.read(1);
  ASSERT_TRUE(entry && *entry);
  ASSERT_TRUE(core_.unplug(kNicB.name.str()));
  ASSERT_TRUE(core_.hot_add(kNicB.name.str()));
  const auto plan = plan_undo(*sysfs_, (*entry)->plan(), (*entry)->id);
  ASSERT_TRUE(plan);
  std::vector<DeviceId> devices;
  for (const DevicePlan& device : plan->devices) devices.push_back(device.device);
  EXPECT_EQ(devices, (std::vector{kDisk, kNicA}));
}

TEST_F(Transaction, ADriverThatCameAfterPlanningIsLeftAlone) {
  ASSERT_EQ(write("bus/pci/drivers/igc/unbind", "0000:04:00.0"), 0);
  const auto plan = to_vfio({kNicA});
  ASSERT_EQ(write("bus/pci/drivers/igc/bind", "0000:04:00.0"), 0);
  const auto outcome = run_plan(plan);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, ErrorKind::kFailed);
  EXPECT_EQ(state_of(kNicA), "igc (unset)");  // not unbound: it was not we who bound it
}

TEST_F(Transaction, ADriverThatWasLoadedAgainAfterPlanningIsFound) {
  const auto plan = to_vfio({kNicA});
  ASSERT_TRUE(core_.unload_module("vfio_pci"));
  ASSERT_TRUE(core_.load_module("vfio_pci"));
  ASSERT_TRUE(run_plan(plan));
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
}

TEST_F(Transaction, TheSameIdOfSomebodyElseStaysWithTheDriver) {
  const auto ids = [&] { return core_.find_driver("pci", "pci-stub")->dynamic_ids; };
  const auto& device = *core_.find("pci", kNicA.name.str());
  ASSERT_EQ(write("bus/pci/drivers/pci-stub/new_id",
                  fmt::format("{:x} {:x} {:x} {:x} {:x} ffff00", device.vendor, device.device,
                              device.subvendor, device.subdevice, device.class_code)),
            0);
  const auto theirs = ids();
  ASSERT_EQ(theirs.size(), 1U);
  ASSERT_TRUE(run_plan(plan_bind(
      *sysfs_,
      {.devices = {kNicA}, .driver = driver("pci-stub"), .mechanism = Mechanism::kNewId})));
  EXPECT_EQ(state_of(kNicA), "pci-stub (unset)");
  EXPECT_EQ(ids(), theirs);
}

/// Something else happens before each step in turn.
class EveryMoment : public Transaction {
 protected:
  /// Runs the same bind again and again, `disturb` acting before the 1st, 2nd, ... step.
  void at_every_step(
      const std::function<void()>& disturb,
      const std::function<void(std::size_t, const Result<std::vector<Outcome>>&)>& check) {
    for (std::size_t at = 1; at <= 3; ++at) {
      core_ = drivercore::DriverCore(read_machine(kMachine));
      storage_ = memory_storage();
      recorder_.lines.clear();
      recorder_.before_step = [&](std::size_t count) {
        if (count == at) disturb();
      };
      check(at, run_plan(to_vfio({kNicA})));
    }
  }
};

TEST_F(EveryMoment, UnplugIsNotFound) {
  at_every_step([&] { core_.unplug("0000:04:00.0"); },
                [&](std::size_t at, const auto& outcome) {
                  ASSERT_FALSE(outcome) << at;
                  EXPECT_EQ(state_of(kNicA), "absent") << at;
                });
}

TEST_F(EveryMoment, AnotherCardAtTheAddressIsLeftToItsDriver) {
  at_every_step(
      [&] {
        core_.unplug("0000:04:00.0");
        ASSERT_TRUE(core_.hot_add("0000:04:00.0"));
      },
      [&](std::size_t at, const auto& outcome) {
        ASSERT_FALSE(outcome) << at;
        EXPECT_EQ(outcome.error().kind, ErrorKind::kNotFound) << outcome.error().message();
        EXPECT_EQ(state_of(kNicA), "igc (unset)") << at << ": the newcomer was hit";
      });
}

TEST_F(EveryMoment, AProbeOfSomebodyElseDoesNoHarm) {
  at_every_step([&] { write("bus/pci/drivers_probe", "0000:04:00.0"); },
                [&](std::size_t at, const auto& outcome) {
                  EXPECT_TRUE(outcome) << at << outcome.error().message();
                  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci") << at;
                });
}

TEST_F(EveryMoment, AnOverrideThatSomebodyClearsIsNoticed) {
  at_every_step([&] { write("bus/pci/devices/0000:04:00.0/driver_override", "\n"); },
                [&](std::size_t at, const auto& outcome) {
                  const std::string want = outcome ? "vfio-pci vfio-pci" : "igc (unset)";
                  EXPECT_EQ(state_of(kNicA), want) << at;
                });
}

TEST_F(EveryMoment, AHostDriverThatIsUnloadedHasLeftTheDeviceAsWasWanted) {
  at_every_step([&] { EXPECT_TRUE(core_.unload_module("igc")); },
                [&](std::size_t at, const auto& outcome) {
                  EXPECT_TRUE(outcome) << at << ": " << outcome.error().message();
                  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci") << at;
                });
}

TEST_F(EveryMoment, ATargetThatIsUnloadedPutsTheDeviceBack) {
  at_every_step([&] { core_.unload_module("vfio_pci"); },
                [&](std::size_t at, const auto& outcome) {
                  EXPECT_FALSE(outcome) << at;
                  EXPECT_EQ(state_of(kNicA), "igc (unset)") << at;
                });
}

TEST(OriginsTest, SurviveAndAreBoundToTheBoot) {
  const auto storage = memory_storage();
  const Instance card{.device = 1, .inode = 7};
  const Origin origin{.instance = card,
                      .binding = {.driver = driver("i8042 kbd"),
                                  .has_override = true,
                                  .driver_override = "a \"b\""},
                      .called = "eth0",
                      .order = 7};
  auto first = Origins::load(*storage, "boot");
  first->remember(kNicA, origin);
  first->remember(kNicA, {.instance = card, .binding = {}});
  ASSERT_TRUE(first->save());
  EXPECT_EQ(Origins::load(*storage, "boot")->find(kNicA, card), origin);
  EXPECT_EQ(Origins::load(*storage, "boot")->find(kNicA, {.device = 1, .inode = 8}), std::nullopt);
  EXPECT_EQ(Origins::load(*storage, "another")->find(kNicA, card), std::nullopt);
}

TEST(OriginsTest, ADamagedFileIsAnErrorAndNotAnEmptyMemory) {
  const std::array<std::string, 7> files = {
      "",
      "{",
      "[]",
      R"({"version":2,"boot":"b","devices":[]})",
      R"({"version":1,"boot":"b"})",
      R"({"version":1,"boot":"b","devices":[{"bus":"../x","device":"d"}]})",
      R"({"version":1,"boot":"b","devices":[{"bus":"pci","device":"d","instance":[1],"driver":null,"driver_override":null}]})"};
  for (const std::string& file : files) {
    const auto storage = memory_storage();
    ASSERT_TRUE(storage->replace("origins.json", file));
    const auto loaded = Origins::load(*storage, "b");
    ASSERT_FALSE(loaded) << file;
    EXPECT_FALSE(loaded.error().advice.empty()) << file;
  }
}

/// A model has no power management: this adds what vfio-pci and the PCI bus show of it.
class Parking final : public Sysfs {
 public:
  using Controls = std::map<std::string, std::string>;  ///< of power/control, by device
  Parking(Sysfs& inner, Controls& controls, std::string at = "",
          std::unique_ptr<Sysfs> own = nullptr)
      : inner_(inner), own_(std::move(own)), controls_(controls), at_(std::move(at)) {}

  Reply<std::string> read(std::string_view path) override {
    if (path != "power_state") return inner_.read(path);
    return controls_.contains(at_) && controls_[at_] == "auto" ? "D3hot\n" : "D0\n";
  }
  Reply<std::size_t> write(std::string_view path, std::string_view bytes) override {
    if (path != "power/control") return inner_.write(path, bytes);
    controls_[at_] = bytes;
    return bytes.size();
  }
  Reply<std::string> read_link(std::string_view path) override { return inner_.read_link(path); }
  Reply<std::vector<std::string>> list(std::string_view path) override { return inner_.list(path); }
  Reply<std::unique_ptr<Sysfs>> open_dir(std::string_view path) override {
    auto dir = inner_.open_dir(path);
    if (!dir) return dir;
    Sysfs& inner = **dir;
    return std::make_unique<Parking>(inner, controls_, std::string(link_name(path)),
                                     *std::move(dir));
  }
  Reply<Instance> instance() override { return inner_.instance(); }

 private:
  Sysfs& inner_;
  std::unique_ptr<Sysfs> own_;
  Controls& controls_;
  std::string at_;
};

class Parked : public Transaction {
 protected:
  Parked() {
    EXPECT_TRUE(run_plan(to_vfio({kNicA, kNicB, kDisk})));
    recorder_.lines.clear();
  }
  Result<HeldPlan> back() { return plan_unbind(parking_, {kNicA, kNicB, kDisk}); }

  const Parking::Controls asleep_ = {
      {"0000:04:00.0", "auto"}, {"0000:05:00.0", "auto"}, {"0000:06:00.0", "auto"}};
  Parking::Controls controls_ = asleep_;
  Parking parking_{*sysfs_, controls_};
};

TEST_F(Parked, AllAreWokenBeforeTheFirstIsUnbound) {
  const auto plan = back();
  ASSERT_TRUE(plan);
  ASSERT_TRUE(run_on(parking_, *plan));
  const std::string wake = "echo on > /sys/bus/pci/devices/";
  ASSERT_GE(recorder_.lines.size(), 4U);
  EXPECT_EQ(recorder_.lines[0], wake + "0000:04:00.0/power/control");
  EXPECT_EQ(recorder_.lines[2], wake + "0000:06:00.0/power/control");
  EXPECT_THAT(recorder_.lines[3], HasSubstr("driver_override"));
  for (const auto& [device, control] : controls_) EXPECT_EQ(control, "on") << device;
  EXPECT_EQ(state_of(kDisk), "- none");
}

TEST_F(Parked, OneThatIsAwakeIsLeftAlone) {
  controls_["0000:05:00.0"] = "on";
  const auto plan = back();
  ASSERT_TRUE(plan);
  EXPECT_TRUE(plan->devices[0].parked);
  EXPECT_FALSE(plan->devices[1].parked);
}

TEST_F(Parked, OneThatIsThereAlreadyIsLeftAsleep) {
  const auto plan = plan_bind(parking_, {.devices = {kNicA}, .driver = driver("vfio-pci")});
  ASSERT_TRUE(plan);
  EXPECT_FALSE(plan->devices[0].parked);
}

TEST_F(Parked, WhatStaysMaySleepAgain) {
  for (std::size_t steps = 1; steps < 9; ++steps) {
    controls_ = asleep_;
    recorder_.lines.clear();
    recorder_.stop_after = steps;
    const auto plan = back();
    ASSERT_TRUE(plan);
    ASSERT_FALSE(run_on(parking_, *plan)) << steps;
    for (const DeviceId& device : {kNicA, kNicB, kDisk}) {
      EXPECT_EQ(state_of(device), "vfio-pci vfio-pci");
      // One that was bound again may, as its driver's probe says so; here nobody probes for real.
      const auto bound = "echo " + device.str() + " > /sys/bus/pci/drivers/vfio-pci/bind";
      if (std::ranges::find(recorder_.lines, bound) != recorder_.lines.end()) continue;
      EXPECT_EQ(controls_[device.str()], "auto") << device.str() << " after " << steps;
    }
  }
}

TEST_F(Parked, AfterACrashToo) {
  auto plan = back();
  ASSERT_TRUE(plan);
  {
    auto journal = Journal::load(*storage_, "boot", "unbind", 0);
    ASSERT_TRUE(journal);
    ASSERT_TRUE(journal->begin(*plan, {false, false, false}));
    for (auto& [device, control] : controls_) control = "on";
  }  // and then nothing more was done
  auto journal = Journal::load(*storage_, "boot", "recover", 0);
  ASSERT_TRUE(journal);
  Origins memory = origins();
  const auto recovered = recover(parking_, {&memory, &*journal}, recorder_);
  ASSERT_EQ(recovered.size(), 1U);
  EXPECT_EQ(recovered[0].what, Recovered::What::kUndone);
  EXPECT_EQ(controls_, asleep_);
}

}  // namespace
}  // namespace anybind
