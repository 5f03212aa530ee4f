// How a set of devices is changed: all or nothing.
//
// Each device goes through its steps in order, and after each write the state is read back: the
// kernel reports success for a drivers_probe that bound nothing, and another administrator may
// write between two of our steps. The files `bind`, `unbind` and `drivers_probe` take a name, and a
// name can come to mean another card; a held directory handle cannot. So each device is held from
// the look that planning took at it until its last write, and then the handle must still answer: a
// card keeps its name as long as its directory is there, so all writes went to it. If it does not
// answer, the name is resolved again: when it has become another card, our writes may have hit that
// one, and it is handed back to the bus.
//
// Rolling back is not a list of inverse writes: a write that failed may have had its effect, and
// one that succeeded may have been undone by others. Each touched device is looked at afresh, and
// steps_between() plans from what is found to what was there before.
#include "binding/transaction.h"

#include <algorithm>
#include <cerrno>
#include <memory>

#include <fmt/format.h>

#include "base/text.h"

namespace anybind {
namespace {

constexpr std::string_view kReplaced = "another card has taken its place; nothing was done to it";

std::string describe(const std::optional<DriverName>& driver) {
  return driver ? driver->str() : "no driver";
}

/// The operation as a person would name it.
std::string operation_of(const Step& step) {
  switch (step.kind) {
    case Step::Kind::kSetOverride:
      return "set driver_override";
    case Step::Kind::kUnbind:
      return "unbind";
    case Step::Kind::kBind:
      return "bind";
    case Step::Kind::kProbe:
      break;
  }
  return "probe";
}

/// What an errno of `bind` means, beyond its text (kernel-facts 2.2, 9).
std::string why_bind_failed(Errno err, const std::string& driver) {
  switch (err.value) {
    case ENODEV:
      return driver + " does not accept this device";
    case EBUSY:
      return "another driver took it meanwhile, or its IOMMU group is in use by user space";
    case EAGAIN:
      return driver + " deferred its probe: something that it needs is not there yet";
    case EINVAL:
      return driver + " refused it: is the IOMMU on, and the device in a group?";
    case ENOENT:
      return driver + " has gone, or cannot be bound by hand";
    default:
      return "the probe of " + driver + " failed: " + err.text();
  }
}

Error step_error(const DeviceId& device, const Step& step, Errno err) {
  Error error = from_errno(err, operation_of(step), device.str());
  if (error.code == Code::kNotPermitted) return error;
  if (step.kind == Step::Kind::kBind) {
    error.why = why_bind_failed(err, step.value);
    error.next = fmt::format("anybind explain {} {}", device.str(), step.value);
  }
  return error;
}

Error state_error(const DeviceId& device, const Step& step, std::string why) {
  return {.code = Code::kFailed,
          .operation = operation_of(step),
          .object = device.str(),
          .why = std::move(why),
          .next = fmt::format("anybind show {}: someone else may be changing it", device.str())};
}

Error gone_error(const DeviceId& device, std::string why) {
  return {.code = Code::kNotFound,
          .operation = "bind",
          .object = device.str(),
          .why = std::move(why),
          .next = "anybind list"};
}

Error interrupted(const DeviceId& device) {
  return {.code = Code::kFailed, .object = device.str(), .why = "interrupted before it was done"};
}

/// One device on its way to a goal.
class DeviceRun {
 public:
  DeviceRun(Sysfs& root, const Plan& plan, const DevicePlan& device, Listener& listener)
      : root_(root),
        plan_(plan),
        device_(device.device),
        instance_(device.instance),
        listener_(listener) {}

  /// Holds the device by the planner's handle, or by its name when there is none; kNotFound when
  /// that is gone or another card has its address.
  Result<> open(std::shared_ptr<Sysfs> held) {
    dir_ = std::move(held);
    if (dir_ != nullptr) return {};
    auto dir = root_.open_dir(device_.path());
    if (!dir) return fail(gone_error(device_, "it is gone"));
    const auto now = (*dir)->instance();
    if (!now || *now != instance_) return fail(gone_error(device_, std::string(kReplaced)));
    dir_ = std::move(*dir);
    return {};
  }

  void rolling_back() { rolling_back_ = true; }

