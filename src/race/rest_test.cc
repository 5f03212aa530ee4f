// The driver link stands while a probe runs, also one that then fails. Whoever believes it at that
// moment tells of a binding that never was. Here somebody else, whom no lock of ours keeps waiting,
// binds the same device in the middle of a change, and their probe fails.
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "change/transaction.h"
#include "drivercore/sysfs/model_sysfs.h"
#include "host/memory_storage.h"
#include "plan/planner.h"
#include "race/scenario.h"
#include "race/stage.h"
#include "record/origins.h"

namespace anybind::race {
namespace {

class Nobody final : public Stage::Watcher {
 public:
  void on_step(unsigned /*actor*/, const drivercore::KernelStep& /*step*/) override {}
  void on_call(unsigned /*actor*/, const Stage::Call& /*call*/) override {}
  void on_answer(unsigned /*actor*/, const std::string& /*answer*/) override {}
};

/// Of a change that made no error.
constexpr std::optional<ErrorKind> kDone;

/// `path` below the device or the bus, and what is written there.
struct Line {
  std::string path;
  std::string text;
};

const std::string kDevice = "bus/pci/devices/" + std::string(kChosen);
const std::string kName{kChosen};

drivercore::DriverCore machine() {
  Setting setting{.of = {.mechanism = find_mechanism("anybind")}};
  auto kernel = machine_of(setting);
  EXPECT_TRUE(kernel);
  return *std::move(kernel);
}

/// A change, and somebody else's lines: each stops before each step.
class Meeting {
 public:
  using Planner = std::function<Result<HeldPlan>(Sysfs&, const DeviceId&)>;

  Meeting(const drivercore::DriverCore& kernel, std::vector<Line> lines, const Planner& planner)
      : stage_(kernel, nobody_), sysfs_(stage_.sysfs()) {
    stage_.add("change", [this, planner] { said_ = change(planner); });
    stage_.add("somebody else", [this, lines = std::move(lines)] {
      for (const Line& line : lines) (void)sysfs_->write(line.path, line.text + "\n");
    });
  }
  Meeting(const Meeting&) = delete;
  Meeting& operator=(const Meeting&) = delete;
  ~Meeting() { stage_.end(); }

  /// True: it took that many steps.
  bool go(unsigned actor, std::size_t steps) {
    for (std::size_t i = 0; i < steps; ++i) {
      if (!can_go(actor)) return false;
      stage_.advance(actor);
    }
    return true;
  }
  /// Everybody to their ends, the change first as far as it gets.
  void finish() {
    while (can_go(kChange) || can_go(kOther)) stage_.advance(can_go(kChange) ? kChange : kOther);
  }
  /// The link stands, and somebody else's probe has still to end.
  [[nodiscard]] bool is_being_probed() { return stage_.actor(kOther).in_call && !link().empty(); }
  [[nodiscard]] std::string link() {
    const auto* device = stage_.kernel().find("pci", kName);
    return device->driver ? stage_.kernel().state().drivers.at(*device->driver).name : "";
  }
  [[nodiscard]] std::optional<std::string> override_of() {
    return stage_.kernel().find("pci", kName)->driver_override;
  }
  /// 0: done; else the code of the error.
  /// The kind of its error; kDone without one.
  [[nodiscard]] std::optional<ErrorKind> said() const { return *said_; }

  static constexpr unsigned kChange = 0;
  static constexpr unsigned kOther = 1;

 private:
  [[nodiscard]] bool can_go(unsigned actor) const {
    for (const unsigned one : stage_.enabled()) {
      if (one == actor) return true;
    }
    return false;
  }
  std::optional<ErrorKind> change(const Planner& planner) {
    const DeviceId device{.bus = BusName::literal("pci"), .name = DeviceName::literal(kName)};
    const auto plan = planner(*sysfs_, device);
    if (!plan) return plan.error().kind;
    Listener listener;
    const auto done = run(*sysfs_, *plan, nullptr, listener, {.find_causes = false});
    return done ? kDone : std::optional(done.error().kind);
  }

