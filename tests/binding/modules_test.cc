#include <gmock/gmock.h>

#include <cerrno>

#include "drivercore/core/model_modules.h"
#include "host/modules.h"
#include "machine.h"

namespace anybind {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Says what a test wants, and loads into the model.
class FakeLoader final : public ModuleLoader {
 public:
  explicit FakeLoader(drivercore::DriverCore& core) : model_(drivercore::model_modules(core)) {}
  std::optional<ModuleFacts> find(std::string_view name) override {
    return facts ? facts : model_->find(name);
  }
  Result<> load(const std::string& name, const std::function<bool()>& give_up) override {
    loaded.push_back(name);
    if (before_load) before_load();
    if (error) return fail(*error);
    return model_->load(instead.empty() ? name : instead, give_up);
  }
  std::vector<std::string> names() override { return model_->names(); }
  std::string_view aliases() override { return text.empty() ? model_->aliases() : text; }

  std::optional<ModuleFacts> facts;
  std::optional<Error> error;
  std::string instead;  ///< the module that is really loaded
  std::string text;     ///< of modules.alias
  std::function<void()> before_load;
  std::vector<std::string> loaded;

 private:
  std::unique_ptr<ModuleLoader> model_;
};

class ModuleLoads : public MachineTest {
 protected:
  ModuleLoads() : loader_(core_) {
    EXPECT_TRUE(core_.unload_module("vfio_pci"));
    EXPECT_TRUE(core_.unload_module("pci_stub"));
  }
  Host host() {
    Host out(*sysfs_);
    out.modules = &loader_;
    out.log = &log_;
    return out;
  }
  Result<HeldPlan> plan(std::vector<DeviceId> devices, const std::string& to = "vfio-pci") {
    return plan_bind(host(), {.devices = std::move(devices), .driver = driver(to)});
  }
  Result<std::vector<Outcome>> run_plan(const HeldPlan& plan) {
    Origins memory = origins();
    return run(host(), plan, &memory, recorder_);
  }
  FakeLoader loader_;
  FakeLog log_;
};

TEST_F(ModuleLoads, ADriverThatIsNotThereIsLoadedFirst) {
  const auto before = all();
  const auto made = plan({kNicA, kDisk});
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_THAT(made->modules, ElementsAre(testing::Field(&ModuleLoad::module, "vfio_pci")));
  EXPECT_THAT(plain(made->notes), ElementsAre(HasSubstr("the module vfio_pci is loaded first")));
  EXPECT_EQ(all(), before) << "planning only reads";
  ASSERT_TRUE(run_plan(*made));
  EXPECT_THAT(loader_.loaded, ElementsAre("vfio_pci"));
  EXPECT_EQ(recorder_.lines.front(), "modprobe vfio_pci");
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
  EXPECT_EQ(state_of(kDisk), "vfio-pci vfio-pci");
}

TEST_F(ModuleLoads, WithoutALoaderNothingIsLoaded) {
  EXPECT_EQ(to_vfio({kNicA}).error().kind, ErrorKind::kNotFound);
}

TEST_F(ModuleLoads, ALoadThatFailsTouchesNoDevice) {
  const auto before = all();
  loader_.error = Error{.operation = "load", .object = "vfio_pci", .why = "Key was rejected"};
  log_.all = {{.text = "Loading of module vfio_pci is rejected"}, {.text = "about igc"}};
  const auto made = plan({kNicA});
  ASSERT_TRUE(made);
  const auto outcome = run_plan(*made);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, ErrorKind::kFailed);
  EXPECT_THAT(outcome.error().message(), HasSubstr("Key was rejected"));
  EXPECT_THAT(outcome.error().details,
              ElementsAre("kernel: Loading of module vfio_pci is rejected"));
  EXPECT_EQ(all(), before);
  EXPECT_EQ(origins().find(kNicA, made->devices[0].instance), std::nullopt);
}

TEST_F(ModuleLoads, AModuleThatBringsAnotherDriverIsNotFound) {
  const auto before = all();
  loader_.facts = ModuleFacts{.name = "pci_stub"};
  const auto made = plan({kNicA}, "pci_stub");
  ASSERT_TRUE(made);
  const auto outcome = run_plan(*made);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, ErrorKind::kNotFound);
  EXPECT_THAT(outcome.error().why, HasSubstr("it has pci:pci-stub"));
  EXPECT_EQ(outcome.error().advice, "did you mean pci-stub?");
  EXPECT_THAT(outcome.error().details, ElementsAre("the module pci_stub was loaded, and stays"));
  EXPECT_EQ(all(), before);
  EXPECT_EQ(plan({kNicA}, "pci_stub").error().kind, ErrorKind::kNotFound) << "it is loaded by now";
}

TEST_F(ModuleLoads, OneThatSomebodyElseLoadedMeanwhileIsNotLoadedAgain) {
  const auto made = plan({kNicA});
  ASSERT_TRUE(made);
  ASSERT_TRUE(core_.load_module("vfio_pci"));
  ASSERT_TRUE(run_plan(*made));
  EXPECT_THAT(loader_.loaded, IsEmpty());
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
}

