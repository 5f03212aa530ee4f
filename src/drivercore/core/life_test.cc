// Devices, drivers and modules that come and go (kernel-facts 1). What is told of it is in
// uevents_test.cc.
#include "drivercore/machine_fixture.h"

namespace anybind::drivercore {
namespace {

using testing::ElementsAre;
using HotAdd = MachineTest;
using Remove = MachineTest;
using Modules = MachineTest;
using Deferral = MachineTest;
using Async = MachineTest;

// ---- adding

TEST_F(HotAdd, ProbesAPciFunctionAlsoWithAutoprobeOff) {
  ASSERT_EQ(bus("drivers_autoprobe", "0"), 0);
  EXPECT_TRUE(core_.hot_add(kSpareNic));
  EXPECT_EQ(driver_of(kSpareNic), "e1000e") << "so on 6.1 and on 6.12 [E1, E4-F]";
}

TEST_F(HotAdd, HoldsAPciFunctionBackWhereTheKernelHonoursAutoprobe) {
  State later = core_.state();
  later.profile = *find_profile("linux-6.19");
  core_ = DriverCore(later);
  ASSERT_EQ(bus("drivers_autoprobe", "0"), 0);
  EXPECT_TRUE(core_.hot_add(kSpareNic));
  EXPECT_EQ(driver_of(kSpareNic), "");
}

TEST_F(HotAdd, HoldsAPlatformDeviceBackWithAutoprobeOff) {
  ASSERT_EQ(write("bus/platform/drivers_autoprobe", "0"), 0);
  ASSERT_TRUE(core_.unplug("platform/pcspkr"));
  EXPECT_TRUE(core_.hot_add("platform/pcspkr"));
  EXPECT_EQ(link("bus/platform/devices/pcspkr/driver"), "ENOENT");
  ASSERT_EQ(write("bus/platform/drivers_autoprobe", "1"), 0);
  EXPECT_EQ(link("bus/platform/devices/pcspkr/driver"), "ENOENT") << "turning it on probes nothing";
}

TEST_F(HotAdd, WantsAFreeSlotAndWhatIsAboveIt) {
  EXPECT_FALSE(core_.hot_add(kNicA)) << "it is there";
  EXPECT_FALSE(core_.hot_add(kNobody)) << "there is no such card";
  ASSERT_TRUE(core_.unplug(kBridge));
  EXPECT_FALSE(core_.hot_add(kSharedA)) << "its bridge is gone";
  EXPECT_TRUE(core_.hot_add(kBridge));
  EXPECT_TRUE(core_.hot_add(kSharedA));
  EXPECT_EQ(driver_of(kSharedA), "e1000");
}

TEST_F(HotAdd, TakesAllFunctionsOfASlot) {
  core_ = DriverCore(load(R"(
    driver = [{ name = "d", ids = ["1:1"] }]
    device = [
      { address = "03:00.1", id = "1:1", present = false },
      { address = "03:00.0", id = "1:1", present = false },
      { address = "04:00.0", id = "1:1", present = false },
    ])"));
  EXPECT_TRUE(core_.hot_add("0000:03:00"));
  EXPECT_EQ(list("bus/pci/devices"), (std::vector<std::string>{"0000:03:00.0", "0000:03:00.1"}));
  EXPECT_EQ(driver_of("0000:03:00.1"), "d");
  EXPECT_TRUE(core_.unplug("0000:03:00"));
  EXPECT_EQ(list("bus/pci/devices"), std::vector<std::string>{});
}

TEST_F(HotAdd, AnotherCardCanGetTheAddress) {
  core_ = DriverCore(load(R"(
    driver = [{ name = "d", ids = ["1:1"] }, { name = "e", ids = ["2:2"] }]
    device = [{ address = "03:00.0", id = "1:1" }, { address = "03:00.0", id = "2:2", present = false }]
  )"));
  const auto before = sysfs_->open_dir("bus/pci/devices/0000:03:00.0");
  ASSERT_TRUE(core_.unplug("0000:03:00.0"));
  ASSERT_TRUE(core_.hot_add("0000:03:00.0"));
  EXPECT_EQ(driver_of("0000:03:00.0"), "e") << "the card that lay in the drawer first";
  const auto after = sysfs_->open_dir("bus/pci/devices/0000:03:00.0");
  EXPECT_NE((*before)->instance(), (*after)->instance());
  EXPECT_EQ((*before)->read("vendor").error().value, ENOENT) << "a held directory goes dead [E4d]";
  EXPECT_EQ((*before)->write("driver_override", "x").error().value, ENOENT);
}

TEST_F(HotAdd, FindsWhatWasRemovedFromOtherSlotsOfThatBusAndNowhereElse) {
  ASSERT_TRUE(core_.unplug(kSharedB));
  for (const std::string& other : {kSharedA, kSharedEdu, kNicA})
    ASSERT_EQ(dev(other, "remove", "1"), 0);
  (void)events();
  EXPECT_TRUE(core_.hot_add(kSharedB));
  EXPECT_THAT(events(),
              ElementsAre("add " + kSharedB, "add " + kSharedA, "add eth3", "bind " + kSharedB,
                          "add eth2", "bind " + kSharedA, "add " + kSharedEdu))
      << "its own slot first, then one slot after the other";
  EXPECT_EQ(driver_of(kNicA), "absent");
}

TEST_F(HotAdd, FindsNoCardThatWasTakenOutOfAnotherSlot) {
  ASSERT_TRUE(core_.unplug(kSharedA));
  ASSERT_TRUE(core_.unplug(kSharedB));
  EXPECT_TRUE(core_.hot_add(kSharedB));
  EXPECT_EQ(driver_of(kSharedA), "absent");
}

// ---- removing

TEST_F(Remove, WantsANumberAndZeroIsNoRequest) {
  EXPECT_EQ(dev(kEduA, "remove", "0"), 0);
  EXPECT_EQ(dev(kEduA, "remove", "x"), EINVAL);
  EXPECT_EQ(bus("rescan", "x"), EINVAL);
  EXPECT_EQ(bus("rescan", "0"), 0);
  EXPECT_EQ(driver_of(kEduA), "");
  EXPECT_EQ(dev(kEduA, "remove", "0x1\n"), 0);
  EXPECT_EQ(driver_of(kEduA), "absent");
}

TEST_F(Remove, AndRescanGiveAnotherInstanceWithNothingOfTheOld) {
  ASSERT_EQ(dev(kNicA, "driver_override", "none"), 0);
  const DeviceKey before = key(kNicA);
  ASSERT_EQ(dev(kNicA, "remove", "1"), 0);
  EXPECT_EQ(bus("drivers_probe", kNicA), ENODEV);
  EXPECT_EQ(bus("rescan", "1"), 0);
  EXPECT_GT(key(kNicA), before);
  EXPECT_EQ(read("bus/pci/devices/" + kNicA + "/driver_override"), "(null)\n");
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

TEST_F(Remove, OfABridgeTakesWhatIsBehindIt) {
  ASSERT_EQ(dev(kBridge, "remove", "1"), 0);
  for (const auto& device : {kBridge, kSharedA, kSharedB, kSharedEdu}) {
    EXPECT_EQ(driver_of(device), "absent");
  }
  EXPECT_EQ(list("kernel/iommu_groups/6/devices"), std::vector<std::string>{"(error)"});
  EXPECT_EQ(core_.state().groups.at(6).in_use, 0U);
  EXPECT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(driver_of(kSharedB), "e1000");
  EXPECT_EQ(list("kernel/iommu_groups/6/devices").size(), 4U);
}

TEST_F(Remove, RescanDoesNotFindWhatWasUnplugged) {
  ASSERT_TRUE(core_.unplug(kNicA));
  EXPECT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(driver_of(kNicA), "absent");
}

TEST_F(Remove, ACardThatIsNoDeviceAnyMoreCanStillBeTakenOut) {
  ASSERT_EQ(dev(kNicA, "remove", "1"), 0);
  EXPECT_TRUE(core_.unplug(kNicA));
  EXPECT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(driver_of(kNicA), "absent");
  EXPECT_FALSE(core_.unplug(kNicA)) << "the slot is empty";
  EXPECT_TRUE(core_.hot_add(kNicA));
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

TEST_F(Remove, WithABridgeGoesWhatWasRemovedBehindIt) {
  ASSERT_EQ(dev(kSharedA, "remove", "1"), 0);
  ASSERT_TRUE(core_.unplug(kBridge));
  ASSERT_TRUE(core_.hot_add(kBridge));
  EXPECT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(driver_of(kSharedA), "absent");
}

TEST_F(Remove, RescanOfOneDeviceLooksOnlyBesideAndBehindIt) {
  ASSERT_EQ(dev(kNicA, "remove", "1"), 0);
  ASSERT_EQ(dev(kSharedA, "remove", "1"), 0);
  EXPECT_EQ(dev(kSharedB, "rescan", "1"), 0);
  EXPECT_EQ(driver_of(kSharedA), "e1000");
  EXPECT_EQ(driver_of(kNicA), "absent");
  EXPECT_EQ(dev(kNicB, "rescan", "1"), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

// ---- drivers and modules

TEST_F(Modules, LoadingOneBindsEveryDriverlessDeviceThatItMatches) {
  ASSERT_EQ(dev(kEduB, "driver_override", "td2"), 0);
  EXPECT_TRUE(core_.load_module("tdrv"));
  EXPECT_EQ(driver_of(kEduA), "td0");
  EXPECT_EQ(driver_of(kEduB), "td2") << "a forgotten override is honoured [E3]";
  EXPECT_TRUE(core_.load_module("tdrv")) << "again is no error";
  EXPECT_FALSE(core_.load_module("no_such_module"));
}

TEST_F(Modules, LoadingOneWithAutoprobeOffBindsNothingAndOnDoesNotCatchUp) {
  ASSERT_EQ(bus("drivers_autoprobe", "0"), 0);
  ASSERT_TRUE(core_.load_module("tdrv"));
  ASSERT_EQ(bus("drivers_autoprobe", "1"), 0);
  EXPECT_EQ(driver_of(kEduA), "");
}

TEST_F(Modules, UnloadingOneLeavesItsDevicesToNobody) {
  ASSERT_EQ(drv("pci-stub", "new_id", "8086 10d3"), 0);
  EXPECT_TRUE(core_.unload_module("e1000e"));
  EXPECT_EQ(driver_of(kNicA), "") << "no other driver is offered them";
  EXPECT_EQ(drv("e1000e", "bind", kNicA), ENOENT);
  EXPECT_EQ(list("bus/pci/drivers").size(), 5U);
  EXPECT_FALSE(core_.unload_module("e1000e"));
}

TEST_F(Modules, AreKnownByEitherSpelling) {
  EXPECT_TRUE(core_.unload_module("vfio_pci"));
  EXPECT_TRUE(core_.load_module("vfio-pci"));
  EXPECT_EQ(link("bus/pci/drivers/vfio-pci/module"), "../../../../module/vfio_pci");
  EXPECT_EQ(link("module/vfio_pci/drivers/pci:vfio-pci"), "../../../bus/pci/drivers/vfio-pci");
}

TEST_F(Modules, BuiltInOnesCanBeSeenButNotUnloaded) {
  EXPECT_EQ(link("bus/pci/drivers/pcieport/module"), "../../../../module/pcieportdrv");
  EXPECT_FALSE(core_.unload_module("pcieportdrv"));
  EXPECT_EQ(driver_of(kBridge), "pcieport");
  EXPECT_EQ(list("bus/platform/drivers/serial8250"),
            (std::vector<std::string>{"bind", "serial8250", "uevent", "unbind"}));
}

TEST_F(Modules, AReloadedDriverIsAnotherInstance) {
  const auto held = sysfs_->open_dir("bus/pci/drivers/e1000e");
  ASSERT_TRUE(core_.unload_module("e1000e"));
  ASSERT_TRUE(core_.load_module("e1000e"));
  const auto now = sysfs_->open_dir("bus/pci/drivers/e1000e");
  EXPECT_NE((*held)->instance(), (*now)->instance());
  EXPECT_EQ((*held)->write("bind", kNicA).error().value, ENOENT);
}

TEST_F(Modules, ShowWhatToolsLookFor) {
  EXPECT_EQ(list("module/e1000e"),
            (std::vector<std::string>{"coresize", "drivers", "holders", "initstate", "refcnt",
                                      "taint", "uevent"}));
  EXPECT_EQ(list("module/e1000e/holders"), std::vector<std::string>{});
  EXPECT_EQ(list("module/pcieportdrv"), (std::vector<std::string>{"drivers", "uevent"}));
  EXPECT_EQ(list("module/vfio_pci/parameters"), std::vector<std::string>{"enable_sriov"});
  EXPECT_EQ(read("module/e1000e/initstate"), "live\n");
  EXPECT_EQ(read("module/e1000e/refcnt"), "0\n") << "its bound devices do not hold it";
  EXPECT_EQ(read("module/pcieportdrv/initstate"), "ENOENT");
}

TEST_F(Modules, AreComingUntilAllTheirDriversAreThere) {
  std::vector<std::string> seen;
  core_.set_on_step([&](const KernelStep& step) {
    using Kind = KernelStep::Kind;
    if (step.kind != Kind::kModuleComing && step.kind != Kind::kDriverListed &&
        step.kind != Kind::kModuleLive && step.kind != Kind::kDriverUnlisted) {
      return;
    }
    const auto drivers = sysfs_->list("module/tdrv/drivers");
    seen.push_back(read("module/tdrv/initstate") +
                   (drivers ? std::to_string(drivers->size()) : "none"));
  });
  ASSERT_TRUE(core_.load_module("tdrv"));
  EXPECT_THAT(seen,
              ElementsAre("coming\nnone", "coming\nnone", "coming\n1", "coming\n2", "live\n3"))
      << "a driver's links come after it has taken devices";
  seen.clear();
  ASSERT_TRUE(core_.unload_module("tdrv"));
  EXPECT_THAT(seen, ElementsAre("going\n3", "going\n2", "going\n1"))
      << "and go after it has let go of them";
}

TEST_F(Modules, OfADeviceThatUserSpaceHasOpenStay) {
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  ASSERT_EQ(dev(kNicA, "driver_override", "vfio-pci"), 0);
  ASSERT_EQ(drv("vfio-pci", "bind", kNicA), 0);
  ASSERT_TRUE(core_.hold_group(1, true));
  EXPECT_EQ(read("module/vfio_pci/refcnt"), "0\n") << "the group alone does not hold it";
  ASSERT_TRUE(core_.open_device("pci", kNicA, true));
  EXPECT_EQ(read("module/vfio_pci/refcnt"), "1\n");
  EXPECT_FALSE(core_.unload_module("vfio_pci")) << "[E10]";
  EXPECT_EQ(driver_of(kNicA), "vfio-pci");
  ASSERT_TRUE(core_.open_device("pci", kNicA, false));
  EXPECT_TRUE(core_.unload_module("vfio_pci"));
}

TEST_F(Modules, ASecondLoadOrUnloadDuringTheFirst) {
  std::vector<bool> answers;
  core_.set_on_step([&](const KernelStep& step) {
    if (step.kind != KernelStep::Kind::kModuleComing) return;
    answers = {core_.load_module("tdrv"), core_.unload_module("tdrv"), core_.load_module("nvme")};
  });
  EXPECT_TRUE(core_.load_module("tdrv"));
  EXPECT_THAT(answers, ElementsAre(false, false, true)) << "the first would wait; EBUSY; another";
}

// ---- deferred probes [E10]

TEST_F(Deferral, CanBeSeenWhileItWaits) {
  const std::string file = "kernel/debug/devices_deferred";
  EXPECT_EQ(list("kernel/debug"), std::vector<std::string>{"devices_deferred"});
  EXPECT_EQ(read(file), "");
  ASSERT_TRUE(core_.load_module("tdrv"));
  for (const auto& device : {kEduA, kEduB}) ASSERT_EQ(drv("td0", "unbind", device), 0);
  for (const char* driver : {"td0", "td1", "td2"}) core_.set_probe(driver, -517);
  ASSERT_EQ(bus("drivers_probe", kEduB), 0);
  ASSERT_EQ(bus("drivers_probe", kEduA), 0);
  ASSERT_EQ(bus("drivers_probe", kEduB), 0);
  EXPECT_EQ(read(file), kEduB + "\t\n" + kEduA + "\t\n") << "in the order of the retries";
  ASSERT_TRUE(core_.unload_module("tdrv"));
  EXPECT_EQ(read(file), kEduB + "\t\n" + kEduA + "\t\n") << "whatever becomes of the drivers";
  core_.set_workers_run_by_themselves(false);
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  ASSERT_EQ(drv("e1000e", "bind", kNicA), 0);
  EXPECT_EQ(read(file), "") << "the worker has them";
  EXPECT_TRUE(core_.has_work());
}

TEST_F(Deferral, EndsWithARetryThatNoDriverWants) {
  ASSERT_TRUE(core_.load_module("tdrv"));
  for (const char* driver : {"td0", "td1", "td2"}) core_.set_probe(driver, -517);
  ASSERT_EQ(drv("td0", "unbind", kEduA), 0);
  ASSERT_EQ(bus("drivers_probe", kEduA), 0);
  ASSERT_EQ(dev(kEduA, "driver_override", "none"), 0);
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  ASSERT_EQ(drv("e1000e", "bind", kNicA), 0);
  EXPECT_EQ(read("kernel/debug/devices_deferred"), "");
}

TEST_F(Deferral, IsRetriedAtOnceWhenSomebodyBoundDuringTheProbe) {
  ASSERT_TRUE(core_.load_module("tdrv"));
  core_.set_probe("td2", -517);
  ASSERT_EQ(drv("td0", "unbind", kEduA), 0);
  ASSERT_EQ(dev(kEduA, "driver_override", "td2"), 0);  // no other is tried after it
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  at_step(KernelStep::Kind::kProbeFailed, kEduA, [&] {
    EXPECT_EQ(drv("e1000e", "bind", kNicA), 0);
    core_.set_probe("td2", 0);
  });
  ASSERT_EQ(bus("drivers_probe", kEduA), 0);
  EXPECT_EQ(driver_of(kEduA), "td2");
}

TEST_F(Deferral, IsRetriedAfterAnySuccessfulBind) {
  ASSERT_TRUE(core_.load_module("tdrv"));
  for (const char* driver : {"td0", "td1", "td2"}) core_.set_probe(driver, -517);
  ASSERT_EQ(drv("td0", "unbind", kEduA), 0);
  EXPECT_EQ(bus("drivers_probe", kEduA), 0) << "deferred is no error";
  EXPECT_EQ(driver_of(kEduA), "");
  core_.set_probe("td1", 0);
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  EXPECT_EQ(driver_of(kEduA), "") << "an unbind sets nothing going";
  ASSERT_EQ(drv("e1000e", "bind", kNicA), 0);
  EXPECT_EQ(driver_of(kEduA), "td1");
  EXPECT_TRUE(core_.state().deferred.empty());
}

TEST_F(Deferral, GoesOnToTheNextDriver) {
  ASSERT_TRUE(core_.load_module("tdrv"));
  ASSERT_EQ(drv("td0", "unbind", kEduA), 0);
  core_.set_probe("td0", -517);
  EXPECT_EQ(bus("drivers_probe", kEduA), 0);
  EXPECT_EQ(driver_of(kEduA), "td1");
  EXPECT_TRUE(core_.state().deferred.empty()) << "bound devices leave the list";
}

TEST_F(Deferral, IsRetriedWithTheOverrideOfThen) {
  ASSERT_TRUE(core_.load_module("tdrv"));
  for (const char* driver : {"td0", "td1"}) core_.set_probe(driver, -517);
  core_.set_probe("td2", -517);
  ASSERT_EQ(drv("td0", "unbind", kEduA), 0);
  ASSERT_EQ(bus("drivers_probe", kEduA), 0);
  core_.set_probe("td2", 0);
  ASSERT_EQ(dev(kEduA, "driver_override", "td2"), 0);
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  ASSERT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(driver_of(kEduA), "td2");
}

TEST_F(Deferral, IsLostWhenItsRetryFallsInAnAutoprobeOffWindow) {
  ASSERT_TRUE(core_.load_module("tdrv"));
  for (const char* driver : {"td0", "td1", "td2"}) core_.set_probe(driver, -517);
  ASSERT_EQ(drv("td0", "unbind", kEduA), 0);
  ASSERT_EQ(bus("drivers_probe", kEduA), 0);
  core_.set_probe("td0", 0);
  ASSERT_EQ(bus("drivers_autoprobe", "0"), 0);
  for (const char* flag : {"0", "1"}) {
    ASSERT_EQ(bus("drivers_autoprobe", flag), 0);
    ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
    ASSERT_EQ(drv("e1000e", "bind", kNicA), 0);
    EXPECT_EQ(driver_of(kEduA), "") << "autoprobe " << flag;
  }
}

TEST_F(Deferral, EndsWithTheDevice) {
  ASSERT_TRUE(core_.load_module("tdrv"));
  core_.set_probe("td0", -517, kEduA);
  core_.set_probe("td1", -517, kEduA);
  core_.set_probe("td2", -517, kEduA);
  ASSERT_EQ(drv("td0", "unbind", kEduA), 0);
  ASSERT_EQ(bus("drivers_probe", kEduA), 0);
  ASSERT_EQ(core_.state().deferred.size(), 1U);
  ASSERT_EQ(dev(kEduA, "remove", "1"), 0);
  EXPECT_TRUE(core_.state().deferred.empty());
}

TEST_F(Deferral, IsRetriedInTheOrderOfTheList) {
  core_ = DriverCore(load(R"(
    driver = [
      { name = "late", ids = ["1:1"], probe = "defer" },
      { name = "trigger", ids = ["2:2"] },
    ]
    device = [
      { address = "00:03.0", id = "1:1" },
      { address = "00:02.0", id = "1:1" },
      { address = "00:04.0", id = "2:2", driver = "none" },
    ])"));
  std::vector<std::string> retried;
  core_.set_on_step([&](const KernelStep& step) {
    if (step.kind == KernelStep::Kind::kRetry) retried.push_back(core_.find(step.device)->name);
  });
  ASSERT_EQ(drv("trigger", "bind", "0000:00:04.0"), 0);
  EXPECT_THAT(retried, ElementsAre("0000:00:03.0", "0000:00:02.0"));
  EXPECT_EQ(core_.state().deferred.size(), 2U) << "still deferred";
}

// ---- asynchronous probes (1.6)

constexpr std::string_view kAsyncMachine = R"(
driver = [
  { name = "slow", ids = ["1:1"], async = true },
  { name = "quick", ids = ["1:1"] },
  { name = "pslow", bus = "platform", names = ["thing"], async = true },
  { name = "pquick", bus = "platform", names = ["thing"] },
]
device = [
  { address = "00:02.0", id = "1:1", present = false },
  { bus = "platform", name = "thing.0", present = false },
]
)";

TEST_F(Async, OnPciOrderOfRegistrationAloneCounts) {
  core_ = DriverCore(load(kAsyncMachine));
  ASSERT_TRUE(core_.hot_add("0000:00:02.0"));
  EXPECT_EQ(driver_of("0000:00:02.0"), "slow") << "[E3]";
}

TEST_F(Async, OnPciSynchronousDriversComeFirstSinceLinux617) {
  for (const char* kernel : {"linux-6.16", "linux-6.17", "linux-6.18", "linux-7.3"}) {
    State state = load(kAsyncMachine);
    state.profile = *find_profile(kernel);
    core_ = DriverCore(state);
    ASSERT_TRUE(core_.hot_add("0000:00:02.0"));
    const bool is_new = state.profile.version >= KernelVersion{6, 17};
    EXPECT_EQ(driver_of("0000:00:02.0"), is_new ? "quick" : "slow") << kernel;
  }
}

TEST_F(Async, AnAddedPciDeviceWaitsForAWorkerSinceLinux617) {
  State state = load(kAsyncMachine);
  state.profile = *find_profile("linux-6.18");
  core_ = DriverCore(state);
  core_.set_workers_run_by_themselves(false);
  ASSERT_TRUE(core_.unload_module("quick"));
  ASSERT_EQ(bus("drivers_autoprobe", "0"), 0);
  ASSERT_TRUE(core_.hot_add("0000:00:02.0"));
  EXPECT_EQ(driver_of("0000:00:02.0"), "") << "the write is back before the probe";
  EXPECT_TRUE(core_.work());
  EXPECT_EQ(driver_of("0000:00:02.0"), "slow") << "before 6.19 whatever the flag says";
}

TEST_F(Async, ElsewhereSynchronousDriversComeFirst) {
  core_ = DriverCore(load(kAsyncMachine));
  ASSERT_TRUE(core_.hot_add("platform/thing.0"));
  EXPECT_EQ(link("bus/platform/devices/thing.0/driver"), "../../../bus/platform/drivers/pquick");
  ASSERT_TRUE(core_.unload_module("pquick"));
  ASSERT_TRUE(core_.unplug("platform/thing.0"));
  ASSERT_TRUE(core_.hot_add("platform/thing.0"));
  EXPECT_EQ(link("bus/platform/devices/thing.0/driver"), "../../../bus/platform/drivers/pslow");
}

TEST_F(Async, NewIdReturnsBeforeTheProbe) {
  core_ = DriverCore(load(kAsyncMachine));
  core_.set_workers_run_by_themselves(false);
  ASSERT_TRUE(core_.unload_module("quick"));
  ASSERT_TRUE(core_.hot_add("0000:00:02.0"));
  ASSERT_EQ(drv("slow", "unbind", "0000:00:02.0"), 0);
  EXPECT_EQ(drv("slow", "new_id", "dead beef"), 0);
  EXPECT_EQ(driver_of("0000:00:02.0"), "");
  EXPECT_TRUE(core_.has_work());
  EXPECT_TRUE(core_.work());
  EXPECT_EQ(driver_of("0000:00:02.0"), "slow");
  EXPECT_FALSE(core_.work());
}

TEST_F(Async, ALoadEndsWithTheProbes) {
  core_ = DriverCore(load(kAsyncMachine));
  ASSERT_TRUE(core_.unload_module("slow"));
  ASSERT_TRUE(core_.unload_module("quick"));
  ASSERT_TRUE(core_.hot_add("0000:00:02.0"));
  core_.set_workers_run_by_themselves(false);
  int waited = 0;
  core_.set_on_blocked([&](const Blocked& blocked) {
    EXPECT_EQ(blocked.by, Blocked::By::kAsync);
    EXPECT_EQ(driver_of("0000:00:02.0"), "");
    ++waited;
    return core_.work();
  });
  EXPECT_TRUE(core_.load_module("slow"));
  EXPECT_EQ(waited, 1);
  EXPECT_EQ(driver_of("0000:00:02.0"), "slow");
}

}  // namespace
}  // namespace anybind::drivercore