  Nobody nobody_;
  Stage stage_;
  std::unique_ptr<Sysfs> sysfs_;
  std::optional<std::optional<ErrorKind>> said_;
};

Result<HeldPlan> to_the_target(Sysfs& sysfs, const DeviceId& device) {
  return plan_bind(sysfs,
                   {.devices = {device}, .driver = DriverName::literal(std::string(kTarget))});
}

/// Nothing is remembered of it.
Result<HeldPlan> to_the_default_match(Sysfs& sysfs, const DeviceId& device) {
  MemoryStorage nothing;
  return plan_restore(sysfs, {device}, Origins::none(nothing, "boot").table());
}

/// So many steps of the change, then so many of somebody else, for all numbers of both; then the
/// change as far as it gets. How often it met a probe under way.
std::size_t meet(const drivercore::DriverCore& kernel, const std::vector<Line>& lines,
                 const std::function<void(Meeting&)>& check,
                 const Meeting::Planner& planner = to_the_target) {
  std::size_t met = 0;
  for (std::size_t first = 0;; ++first) {
    for (std::size_t then = 0;; ++then) {
      Meeting meeting(kernel, lines, planner);
      if (!meeting.go(Meeting::kChange, first)) return met;
      const bool goes_on = meeting.go(Meeting::kOther, then);
      if (meeting.is_being_probed()) ++met;
      meeting.finish();
      check(meeting);
      if (testing::Test::HasFailure()) {
        ADD_FAILURE() << first << " steps of the change, " << then << " of somebody else";
        return met;
      }
      if (!goes_on) break;
    }
  }
}

TEST(Rest, ADeviceThatSomebodyElseIsBindingIsNotTakenForBound) {
  auto kernel = machine();
  ASSERT_TRUE(kernel.set_probe(std::string(kTarget), -EIO));
  const std::vector<Line> lines = {{kDevice + "/driver_override", std::string(kTarget)},
                                   {kDevice + "/driver/unbind", kName},
                                   {"bus/pci/drivers_probe", kName}};
  const auto met = meet(kernel, lines, [](Meeting& meeting) {
    EXPECT_NE(meeting.link(), kTarget) << "no probe of it succeeds";
    EXPECT_NE(meeting.said(), kDone) << "it says that it is done";
  });
  EXPECT_GT(met, 0U);
}

TEST(Rest, ADeviceIsNotTakenForPutBackWhileItsFormerDriverProbesIt) {
  auto kernel = machine();
  ASSERT_TRUE(kernel.set_probe(std::string(kTarget), -EIO));
  ASSERT_TRUE(kernel.set_probe(std::string(kHost), -EIO));  // it is bound already
  const std::vector<Line> lines = {{kDevice + "/driver_override", ""},
                                   {"bus/pci/drivers/" + std::string(kHost) + "/bind", kName}};
  std::size_t failed = 0;
  const auto met = meet(kernel, lines, [&](Meeting& meeting) {
    if (meeting.said() != ErrorKind::kFailed) return;
    ++failed;
    EXPECT_EQ(meeting.link(), kHost) << "it says that all is as before";
    EXPECT_EQ(meeting.override_of(), std::nullopt) << "it says that all is as before";
  });
  EXPECT_GT(met, 0U);
  EXPECT_GT(failed, 0U);
}

/// The kernel offers a device to nobody while somebody else's probe of it is under way.
TEST(Rest, ADeviceIsOfferedOnceMoreWhenSomebodyElsesProbeWasInTheWay) {
  auto kernel = machine();
  ASSERT_TRUE(kernel.set_probe(std::string(kTarget), -EIO));
  const auto sysfs = drivercore::model_sysfs(kernel);
  ASSERT_TRUE(sysfs->write(kDevice + "/driver/unbind", kName));
  ASSERT_TRUE(sysfs->write(kDevice + "/driver_override", std::string(kTarget)));
  const std::vector<Line> lines = {{"bus/pci/drivers/" + std::string(kTarget) + "/bind", kName}};
  const auto met = meet(
      kernel, lines,
      [](Meeting& meeting) {
        EXPECT_EQ(meeting.said(), kDone);
        EXPECT_EQ(meeting.link(), kHost);
        EXPECT_EQ(meeting.override_of(), std::nullopt);
      },
      to_the_default_match);
  EXPECT_GT(met, 0U);
}

}  // namespace
}  // namespace anybind::race
