#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "anybind/base/error.h"
#include "anybind/binding/journal.h"
#include "anybind/binding/origins.h"
#include "anybind/binding/plan.h"
#include "anybind/host/kernel_log.h"
#include "anybind/host/modules.h"
#include "anybind/host/sysfs.h"

namespace anybind {

/// Is told what happens while a plan runs. Called from the thread that runs it, between two calls
/// to the kernel. This one hears nothing.
class Listener {
 public:
  Listener() = default;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  virtual ~Listener() = default;

  /// Just before the load of a module.
  virtual void on_module(const ModuleLoad& /*load*/) {}
  /// Just before the write of `step`.
  virtual void on_step(const DeviceId& /*device*/, const Step& /*step*/) {}
  /// Just before the write of `setting`.
  virtual void on_setting(const Setting& /*setting*/) {}
  /// Something that nobody asked for has happened, and was left as it is.
  virtual void on_warning(const std::string& /*text*/) {}
  /// The plan failed; what follows are the steps that put `devices` devices back.
  virtual void on_rollback(const Error& /*cause*/, std::size_t /*devices*/) {}
  /// Asked before each step of the way forward (not while rolling back): true makes the plan fail
  /// and be rolled back.
  [[nodiscard]] virtual bool stop_requested() const { return false; }
};

/// Where a device stands after the run, as read back.
struct Outcome {
  DeviceId device;
  Binding before;
  Binding after;
  bool changed = false;  ///< a write was made
};

/// Where a run writes down what it does; nullptr: nothing is kept.
struct Records {
  // NOLINTNEXTLINE(google-explicit-constructor,hicpp-explicit-conversions): most have only origins
  Records(Origins* o, Journal* j = nullptr) : origins(o), journal(j) {}
  Origins* origins;
  Journal* journal;
};

struct RunOptions {
  std::chrono::milliseconds patience{10'000};  ///< for a write that may never return
  std::string proc{};  ///< where procfs is; empty: who hangs, and where, is not told
  std::string
      vfio{};  ///< where the files of IOMMU groups are; empty: who has them open is not told
  bool concurrent = false;  ///< the tree may be used by several threads at once
  /// What the kernel says meanwhile, opened before the first write, goes into the details of an
  /// error; nullptr: nothing. Must outlive the run.
  KernelLog* log = nullptr;
  ModuleLoader* modules = nullptr;  ///< for a plan that loads some
  /// How long to wait for an interface that was up, and is to be set up again, to come.
  std::chrono::milliseconds interface_patience{0};
  bool find_causes = true;  ///< of a failure: reads more, before anything is put back
  /// Asked once the intention is durable, just before the first write; an error stops the run.
  std::function<Result<>()> last_look{};
  /// Called once every device is where it shall be, also when it was there already; an error is a
  /// failure like that of a device, and everything is put back.
  std::function<Result<>()> finish{};
};

/// Runs `plan`: all of it, or nothing of it.
///
/// Before the first write, the journal holds durably what there was and what is intended, and
/// `origins` what `restore` gives back; after a restore, and after a failure that left nothing
/// behind, that is forgotten again. Refused (kIncomplete) while a device is part of a transaction
/// that was cut off.
/// Before each device's first write its instance is compared with the plan's, and again after its
/// last; after each write the state is read back, because a success of the kernel proves nothing
/// (kernel-facts: finding 4). When a device fails, all devices touched so far are put back, driver
/// and override, last first.
///
/// With `concurrent`, devices that have neither a slot nor an IOMMU group in common go side by side
/// once it shows that the kernel lets us wait.
///
/// Errors: that of the first failure, with kFailed, kNotPermitted or kNotFound when everything is
/// as it was; kIncomplete when something could not be put back, or a
/// write has not returned (`why` then says what): the transaction stays open for recover().
[[nodiscard]] Result<std::vector<Outcome>> run(Sysfs& root, const Plan& plan, Records records,
                                               Listener& listener, const RunOptions& options = {});

}  // namespace anybind