  Result<> run(const std::vector<Step>& steps) {
    for (const Step& step : steps) {
      if (!rolling_back_ && listener_.stop_requested()) return fail(interrupted(device_));
      listener_.on_step(device_, step);
      TRY(write(step));
    }
    return {};
  }

  /// After the last write: was it that card all the time? It was when the handle answers now.
  [[nodiscard]] bool answers() { return answered_ || dir_->read_link("subsystem").has_value(); }

  /// Is the name still that card? If not, what was written to the bus may have gone to the
  /// newcomer, and the bus is asked to choose a driver for it.
  Result<> still_there() {
    const auto dir = root_.open_dir(device_.path());
    if (!dir) return fail(gone_error(device_, "it was unplugged meanwhile"));
    const auto now = (*dir)->instance();
    if (now && *now == instance_) return {};
    if (!named_) return fail(gone_error(device_, std::string(kReplaced)));
    (void)write({.kind = Step::Kind::kProbe, .value = "", .reason = ""});
    return fail(gone_error(device_,
                           "it was replaced by another card meanwhile, which was left to the "
                           "driver that the bus chooses"));
  }

  Result<Binding> observe() {
    auto binding = read_binding(*dir_);
    if (!binding) return fail(from_errno(binding.error(), "read the state of", device_.str()));
    return *std::move(binding);
  }

 private:
  /// Through the device's own handle: reaches that card or nothing.
  Result<> set_override(const Step& step, const StepWrite& write) {
    const auto text = dir_->write_and_read_back("driver_override", write.bytes);
    if (!text) return fail(step_error(device_, step, text.error()));
    answered_ = true;
    const std::string now = parse_override(*text).value_or("");
    if (now == step.value) return {};
    return fail(state_error(device_, step,
                            fmt::format("it reads \"{}\" after \"{}\" was written", printable(now),
                                        printable(step.value))));
  }

  Result<> write(const Step& step) {
    const StepWrite write = write_of(device_, step);
    answered_ = false;
    if (step.kind == Step::Kind::kSetOverride) return set_override(step, write);
    named_ = true;
    const auto reply = write_to_bus(write);
    if (reply) return verify(step);
    // The bind of somebody else came first: verify() finds out whether it is what we want.
    if (step.kind == Step::Kind::kBind && reply.error().value == EBUSY) {
      const auto driver = read_driver(*dir_);
      if (driver && *driver && (*driver)->str() == step.value) return verify(step);
    }
    // Unbound meanwhile by somebody else, as was wanted.
    if (step.kind == Step::Kind::kUnbind && reply.error().value == ENODEV) {
      const auto driver = read_driver(*dir_);
      if (driver && !*driver) return {};
    }
    return fail(step_error(device_, step, reply.error()));
  }

  /// Through the driver's directory if the planner holds it; a driver that was unloaded and loaded
  /// again since has another one, which only the path finds.
  Reply<std::size_t> write_to_bus(const StepWrite& write) {
    const auto slash = write.path.rfind('/');
    const auto held = plan_.driver_dirs.find(write.path.substr(0, slash));
    if (held != plan_.driver_dirs.end()) {
      const auto reply = held->second->write(write.path.substr(slash + 1), write.bytes);
      if (reply || reply.error().value != ENOENT) return reply;
    }
    return root_.write(write.path, write.bytes);
  }

  /// The kernel's success proves nothing.
  Result<> verify(const Step& step) {
    if (step.kind == Step::Kind::kProbe) return {};  // any driver, or none, is an answer
    const auto driver = read_driver(*dir_);
    if (!driver) return fail(step_error(device_, step, driver.error()));
    answered_ = driver->has_value();  // no driver, or no device any more: the link does not tell
    const bool want = step.kind == Step::Kind::kBind;
    const bool as_wanted = want ? *driver && (*driver)->str() == step.value : !*driver;
    if (as_wanted) return {};
    return fail(
        state_error(device_, step,
                    fmt::format("the kernel reported success, but {} has it", describe(*driver))));
  }

