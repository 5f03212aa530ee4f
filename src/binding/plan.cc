#include "binding/plan.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"

namespace anybind {
namespace {

using Kind = Step::Kind;

Step set_override(const std::optional<std::string>& value, std::string reason) {
  return {.kind = Kind::kSetOverride, .value = value.value_or(""), .reason = std::move(reason)};
}

Step unbind_from(const DriverName& driver) {
  return {.kind = Kind::kUnbind, .value = driver.str(), .reason = "take it from " + driver.str()};
}

Step bind_to(const DriverName& driver) {
  return {.kind = Kind::kBind, .value = driver.str(), .reason = "give it to " + driver.str()};
}

std::vector<Step> steps_to_default(const Binding& now) {
  std::vector<Step> steps;
  if (now.driver_override) {
    steps.push_back(set_override(std::nullopt, "let every driver match it again"));
  }
  if (now.driver_override && now.driver) steps.push_back(unbind_from(*now.driver));
  if (!now.driver || now.driver_override) {
    steps.push_back({.kind = Kind::kProbe, .value = "", .reason = "let the bus choose a driver"});
  }
  return steps;
}

std::vector<Step> steps_to_no_driver(const Binding& now, const Goal& goal) {
  std::vector<Step> steps;
  if (now.driver_override != goal.driver_override) {
    steps.push_back(set_override(goal.driver_override, goal.driver_override
                                                           ? "keep every driver away from it"
                                                           : "clear the override"));
  }
  if (now.driver) steps.push_back(unbind_from(*now.driver));
  return steps;
}

std::vector<Step> steps_to_driver(const Binding& now, const Goal& goal) {
  std::vector<Step> steps;
  std::optional<std::string> override = now.driver_override;
  if (now.driver != goal.driver) {
    if (override != goal.driver->str()) {
      override = goal.driver->str();
      steps.push_back(
          set_override(override, "let no other driver than " + *override + " match it"));
    }
    if (now.driver) steps.push_back(unbind_from(*now.driver));
    steps.push_back(bind_to(*goal.driver));
  }
  if (override != goal.driver_override) {
    steps.push_back(set_override(goal.driver_override,
                                 goal.driver_override ? "keep it there" : "clear the override"));
  }
  return steps;
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

bool is_vfio_driver(const std::string& driver) {
  return driver.contains("vfio");
}

Step wake_step() {
  return {.kind = Kind::kWake,
          .value = "on",
          .reason = "wake it, so that its unbind does not sleep for it"};
}

Step sleep_step() {
  return {.kind = Kind::kWake, .value = "auto", .reason = "let it sleep again"};
}

std::vector<Step> steps_between(const Binding& now, const Goal& goal) {
  if (goal.default_match) return steps_to_default(now);
  return goal.driver ? steps_to_driver(now, goal) : steps_to_no_driver(now, goal);
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
  return echo_line(write.bytes, sysfs_root + "/" + write.path);
}

std::string shell_line(const ModuleLoad& load) {
  return "modprobe " + shell_quote(load.module);
}

std::string shell_line(const Setting& setting, const std::string& sysfs_root) {
  return echo_line(setting.bytes, sysfs_root + "/" + setting.path);
}

}  // namespace anybind
