// One device on its way: a few writes, and a look after each.
//
// What can go wrong, and the rule that follows:
// - The kernel says "done" and did nothing. drivers_probe succeeds when nothing was bound
//   (kernel-facts: finding 4), and serio's drvctl when the driver does not match. So each write is
//   followed by a look, and what was read counts.
// - The `driver` link is there and means nothing: it comes before probe() and goes when that fails
//   (finding 6; linux drivers/base/dd.c:really_probe). So before a link is believed that no write
//   of ours has made, settle() waits for the device's lock.
// - The write does not return. An unbind waits for the user of a VFIO device, and the first signal
//   makes that wait one that nothing ends (finding 7). So a child makes the write
//   (host/waiting_process.h), and after a time it is left there: named, recorded, never repeated.
// - The card is pulled, and another one has its address. Files of the device itself are reached
//   through the held directory, which dies with the card. `bind`, `unbind` and `drivers_probe` take
//   a name, so a write to them may hit the newcomer: still_there() looks at the end, takes it back
//   from the driver that our bind gave it to, and lets the bus offer it.
// - Somebody else does the same, or something else, at the same time. An answer that says so (EBUSY
//   of a bind, ENODEV of an unbind) is no failure when the state is the wanted one; a third driver
//   on the way back is left where somebody has put it.
//
// The way back is not interrupted, and asks first who uses the device by now. A driver that does
// not take its device back is an error; the override is put right all the same, or it would bind
// the device elsewhere at the next plug.
#include "change/device_run.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <ranges>

#include <fmt/format.h>

#include "base/check.h"
#include "base/kernel_version.h"
#include "base/text.h"
#include "base/try.h"
#include "change/diagnosis.h"
#include "inventory/vfio_driver.h"

