#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "binding/plan.h"
#include "binding/transaction.h"
#include "host/sysfs.h"

namespace anybind {

/// One device on its way to a goal; what transaction.cc and recover.cc share.
class DeviceRun {
 public:
  DeviceRun(Sysfs& root, const Plan& plan, const DevicePlan& device, Listener& listener,
            const RunOptions& options)
      : root_(root),
        plan_(plan),
        device_(device.device),
        instance_(device.instance),
        listener_(listener),
        options_(options) {}

  /// Holds the device by the planner's handle, or by its name when there is none; kNotFound when
  /// that is gone or another card has its address.
  Result<> open(std::shared_ptr<Sysfs> held);
  /// From now on nobody is asked whether to stop.
  void rolling_back() { rolling_back_ = true; }
  Result<> run(const std::vector<Step>& steps);
  /// After the last write: was it that card all the time? It was when the handle answers now.
  [[nodiscard]] bool answers();
  /// Is the name still that card? If not, what was written to the bus may have gone to the
  /// newcomer, and the bus is asked to choose a driver for it.
  Result<> still_there();
  Result<Binding> observe();
  /// The process that hangs in the last write, if that did not return.
  [[nodiscard]] const Abandoned& abandoned() const { return abandoned_; }

 private:
  Result<> set_override(const Step& step, const StepWrite& write);
  Result<> write(const Step& step);
  Reply<std::size_t> write_to_bus(const StepWrite& write, bool may_hang);
  Result<> verify(const Step& step);
  Error stuck_error();
  Result<Instance> instance_of(Sysfs& dir);

  Sysfs& root_;
  const Plan& plan_;
  const DeviceId& device_;
  const Instance& instance_;
  Listener& listener_;
  const RunOptions& options_;
  std::shared_ptr<Sysfs> dir_;
  Abandoned abandoned_;
  bool rolling_back_ = false;
  bool answered_ = false;  ///< the handle has answered since the last write
  bool named_ = false;     ///< the bus was told the device's name
};

/// Puts one device back to what it was; nothing to do for one that is gone. Sets `abandoned` when a
/// write did not return.
Result<> put_back(Sysfs& root, const Plan& plan, const DevicePlan& of, Listener& listener,
                  const RunOptions& options, Abandoned& abandoned);

/// Writes `bytes` to `path`, which is one of the two files of `setting`. kNotFound when the device
/// that it belongs to is gone, or another card has its address.
Result<> write_setting(Sysfs& root, const Setting& setting, const std::string& path,
                       const std::string& bytes);

/// Does its file read as `setting` writes it? False for what cannot be read.
bool is_written(Sysfs& root, const Setting& setting);

/// Takes the settings [from, to) back, last first: those that do not last, or `all`. What is gone
/// is no error.
Result<> undo_settings(Sysfs& root, const Plan& plan, std::size_t from, std::size_t to, bool all);

}  // namespace anybind
