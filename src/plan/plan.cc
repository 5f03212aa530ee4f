#include "plan/plan.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "inventory/vfio_driver.h"

namespace anybind {
namespace {

using Kind = Step::Kind;

/// Turns wishes into steps of one mechanism.
class Steps {
 public:
  Steps(const Binding& now, Mechanism mechanism) : now_(now), mechanism_(mechanism) {}

  void set_override(const std::optional<std::string>& value, std::string reason) {
    const bool preferred = mechanism_ == Mechanism::kPreferredDriver;
    add(preferred ? Kind::kSetPreferred : Kind::kSetOverride, value.value_or(""),
        std::move(reason));
  }
  void unbind() {
    if (!now_.driver) return;
    const std::string reason = "take it from " + now_.driver->str();
    const bool drvctl = mechanism_ == Mechanism::kDrvctl;
    add(drvctl ? Kind::kDrvctl : Kind::kUnbind, drvctl ? "none" : now_.driver->str(), reason);
  }
  void bind(const DriverName& driver) {
    const bool vfio = mechanism_ == Mechanism::kVfioBind && is_vfio_driver(driver.str());
    add(vfio ? Kind::kVfioBind : Kind::kBind, driver.str(), "give it to " + driver.str());
  }
  /// From whatever has it to `driver`.
  void move_to(const DriverName& driver) {
    if (mechanism_ == Mechanism::kDrvctl) {
      const std::string from = now_.driver ? "take it from " + now_.driver->str() + " and " : "";
      add(Kind::kDrvctl, driver.str(), from + "give it to " + driver.str());
      return;
    }
    unbind();
    bind(driver);
  }
  void probe() { add(Kind::kProbe, "", "let the bus choose a driver"); }
  std::vector<Step> take() { return std::move(steps_); }

 private:
  void add(Kind kind, std::string value, std::string reason) {
    steps_.push_back({.kind = kind, .value = std::move(value), .reason = std::move(reason)});
  }

  const Binding& now_;
  Mechanism mechanism_;
  std::vector<Step> steps_;
};

void to_default(Steps& steps, const Binding& now) {
  if (now.driver_override) steps.set_override(std::nullopt, "let every driver match it again");
  if (now.driver_override) steps.unbind();
  if (!now.driver || now.driver_override) steps.probe();
}

void to_no_driver(Steps& steps, const Binding& now, const Goal& goal) {
  if (now.driver_override != goal.driver_override) {
    steps.set_override(goal.driver_override, goal.driver_override ? "keep every driver away from it"
                                                                  : "clear the override");
  }
  steps.unbind();
}

void to_driver(Steps& steps, const Binding& now, const Goal& goal, Mechanism mechanism) {
  std::optional<std::string> override = now.driver_override;
  if (now.driver != goal.driver) {
    if (names_driver(mechanism) && override != goal.driver->str()) {
      override = goal.driver->str();
      steps.set_override(override, "let no other driver than " + *override + " match it");
    }
    steps.move_to(*goal.driver);
  }
  if (override != goal.driver_override) {
    steps.set_override(goal.driver_override,
                       goal.driver_override ? "keep it there" : "clear the override");
  }
}

}  // namespace

bool Plan::empty() const {
  return settings.empty() &&
         std::ranges::all_of(devices, [](const DevicePlan& d) { return d.steps.empty(); });
}

std::size_t Plan::early_settings() const {
  return static_cast<std::size_t>(std::ranges::find_if(settings, &Setting::late) -
                                  settings.begin());
}

Step wake_step() {
  return {.kind = Kind::kWake,
          .value = "on",
          .reason = "wake it, so that its unbind does not sleep for it"};
}

Step sleep_step() {
  return {.kind = Kind::kWake, .value = "auto", .reason = "let it sleep again"};
}

std::vector<Step> steps_between(const Binding& now, const Goal& goal, Mechanism mechanism) {
  Steps steps(now, mechanism);
  if (goal.default_match) {
    to_default(steps, now);
  } else if (goal.driver) {
    to_driver(steps, now, goal, mechanism);
  } else {
    to_no_driver(steps, now, goal);
  }
  return steps.take();
}

Goal as_goal(const Binding& now) {
  return {.driver = now.driver, .driver_override = now.driver_override};
}

StepWrite write_of(const DeviceId& device, const Step& step) {
  const std::string bus = "bus/" + device.bus.str();
  switch (step.kind) {
    case Kind::kSetOverride:
      return {.path = device.path() + "/driver_override", .bytes = step.value + "\n"};
    case Kind::kUnbind:
      return {.path = bus + "/drivers/" + step.value + "/unbind", .bytes = device.name.str()};
    case Kind::kBind:
      return {.path = bus + "/drivers/" + step.value + "/bind", .bytes = device.name.str()};
    case Kind::kWake:
      return {.path = device.path() + "/power/control", .bytes = step.value};
    case Kind::kVfioBind:
      return {.path = bus + "/drivers/" + step.value + "/vfio_bind", .bytes = device.name.str()};
    case Kind::kSetPreferred:
      return {.path = device.path() + "/preferred_driver", .bytes = step.value + "\n"};
    case Kind::kDrvctl:
      return {.path = device.path() + "/drvctl", .bytes = step.value};
    case Kind::kProbe:
      break;
  }
  return {.path = bus + "/drivers_probe", .bytes = device.name.str()};
}

namespace {
std::string echo_line(std::string_view bytes, const std::string& path) {
  const std::string_view text = trim_newline(bytes);
  const std::string echo = text.empty() ? "echo" : "echo " + shell_quote(text);
  return fmt::format("{} > {}", echo, shell_quote(path));
}
}  // namespace

std::string shell_line(const DeviceId& device, const Step& step, const std::string& sysfs_root) {
  const StepWrite write = write_of(device, step);
  const std::string path = sysfs_root + "/" + write.path;
  // serio compares with the newline, if there is one.
  if (step.kind == Kind::kDrvctl) {
    return fmt::format("printf %s {} > {}", shell_quote(write.bytes), shell_quote(path));
  }
  return echo_line(write.bytes, path);
}

std::string shell_line(const ModuleLoad& load) {
  return "modprobe " + shell_quote(load.module);
}

std::string shell_line(const Setting& setting, const std::string& sysfs_root) {
  return echo_line(setting.bytes, sysfs_root + "/" + setting.path);
}

}  // namespace anybind