  Sysfs& root_;
  const Plan& plan_;
  const DeviceId& device_;
  const Instance& instance_;
  Listener& listener_;
  std::shared_ptr<Sysfs> dir_;
  bool rolling_back_ = false;
  bool answered_ = false;  ///< the handle has answered since the last write
  bool named_ = false;     ///< the bus was told the device's name
};

/// Puts one device back to what it was; nothing to do for one that is gone.
Result<> put_back(Sysfs& root, const Plan& plan, const DevicePlan& of, Listener& listener) {
  DeviceRun device(root, plan, of, listener);
  device.rolling_back();
  if (!device.open(nullptr)) return {};
  const Binding now = TRY(device.observe());
  Goal goal = as_goal(of.before);
  // It had no driver, and has one that we never bind it to: somebody else's doing, left alone.
  const bool foreign = !of.before.driver && now.driver && now.driver != of.goal.driver;
  if (foreign && !of.goal.default_match) goal.driver = now.driver;
  const auto back = device.run(steps_between(now, goal));
  if (back) return {};
  // Its driver would not take it back. Then at least nothing is left behind that binds it elsewhere
  // later.
  const Binding left = TRY(device.observe());
  const Goal as_it_stands{.driver = left.driver, .driver_override = of.before.driver_override};
  TRY(device.run(steps_between(left, as_it_stands)));
  return back;
}

/// Walks back over the first `touched` devices, last first, and turns `cause` into what is to be
/// reported.
Error roll_back(Sysfs& root, const Plan& plan, std::size_t touched, Error cause,
                Listener& listener) {
  listener.on_rollback(cause, touched);
  std::vector<std::string> left;
  for (std::size_t i = touched; i-- > 0;) {
    const auto back = put_back(root, plan, plan.devices[i], listener);
    if (!back) left.push_back(back.error().message());
  }
  if (left.empty()) return cause;
  cause.why = fmt::format("{}; and putting things back failed: {}",
                          cause.why.empty() ? cause.err.text() : cause.why, join_words(left));
  cause.code = Code::kIncomplete;
  cause.next = "anybind list, then anybind restore DEVICE for what is not as it should be";
  return cause;
}

Result<Outcome> run_device(Sysfs& root, const Plan& plan, const DevicePlan& of,
                           Listener& listener) {
  Outcome out{.device = of.device, .before = of.before, .after = of.before};
  if (of.steps.empty()) return out;
  DeviceRun device(root, plan, of, listener);
  TRY(device.open(of.held));
  const auto done = device.run(of.steps);
  // First: it explains the strangest failures of a step.
  if (!done || !device.answers()) TRY(device.still_there());
  if (!done) return fail(done.error());
  out.after.driver_override = of.goal.driver_override;
  out.after.driver = of.goal.driver;
  if (of.goal.default_match) out.after = TRY(device.observe());
  out.changed = true;
  return out;
}

/// Makes durable what the devices were, before they are touched. The value: those not known before.
Result<std::vector<DeviceId>> remember(const Plan& plan, Origins* origins) {
  std::vector<DeviceId> fresh;
  if (origins == nullptr || plan.restores) return fresh;
  for (const DevicePlan& device : plan.devices) {
    if (device.steps.empty() || origins->find(device.device, device.instance)) continue;
    origins->remember(device.device, {.instance = device.instance, .binding = device.before});
    fresh.push_back(device.device);
  }
  TRY(origins->save());
  return fresh;
}

Result<> forget(const std::vector<DeviceId>& devices, Origins* origins) {
  if (origins == nullptr) return {};
  for (const DeviceId& device : devices) origins->forget(device);
  return origins->save();
}

}  // namespace

Result<std::vector<Outcome>> run(Sysfs& root, const Plan& plan, Origins* origins,
                                 Listener& listener) {
  const std::vector<DeviceId> fresh = TRY(remember(plan, origins));
  std::vector<Outcome> outcomes;
  for (std::size_t i = 0; i < plan.devices.size(); ++i) {
    auto outcome = run_device(root, plan, plan.devices[i], listener);
    if (!outcome) {
      Error error = roll_back(root, plan, i + 1, std::move(outcome).error(), listener);
      if (error.code != Code::kIncomplete) TRY(forget(fresh, origins));
      return fail(std::move(error));
    }
    outcomes.push_back(*std::move(outcome));
  }
  if (plan.restores) {
    std::vector<DeviceId> restored;
    restored.reserve(plan.devices.size());
    for (const DevicePlan& device : plan.devices) restored.push_back(device.device);
    TRY(forget(restored, origins));
  }
  return outcomes;
}

}  // namespace anybind