TEST_F(ModuleLoads, AFailureAfterTheLoadPutsDevicesBackAndSaysThatTheModuleStays) {
  const auto before = all();
  core_.set_probe("vfio-pci", -EIO, "0000:06:00.0");
  const auto made = plan({kNicA, kDisk});
  ASSERT_TRUE(made);
  const auto outcome = run_plan(*made);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().err.value, EIO);
  EXPECT_THAT(outcome.error().details, Contains("the module vfio_pci was loaded, and stays"));
  EXPECT_EQ(all(), before);
}

TEST_F(ModuleLoads, ADeviceThatTheLoadItselfBoundIsWhereItShouldBe) {
  ASSERT_EQ(write("bus/pci/devices/0000:04:00.0/driver_override", "vfio-pci"), 0);
  ASSERT_EQ(write("bus/pci/drivers/igc/unbind", "0000:04:00.0"), 0);
  const auto made = plan({kNicA});
  ASSERT_TRUE(made);
  ASSERT_TRUE(run_plan(*made));
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
}

TEST_F(ModuleLoads, OthersThatTheLoadWouldBindAreNamed) {
  ASSERT_EQ(write("bus/pci/devices/0000:05:00.0/driver_override", "vfio-pci"), 0);
  ASSERT_EQ(write("bus/pci/drivers/igc/unbind", "0000:05:00.0"), 0);
  EXPECT_THAT(plain(plan({kNicA})->notes), Contains(HasSubstr("0000:05:00.0")));
  // By its id; and one that an override keeps away is not named.
  ASSERT_TRUE(core_.unload_module("igc"));
  ASSERT_EQ(write("bus/pci/devices/0000:05:00.0/driver_override", "\n"), 0);
  EXPECT_THAT(plain(plan({kDisk}, "igc")->notes),
              Contains(HasSubstr("0000:04:00.0 and 0000:05:00.0; that is not taken back")));
  ASSERT_EQ(write("bus/pci/devices/0000:05:00.0/driver_override", "none"), 0);
  EXPECT_THAT(plain(plan({kDisk}, "igc")->notes), Not(Contains(HasSubstr("0000:05:00.0"))));
}

TEST_F(ModuleLoads, OneThatIsForbiddenIsRefusedAndABlacklistedOneIsNoted) {
  loader_.facts =
      ModuleFacts{.name = "vfio-pci", .forbidden = "/x.conf says: install vfio-pci false"};
  const auto refused = plan({kNicA});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kRefused);
  EXPECT_THAT(refused.error().advice.plain(), HasSubstr("--ignore-install"));
  loader_.facts = ModuleFacts{.name = "vfio-pci", .blacklisted = "/x.conf"};
  EXPECT_THAT(plain(plan({kNicA})->notes), Contains(HasSubstr("blacklist of /x.conf")));
  loader_.facts = ModuleFacts{.name = "vfio-pci", .built_in = true};
  EXPECT_THAT(plan({kNicA}).error().why, HasSubstr("built into this kernel"));
}

TEST_F(ModuleLoads, ANameThatIsNoModuleGivesTheNearest) {
  const auto missing = plan({kNicA}, "vfio_pcii");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::kNotFound);
  EXPECT_THAT(missing.error().why, HasSubstr("no module of that name"));
  EXPECT_THAT(missing.error().advice.plain(), HasSubstr("vfio_pci"));
}

TEST_F(ModuleLoads, AnInterruptionBeforeTheLoadLeavesEverything) {
  const auto made = plan({kNicA});
  ASSERT_TRUE(made);
  recorder_.stop_after = 0;
  ASSERT_FALSE(run_plan(*made));
  EXPECT_THAT(loader_.loaded, IsEmpty());
}

TEST_F(ModuleLoads, ADriverThatWasUnloadedIsLoadedToRestoreItsDevice) {
  ASSERT_TRUE(core_.load_module("vfio_pci"));
  ASSERT_TRUE(run_plan(*plan({kNicA})));
  ASSERT_TRUE(core_.unload_module("igc"));
  const auto back = plan_restore(host(), {kNicA}, origins().table());
  ASSERT_TRUE(back) << back.error().message();
  ASSERT_TRUE(run_plan(*back));
  EXPECT_EQ(state_of(kNicA), "igc (unset)");
}

TEST_F(ModuleLoads, AVariantOfVfioPciThatIsMadeForTheDeviceIsProposed) {
  ASSERT_TRUE(core_.load_module("vfio_pci"));
  loader_.text =
      "alias vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci\n"
      "alias vfio_pci:v00008086d000015F3sv*sd*bc*sc*i* igc_vfio_pci\n"
      "alias vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5_vfio_pci\n"
      "alias pci:v00008086d000015F3sv*sd*bc*sc*i* igc\n";
  EXPECT_THAT(plan({kNicA, kDisk})->notes,
              ElementsAre("a variant driver for 0000:04:00.0 exists: igc_vfio_pci (module "
                          "igc_vfio_pci); " +
                          Remark(Action::kBind, {"0000:04:00.0", "igc_vfio_pci"})));
  EXPECT_THAT(plan({kDisk})->notes, IsEmpty());
  loader_.text = "alias vfio_pci:\nalias vfio_pci:v* \nvfio_pci:";
  EXPECT_THAT(plan({kNicA})->notes, IsEmpty());
}

}  // namespace
}  // namespace anybind
