#include "change/ending.h"

#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/try.h"
#include "change/attempt.h"
#include "inventory/device.h"

namespace anybind {

void say_still_open(Error& cause, const char* machine, const Error& why) {
  cause.kind = ErrorKind::kIncomplete;
  advise_recovery(cause);
  try_to([&] {
    std::string text = cause.why.empty() && cause.err.value != 0 ? cause.err.text() : cause.why;
    if (!text.empty()) text += "; ";
    text += fmt::format("{}, but the journal is still open: {}", machine, why.message());
    if (cause.operation.empty() && cause.object.empty()) cause.object = "the change";
    cause.why = std::move(text);
  });
}

Remark way_out_of_half(bool has_journal) {
  if (has_journal) return Action::kRecover + Remark(" tries again");
  return Action::kList + Remark(", then ") + Remark(Action::kRestore, {"DEVICE"}) +
         " for what is not as it should be";
}

Result<> look_at_end(Sysfs& root, const HeldPlan& plan, std::size_t at, Binding& should,
                     std::vector<std::size_t>& lost) {
  CHECK(at < plan.devices.size(), "only devices of the plan are looked at in the end");
  const DevicePlan& of = plan.devices[at];
  Error error{.operation = "bind", .object = of.device.str(), .advice = Action::kList};
  std::shared_ptr<Sysfs> dir = plan.held.device(of.device);
  const bool is_held = dir != nullptr;
  if (dir == nullptr) dir = TRY(open_device(root, of.device));
  const auto driver = dir ? read_driver(*dir) : Reply<std::optional<DriverName>>();
  if (!driver) return fail(from_errno(driver.error(), "read the driver of", of.device.str()));
  const bool same_card = is_held || (dir && dir->instance() == of.instance);
  if (*driver && *driver == should.driver && same_card) return {};
  if (!same_card || !dir->read_link("subsystem")) {
    // A late setting removes virtual functions that lose their drivers first.
    if (!of.goal.driver && plan.early_settings() != plan.settings.size()) return {};
    lost.push_back(at);
    error.why =
        "it went away while the others were bound: a device goes with the driver that has made it";
    return fail(std::move(error));
  }
  if (of.goal.default_match) should.driver = *driver;
  if (*driver == should.driver) return {};
  const auto words = [](const std::optional<DriverName>& of_one) {
    return of_one ? of_one->str() : "no driver";
  };
  error.why = fmt::format("in the end {} had it, and not {}", words(*driver), words(should.driver));
  return fail(std::move(error));
}

void mark_removed(Sysfs& root, const Plan& plan, std::vector<Outcome>& outcomes) {
  if (plan.early_settings() == plan.settings.size()) return;
  for (Outcome& outcome : outcomes) {
    const auto dir = root.open_dir(outcome.device.path());
    outcome.gone = !dir && dir.error().value == ENOENT;
  }
}

std::vector<std::string> lost_words(Sysfs& root, const Plan& plan,
                                    const std::vector<std::size_t>& lost) {
  std::vector<std::string> left;
  for (const std::size_t at : lost) {
    CHECK(at < plan.devices.size(), "only devices of the plan are lost");
    const DevicePlan& of = plan.devices[at];
    const auto dir = open_device(root, of.device);
    if (!dir) continue;
    const auto now = *dir ? read_binding(**dir) : Reply<Binding>(Binding());
    if (*dir && now && now->driver == of.before.driver &&
        now->driver_override == of.before.driver_override)
      continue;
    left.push_back(fmt::format(
        "{} went away with another's driver, and {}", of.device.str(),
        *dir ? "what has come in its place is not bound as it was" : "did not come again"));
  }
  return left;
}

}  // namespace anybind
