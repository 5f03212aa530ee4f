#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "binding/origins.h"
#include "binding/plan.h"
#include "host/sysfs.h"

namespace anybind {

/// Is told what happens while a plan runs. Called from the thread that runs it, between two calls
/// to the kernel.
class Listener {
 public:
  Listener() = default;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  virtual ~Listener() = default;

  /// Just before the write of `step`.
  virtual void on_step(const DeviceId& device, const Step& step) = 0;
  /// The plan failed; what follows are the steps that put `devices` devices back.
  virtual void on_rollback(const Error& cause, std::size_t devices) = 0;
  /// Asked before each step of the way forward (not while rolling back): true makes the plan fail
  /// and be rolled back.
  [[nodiscard]] virtual bool stop_requested() const = 0;
};

/// Where a device stands after the run, as read back.
struct Outcome {
  DeviceId device;
  Binding before;
  Binding after;
  bool changed = false;  ///< a write was made
};

/// Runs `plan`: all of it, or nothing of it.
///
/// Before the first write, what there was is remembered durably in `origins` (nullptr: nothing is
/// kept); after a restore, and after a failure that left nothing behind, it is forgotten again.
/// Before each device's first write its instance is compared with the plan's, and again after its
/// last; after each write the state is read back, because a success of the kernel proves nothing
/// (kernel-facts: finding 4). When a device fails, all devices touched so far are put back, driver
/// and override, last first.
///
/// Errors: that of the first failure, with kFailed, kNotPermitted or kNotFound when everything is
/// as it was; kIncomplete when something could not be put back (`why` then says what). May block
/// where the kernel does.
[[nodiscard]] Result<std::vector<Outcome>> run(Sysfs& root, const Plan& plan, Origins* origins,
                                               Listener& listener);

}  // namespace anybind
