#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "change/listener.h"
#include "change/patient_writer.h"
#include "change/run_options.h"
#include "host/host.h"
#include "host/sysfs.h"
#include "plan/choose_mechanism.h"
#include "plan/held_plan.h"

namespace anybind {

/// One device on its way to a goal; what transaction.cc and recover.cc share.
class DeviceRun {
 public:
  DeviceRun(const Host& host, const Handles& held, const DevicePlan& device, Listener& listener,
            const RunOptions& options)
      : host_(host),
        root_(host.sysfs),
        held_(held),
        device_(device.device),
        instance_(device.instance),
        mechanism_(device.mechanism),
        listener_(listener),
        options_(options) {}

  /// Holds the device by the planner's handle, or by its name when there is none; kNotFound when
  /// that is gone or another card has its address.
  Result<> open(std::shared_ptr<Sysfs> held);
  /// From now on nobody is asked whether to stop, and run() asks who uses the device.
  void rolling_back() { rolling_back_ = true; }
  /// On the way back nothing is written when a step would take the device from somebody who uses it
  /// (kIncomplete, and in_use()). On the way forward that was asked of all devices at once.
  Result<> run(const std::vector<Step>& steps);
  [[nodiscard]] bool in_use() const { return in_use_; }
  /// The steps from what is found to `goal`: by the override where there is one, since only that
  /// needs no id, whichever mechanism was asked for; else by that of the plan.
  [[nodiscard]] std::vector<Step> steps_to(const Binding& now, const Goal& goal) const {
    return steps_between(now, goal, now.has_override ? plain_mechanism(now) : mechanism_);
  }
  /// For a device that is with `driver` already: is it really?
  Result<> prove(const std::optional<DriverName>& driver);
  /// After the last write: was it that card all the time? It was when the handle answers now.
  [[nodiscard]] bool answers();
  /// Is the name still that card? If not, what was written to the bus may have gone to the
  /// newcomer, which is taken from the driver that it was given to; put_back() has the bus choose.
  Result<> still_there();
  Result<Binding> observe();
  /// The same, when no probe is under way of which the driver seen is no more than a try.
  Result<Binding> observe_at_rest();
  /// The process that hangs in the last write, if that did not return.
  [[nodiscard]] const LeftWrite& abandoned() const { return abandoned_; }

 private:
  /// Waits for a probe or a remove of the device that somebody else has under way. Until a probe
  /// has ended, the `driver` link proves nothing: it is there before probe() runs, and goes again
  /// when that fails (linux drivers/base/dd.c:really_probe).
  Result<> settle();
  [[nodiscard]] Patience patience(std::chrono::milliseconds limit);
  [[nodiscard]] Patience patience_for(const Step& step);
  Result<> set_override(const Step& step, const StepWrite& write);
  Result<> write_to_device(const Step& step, const StepWrite& write);
  Result<> check_users();
  Result<> write(const Step& step);
  Result<> write_to_name(const Step& step, const StepWrite& write);
  Reply<std::size_t> write_to_bus(const StepWrite& write, const Patience& patience);
  [[nodiscard]] bool may_be_in_reset(const Step& step, const Reply<std::size_t>& reply) const;
  Result<> verify(const Step& step);
  Result<> look_after_death(const Step& step);
  Result<> offer_again();
  void take_from_newcomer(Sysfs& dir);
  Error stuck_error(const Step& step);
  Result<Instance> instance_of(Sysfs& dir);

  const Host& host_;
  Sysfs& root_;
  const Handles& held_;
  const DeviceId& device_;
  const Instance& instance_;
  Mechanism mechanism_;
  Listener& listener_;
  const RunOptions& options_;
  std::shared_ptr<Sysfs> dir_;
  LeftWrite abandoned_;
  bool rolling_back_ = false;
  bool in_use_ = false;
  bool answered_ = false;  ///< the handle has answered since the last write
  bool named_ = false;     ///< the bus was told the device's name
  std::string given_to_;   ///< and this driver, to bind it
};

/// Writes by name may have hit a card that came to the address meanwhile. One that is left without
/// a driver, and without an override that wants it so, is offered to its bus.
Result<> offer_newcomer(Sysfs& root, const DevicePlan& of, Listener& listener,
                        const PatientWriter& writer);

/// Has it a driver that is neither what it was nor what the plan gives it? Then somebody else has
/// given it away meanwhile: that is left alone, and is not owed any more.
[[nodiscard]] bool is_foreign(const DevicePlan& of, const Binding& now);
/// Says so.
void warn_of_foreign(const DevicePlan& of, const Binding& now, Listener& listener);

/// How one device was put back.
struct WayBack {
  bool gone = false;      ///< or another card has its address
  bool in_use = false;    ///< it was left as it is
  LeftWrite abandoned{};  ///< a write did not return
  Result<> result{};
};

/// Puts one device back to what it was; of one that is gone, the newcomer is offered to its bus.
WayBack put_back(const Host& host, const Handles& held, const DevicePlan& of, Listener& listener,
                 const PatientWriter& writer);

/// Makes the write of `setting`. kNotFound when the device
/// that it belongs to is gone, or another card has its address. kIncomplete: the write was left
/// behind.
Result<> write_setting(Sysfs& root, const Setting& setting, const PatientWriter& writer);

/// Does its file read as `setting` writes it? False for what cannot be read.
bool is_written(Sysfs& root, const Setting& setting);

enum class Back : std::uint8_t {
  kAll,
  kPassing,  ///< those that do not last
  kBrief,    ///< those that must be gone when a device is put back
  kOthers,   ///< all but these
};

/// Takes settings of [from, to) back, last first. What is gone is no error; that virtual functions
/// are in use, which would be removed, is one.
Result<> undo_settings(Sysfs& root, const Plan& plan, std::size_t from, std::size_t to, Back which,
                       Listener& listener, const PatientWriter& writer);

}  // namespace anybind