namespace anybind {
namespace {

constexpr int kMostTries = 5;  // of a bind while the device may be in a reset
constexpr auto kResetTime = std::chrono::milliseconds(100);
constexpr auto kLongestReset = std::chrono::seconds(2);
constexpr std::string_view kReplaced = "another card has taken its place; nothing was done to it";

std::string describe(const std::optional<DriverName>& driver) {
  return driver ? driver->str() : "no driver";
}

/// The operation as a person would name it.
std::string operation_of(const Step& step) {
  switch (step.kind) {
    case Step::Kind::kSetOverride:
      return "set driver_override";
    case Step::Kind::kSetPreferred:
      return "set preferred_driver";
    case Step::Kind::kUnbind:
      return "unbind";
    case Step::Kind::kDrvctl:
      return step.value == "none" ? "unbind" : "bind";
    case Step::Kind::kBind:
    case Step::Kind::kVfioBind:
      return "bind";
    case Step::Kind::kWake:
      return "wake";
    case Step::Kind::kProbe:
      break;
  }
  return "probe";
}

bool is_bind(const Step& step) {
  return step.kind == Step::Kind::kBind || step.kind == Step::Kind::kVfioBind;
}

/// The driver that shall have the device after the step; nullopt: none.
std::optional<std::string> driver_after(const Step& step) {
  const bool none = step.kind == Step::Kind::kUnbind || step.value == "none";
  return none ? std::nullopt : std::optional(step.value);
}

Error step_error(const DeviceId& device, const Step& step, Errno err) {
  return from_errno(err, operation_of(step), device.str());
}

Error state_error(const DeviceId& device, const Step& step, std::string why) {
  return {.kind = ErrorKind::kFailed,
          .operation = operation_of(step),
          .object = device.str(),
          .why = std::move(why),
          .advice = Remark(Action::kShow, {device.str()}) + ": someone else may be changing it"};
}

Error gone_error(const DeviceId& device, std::string why) {
  return {.kind = ErrorKind::kNotFound,
          .operation = "bind",
          .object = device.str(),
          .why = std::move(why),
          .advice = Action::kList};
}

/// Whoever has the device by its driver loses it.
bool takes_driver(const Step& step) {
  return step.kind == Step::Kind::kUnbind || step.kind == Step::Kind::kDrvctl;
}

/// What was found by check_users(), on the way back.
Error left_in_use(const DeviceId& device, Error found) {
  found.kind = ErrorKind::kIncomplete;
  found.operation = "put back";
  found.object = device.str();
  found.why = "it is in use, and was left as it is";
  found.advice = Remark("free it, then: ") + Action::kRecover;
  return found;
}

Error interrupted(const DeviceId& device) {
  return {
      .kind = ErrorKind::kFailed, .object = device.str(), .why = "interrupted before it was done"};
}

}  // namespace

Result<> DeviceRun::open(std::shared_ptr<Sysfs> held) {
  CHECK(dir_ == nullptr, "a device is opened once for a run");
  dir_ = std::move(held);
  if (dir_ != nullptr) return {};
  auto dir = TRY(open_device(root_, device_));
  if (dir == nullptr) return fail(gone_error(device_, "it is gone"));
  if (TRY(instance_of(*dir)) != instance_) {
    return fail(gone_error(device_, std::string(kReplaced)));
  }
  dir_ = std::move(dir);
  return {};
}

Result<Instance> DeviceRun::instance_of(Sysfs& dir) {
  const auto now = dir.instance();
  if (!now) return fail(from_errno(now.error(), "look at", device_.str()));
  return *now;
}

Result<> DeviceRun::check_users() {
  if (options_.users == nullptr) return {};
  auto free = options_.users->refuse({{device_, dir_}});
  if (free) return {};
  in_use_ = true;
  return fail(left_in_use(device_, std::move(free).error()));
}

Result<> DeviceRun::run(const std::vector<Step>& steps) {
  CHECK(dir_ != nullptr, "a device is opened before anything is done to it");
  CHECK(abandoned_.pid == 0, "nothing is written to a device whose last write has not returned");
  if (rolling_back_ && std::ranges::any_of(steps, takes_driver)) TRY(check_users());
  for (const Step& step : steps) {
    if (!rolling_back_ && listener_.stop_requested()) return fail(interrupted(device_));
    listener_.on_step(device_, step);
    auto written = write(step);
    if (written) continue;
    if (options_.find_causes) add_reasons(written.error(), {host_, *dir_, device_, step});
    return written;
  }
  return {};
}

/// Through power/control, whose write takes device_lock (linux drivers/base/power/sysfs.c:
/// control_store) and changes nothing when it writes what stands there. A kernel without power
/// management, or no right to write, leaves the link as all there is to go by.
Result<> DeviceRun::settle() {
  const auto control = dir_->read("power/control");
  if (!control) return {};
  Abandoned abandoned;
  (void)dir_->write_patiently("power/control", trim_newline(*control), patience(options_.patience),
                              abandoned);
  if (abandoned.pid == 0) return {};
  return fail(
      {.kind = ErrorKind::kFailed,
       .err = {ETIMEDOUT},
       .operation = "bind",
       .object = device_.str(),
       .why = fmt::format("a bind or unbind of it by somebody else has been under way for "
                          "{:.3g} s",
                          std::chrono::duration<double>(options_.patience).count()),
       .advice = Remark(Action::kShow, {device_.str()}) + ", and try again when that has ended"});
}

Result<> DeviceRun::prove(const std::optional<DriverName>& driver) {
  CHECK(dir_ != nullptr, "a device is opened before anything is done to it");
  TRY(settle());
  const auto now = read_driver(*dir_);
  if (!now) return fail(from_errno(now.error(), "read the driver of", device_.str()));
  answered_ = now->has_value();
  if (*now == driver) return {};
  return fail({.kind = ErrorKind::kFailed,
               .operation = "bind",
               .object = device_.str(),
               .why = fmt::format("{} was about to take it and did not: {} has it now",
                                  describe(driver), describe(*now)),
               .advice = Remark(Action::kShow, {device_.str()}) + ", then try again"});
}

bool DeviceRun::answers() {
  CHECK(dir_ != nullptr, "a device is opened before anything is done to it");
  return answered_ || dir_->read_link("subsystem").has_value();
}

Result<> DeviceRun::still_there() {
  const auto dir = TRY(open_device(root_, device_));
  if (dir == nullptr) return fail(gone_error(device_, "it was unplugged meanwhile"));
  if (TRY(instance_of(*dir)) == instance_) return {};
  if (!named_) return fail(gone_error(device_, std::string(kReplaced)));
  take_from_newcomer(*dir);
  return fail(gone_error(device_,
                         "it was replaced by another card meanwhile, which was left to the "
                         "driver that the bus chooses"));
}

/// Our bind has hit it. That no driver is bound to it now is put right when everything is put back.
void DeviceRun::take_from_newcomer(Sysfs& dir) {
  CHECK(named_, "only a write by name can have hit another card");
  if (given_to_.empty()) return;
  const auto now = read_binding(dir);
  if (!now || !now->driver || now->driver->str() != given_to_ || now->driver_override) return;
  if (options_.users != nullptr && !options_.users->refuse({{device_, nullptr}})) return;
  const Step unbind{.kind = Step::Kind::kUnbind, .value = given_to_, .reason = "it was not meant"};
  listener_.on_step(device_, unbind);
  (void)write_to_bus(write_of(device_, unbind), patience_for(unbind));
}

Result<Binding> DeviceRun::observe() {
  CHECK(dir_ != nullptr, "a device is opened before anything is done to it");
  auto binding = read_binding(*dir_);
  if (!binding && binding.error().value == ETIMEDOUT) {
    TRY(settle());  // which has more patience
    binding = read_binding(*dir_);
  }
  if (!binding) return fail(read_error(binding.error(), "read the state of", device_));
  return *std::move(binding);
}

/// A driver that is seen before and after a wait has it. Should it change each time, the last look
/// counts.
Result<Binding> DeviceRun::observe_at_rest() {
  constexpr int kLooks = 4;
  Binding seen = TRY(observe());
  for (int look = 1; look < kLooks && seen.driver; ++look) {
    TRY(settle());
    Binding again = TRY(observe());
    const bool same = again.driver == seen.driver;
    seen = std::move(again);
    if (same) break;
  }
  return seen;
}

/// Through the device's own handle: reaches that card or nothing.
Result<> DeviceRun::set_override(const Step& step, const StepWrite& write) {
  const auto file = link_name(write.path);
  auto text = dir_->write_and_read_back(file, write.bytes, patience_for(step), abandoned_);
  if (abandoned_.pid != 0) return fail(stuck_error(step));
  if (!text && text.error().value == EOWNERDEAD) text = dir_->read(file);
  if (!text) return fail(step_error(device_, step, text.error()));
  answered_ = true;
  const std::string now = parse_override(*text).value_or("");
  if (now == step.value) return {};
  return fail(state_error(device_, step,
                          fmt::format("it reads \"{}\" after \"{}\" was written", printable(now),
                                      printable(step.value))));
}

Result<> DeviceRun::write(const Step& step) {
  const StepWrite write = write_of(device_, step);
  answered_ = false;
  if (step.kind == Step::Kind::kSetOverride || step.kind == Step::Kind::kSetPreferred)
    return set_override(step, write);
  if (step.kind == Step::Kind::kDrvctl) return write_to_device(step, write);
  if (step.kind != Step::Kind::kWake) return write_to_name(step, write);
  // Without it the unbind only takes longer.
  (void)dir_->write_patiently("power/control", write.bytes, patience_for(step), abandoned_);
  if (abandoned_.pid != 0) return fail(stuck_error(step));
  return {};
}

Result<> DeviceRun::write_to_name(const Step& step, const StepWrite& write) {
  named_ = true;
  if (is_bind(step)) given_to_ = step.value;
  const auto begun = host_.clock->now();
  auto reply = write_to_bus(write, patience_for(step));
  for (int tries = 0; tries < kMostTries && may_be_in_reset(step, reply); ++tries) {
    if (host_.clock->now() - begun > kLongestReset)
      break;  // a probe that takes long and says EBUSY
    host_.clock->sleep(kResetTime);
    if (!dir_->read_link("subsystem")) break;  // gone: the name may be another card's by now
    reply = write_to_bus(write, patience_for(step));
  }
  if (abandoned_.pid != 0) return fail(stuck_error(step));
  if (reply) return verify(step);
  if (reply.error().value == EOWNERDEAD) return look_after_death(step);
  // The bind of somebody else came first: verify() finds out whether it is what we want.
  if (is_bind(step) && reply.error().value == EBUSY) {
    const auto driver = read_driver(*dir_);
    if (driver && *driver && (*driver)->str() == step.value) return verify(step);
  }
  // Unbound meanwhile by somebody else, as was wanted; or its driver was unloaded.
  const int err = reply.error().value;
  if (step.kind == Step::Kind::kUnbind && (err == ENODEV || err == ENOENT)) {
    const auto driver = read_driver(*dir_);
    if (driver && !*driver) return {};
  }
  return fail(step_error(device_, step, reply.error()));
}

/// While a device with ATS is being reset its IOMMU group cannot be claimed (Linux 7.0 and later,
/// drivers/iommu/iommu.c). Who holds a group for good is told after the last try.
bool DeviceRun::may_be_in_reset(const Step& step, const Reply<std::size_t>& reply) const {
  if (abandoned_.pid != 0 || reply || reply.error().value != EBUSY || !is_bind(step)) return false;
  const auto kernel = KernelVersion::parse(host_.release);
  if (!kernel || *kernel < KernelVersion{7, 0}) return false;
  if (device_.bus.str() != "pci" || !dir_->read_link("iommu_group")) return false;
  const auto driver = read_driver(*dir_);
  return driver && !*driver && (rolling_back_ || !listener_.stop_requested());
}

/// The process that wrote for us was killed, so the write is over: was it made?
Result<> DeviceRun::look_after_death(const Step& step) {
  if (step.kind != Step::Kind::kProbe && verify(step)) return {};
  return fail(state_error(device_, step,
                          "the process that wrote for anybind was killed before it had done so"));
}

/// A success that did nothing is the answer to a driver that does not match (linux
/// drivers/input/serio/serio.c:serio_bind_driver).
Result<> DeviceRun::write_to_device(const Step& step, const StepWrite& write) {
  const auto file = link_name(write.path);
  const auto reply = dir_->write_patiently(file, write.bytes, patience_for(step), abandoned_);
  if (abandoned_.pid != 0) return fail(stuck_error(step));
  if (!reply && reply.error().value == EOWNERDEAD) return look_after_death(step);
  if (!reply) return fail(step_error(device_, step, reply.error()));
  return verify(step);
}

Patience DeviceRun::patience(std::chrono::milliseconds limit) {
  return {.limit = limit,
          .give_up = [this] { return !rolling_back_ && listener_.stop_requested(); }};
}

Patience DeviceRun::patience_for(const Step& step) {
  const bool for_a_user = step.kind == Step::Kind::kUnbind && is_vfio_driver(step.value);
  return patience(for_a_user ? options_.patience : options_.long_patience);
}

/// Through the driver's directory if the planner holds it; a driver that was unloaded and loaded
/// again since has another one, which only the path finds.
Reply<std::size_t> DeviceRun::write_to_bus(const StepWrite& write, const Patience& patience) {
  const auto put = [&](Sysfs& dir, const std::string& path) {
    return dir.write_patiently(path, write.bytes, patience, abandoned_);
  };
  const auto slash = write.path.rfind('/');
  CHECK(slash != std::string::npos, "a file of a bus or a driver is in a directory");
  if (Sysfs* held = held_.driver(write.path.substr(0, slash)); held != nullptr) {
    const auto reply = put(*held, write.path.substr(slash + 1));
    if (reply || reply.error().value != ENOENT) return reply;
  }
  return put(root_, write.path);
}

/// The kernel's success proves nothing.
Result<> DeviceRun::verify(const Step& step) {
  if (step.kind == Step::Kind::kProbe) return offer_again();
  const auto driver = read_driver(*dir_);
  if (!driver) return fail(step_error(device_, step, driver.error()));
  answered_ = driver->has_value();  // no driver, or no device any more: the link does not tell
  const auto want = driver_after(step);
  const bool as_wanted = want ? *driver && (*driver)->str() == *want : !*driver;
  if (as_wanted) return {};
  if (step.kind == Step::Kind::kDrvctl && want && !*driver) {
    return fail(state_error(device_, step, *want + " does not accept this device"));
  }
  return fail(state_error(
      device_, step, fmt::format("the kernel reported success, but {} has it", describe(*driver))));
}

/// Any driver, or none, is an answer to a probe. But the kernel offers a device to nobody, and says
/// that it did, while a probe by somebody else is under way (linux drivers/base/bus.c:
/// bus_rescan_devices_helper); when that has failed, it has no driver, though one would take it.
Result<> DeviceRun::offer_again() {
  TRY(settle());
  const auto then = read_driver(*dir_);
  if (!then || *then) return {};
  const Step probe{.kind = Step::Kind::kProbe, .value = "", .reason = "nobody has taken it"};
  (void)write_to_bus(write_of(device_, probe), patience_for(probe));
  if (abandoned_.pid != 0) return fail(stuck_error(probe));
  return {};
}

Error DeviceRun::stuck_error(const Step& step) {
  CHECK(abandoned_.pid != 0, "a write is told as left behind when a process hangs in it");
  abandoned_.what = operation_of(step);
  const bool had_vfio = step.kind == Step::Kind::kUnbind && is_vfio_driver(step.value);
  const auto users = had_vfio ? vfio_users(host_, *dir_) : std::vector<std::string>{};
  return left_behind_error(abandoned_.what, device_.str(), abandoned_, patience_for(step), users,
                           host_);
}

Result<> offer_newcomer(Sysfs& root, const DevicePlan& of, Listener& listener,
                        const PatientWriter& writer) {
  const auto dir = TRY(open_device(root, of.device));
  if (dir == nullptr) return {};
  const auto instance = dir->instance();
  if (!instance) return fail(from_errno(instance.error(), "look at", of.device.str()));
  if (*instance == of.instance) return {};
  const auto binding = read_binding(*dir);
  if (!binding) return fail(read_error(binding.error(), "look at", of.device));
  if (binding->driver || binding->driver_override) return {};
  const Step probe{.kind = Step::Kind::kProbe, .value = "", .reason = "it was left unbound"};
  listener.on_step(of.device, probe);
  const StepWrite write = write_of(of.device, probe);
  const auto offered = writer.write_back(root, write.path, write.bytes, write.path);
  if (!offered && offered.error().kind == ErrorKind::kIncomplete) return offered;
  return {};  // that no driver takes it is an answer too
}

bool is_foreign(const DevicePlan& of, const Binding& now) {
  return now.driver && now.driver != of.before.driver && !of.goal.default_match &&
         now.driver != of.goal.driver;
}

void warn_of_foreign(const DevicePlan& of, const Binding& now, Listener& listener) {
  listener.on_warning(fmt::format("{}: somebody else has given it to {} meanwhile; it stays there",
                                  of.device.str(), describe(now.driver)));
}

namespace {

/// What it was; or, of what somebody else has done meanwhile, all but our own override.
Goal goal_of_way_back(const DevicePlan& of, const Binding& now) {
  if (!is_foreign(of, now)) return as_goal(of.before);
  const bool ours =
      now.driver_override && (now.driver_override == of.goal.driver_override ||
                              (of.goal.driver && *now.driver_override == of.goal.driver->str()));
  return {.driver = now.driver,
          .driver_override = ours ? of.before.driver_override : now.driver_override};
}

/// Its driver would not take it back. Then at least nothing is left behind that binds it elsewhere
/// later.
Result<> give_up(DeviceRun& device, const DevicePlan& of, Error why) {
  const Binding left = TRY(device.observe_at_rest());
  const Goal as_it_stands{.driver = left.driver, .driver_override = of.before.driver_override};
  TRY(device.run(device.steps_to(left, as_it_stands)));
  return fail(std::move(why));
}

Result<> go_back(DeviceRun& device, const DevicePlan& of, Listener& listener) {
  const Binding now = TRY(device.observe_at_rest());
  if (is_foreign(of, now)) warn_of_foreign(of, now, listener);
  auto steps = device.steps_to(now, goal_of_way_back(of, now));
  // When its driver is to be bound again, the probe does that.
  if (of.parked && now.driver == of.before.driver) steps.push_back(sleep_step());
  auto back = device.run(steps);
  if (back || device.abandoned().pid != 0 || device.in_use()) return back;
  return give_up(device, of, std::move(back).error());
}

}  // namespace

WayBack put_back(const Host& host, const Handles& held, const DevicePlan& of, Listener& listener,
                 const PatientWriter& writer) {
  DeviceRun device(host, held, of, listener, writer.options());
  device.rolling_back();
  auto opened = device.open(nullptr);
  if (!opened && opened.error().kind == ErrorKind::kNotFound) {
    auto offered = offer_newcomer(host.sysfs, of, listener, writer);
    return {.gone = offered.has_value(), .result = std::move(offered)};
  }
  if (!opened) return {.result = std::move(opened)};
  WayBack out{.result = go_back(device, of, listener)};
  out.in_use = device.in_use();
  out.abandoned = device.abandoned();
  return out;
}

namespace {

Error setting_error(const std::string& path, Error error) {
  const Errno err = error.err;
  if (error.kind == ErrorKind::kNotPermitted || !path.ends_with("/new_id")) return error;
  if (err.value == EEXIST) {
    error.why = "the driver knows that id already, from somebody else";
    error.advice = {Action::kMechanism, {"bind"}};
  } else if (err.value == EINVAL) {
    error.why = "the driver takes no id without the data of one of its own";
  }
  return error;
}

bool is_meant(const Setting& setting, Back which) {
  switch (which) {
    case Back::kAll:
      return true;
    case Back::kPassing:
      return !setting.lasting;
    case Back::kBrief:
      return setting.brief;
    case Back::kOthers:
      break;
  }
  return !setting.brief;
}

/// Writing the number of virtual functions removes those that are there.
Result<> check_functions(Sysfs& root, const Setting& setting, const RunOptions& options) {
  constexpr std::string_view kNumber = "/sriov_numvfs";
  if (options.users == nullptr || !setting.device || !setting.undo_path.ends_with(kNumber))
    return {};
  const auto dir = TRY(open_device(root, *setting.device));
  if (dir == nullptr || dir->instance() != setting.instance) return {};
  std::vector<Asked> functions;
  for (unsigned i = 0;; ++i) {
    const auto link = dir->read_link(fmt::format("virtfn{}", i));
    if (!link) break;
    const auto name = DeviceName::parse(std::string(link_name(*link)));
    if (name) functions.push_back({{.bus = setting.device->bus, .name = *name}, nullptr});
  }
  auto free = options.users->refuse(functions);
  if (free) return {};
  return fail(left_in_use(*setting.device, std::move(free).error()));
}

/// Writes `bytes` to `path`, which is one of the two files of `setting`.
template <class Write>
Result<> write_to_setting(Sysfs& root, const Setting& setting, const std::string& path,
                          const Write& write) {
  Result<> written;
  if (setting.device) {
    const auto dir = TRY(open_device(root, *setting.device));
    if (dir == nullptr) return fail(gone_error(*setting.device, "it is gone"));
    const auto now = dir->instance();
    if (!now) return fail(from_errno(now.error(), "look at", setting.device->str()));
    if (*now != setting.instance) return fail(gone_error(*setting.device, std::string(kReplaced)));
    written = write(*dir, path.substr(setting.device->path().size() + 1));
  } else {
    written = write(root, path);
  }
  if (!written) return fail(setting_error(path, std::move(written).error()));
  return {};
}

}  // namespace

Result<> write_setting(Sysfs& root, const Setting& setting, const PatientWriter& writer) {
  return write_to_setting(root, setting, setting.path, [&](Sysfs& dir, const std::string& path) {
    return writer.write(dir, path, setting.bytes, setting.path);
  });
}

bool is_written(Sysfs& root, const Setting& setting) {
  const auto now = root.read(setting.path);
  return now && trim_newline(*now) == setting.bytes;
}

Result<> undo_settings(Sysfs& root, const Plan& plan, std::size_t from, std::size_t to, Back which,
                       Listener& listener, const PatientWriter& writer) {
  CHECK(from <= to && to <= plan.settings.size(), "only settings of the plan are taken back");
  std::vector<std::string> left;
  Error error{.kind = ErrorKind::kIncomplete,
              .operation = "take back",
              .object = "settings",
              .advice = Action::kRecover};
  for (std::size_t i = to; i-- > from;) {
    const Setting& setting = plan.settings[i];
    if (!is_meant(setting, which)) continue;
    auto back = check_functions(root, setting, writer.options());
    if (back) {
      listener.on_setting({.path = setting.undo_path,
                           .bytes = setting.undo_bytes,
                           .undo_path = {},
                           .undo_bytes = {},
                           .reason = "as it was before"});
      back = write_to_setting(
          root, setting, setting.undo_path, [&](Sysfs& dir, const std::string& path) {
            return writer.write_back(dir, path, setting.undo_bytes, setting.undo_path);
          });
    }
    if (back || back.error().kind == ErrorKind::kNotFound) continue;
    // Of a driver: there is no such dynamic id any more (ENODEV), or the driver is gone (ENOENT).
    const int err = back.error().err.value;
    const bool gone = setting.undo_path.contains("/drivers/") && (err == ENODEV || err == ENOENT);
    if (gone) continue;
    left.push_back(back.error().message());
    std::ranges::move(back.error().details, std::back_inserter(error.details));
  }
  if (left.empty()) return {};
  error.why = join_words(left);
  return fail(std::move(error));
}

}  // namespace anybind
