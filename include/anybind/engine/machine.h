#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "anybind/base/error.h"
#include "anybind/base/ids.h"
#include "anybind/change/listener.h"
#include "anybind/change/outcome.h"
#include "anybind/host/sysfs.h"
#include "anybind/inventory/device.h"
#include "anybind/plan/plan.h"
#include "anybind/plan/request.h"

namespace anybind {

/// The door of the library: a machine whose devices are looked at and given to drivers, with every
/// promise of the command `anybind`. Changes are all or nothing, survive a kill, are refused while
/// a device is in use, and are remembered where the command remembers them, so that its `restore`,
/// `undo` and `recover` know them, and this machine's know those of the command.
///
/// Not thread-safe; several processes may have one each, and their changes wait for each other.
/// Errors are values (base/error.h); no call prints.
class Machine {
 public:
  /// The one that this program runs on. `command` says what is being done, in the journal and to
  /// who waits: "give 03:00.0 vfio-pci". kNotFound: it has no sysfs at /sys.
  [[nodiscard]] static Result<Machine> this_one(const std::string& command);
  /// Another tree like /sys, which remembers what it does in the directory `state`; empty: nowhere.
  /// Another path to this machine's sysfs is this machine.
  [[nodiscard]] static Result<Machine> at(const std::string& sysfs, const std::string& state,
                                          const std::string& command);
  Machine(Machine&& other) noexcept;
  Machine& operator=(Machine&& other) noexcept;
  ~Machine();

  /// The tree itself. Lives as long as this object.
  [[nodiscard]] Sysfs& sysfs();

  /// The devices that words mean, each once: whatever `anybind` takes for a device. kUsage: not
  /// understood. kNotFound: no such device.
  [[nodiscard]] Result<std::vector<DeviceId>> select(const std::vector<std::string>& words);
  /// A device as it is now. kNotFound: it is not there.
  [[nodiscard]] Result<Device> look(const DeviceId& device);

  /// What change() would do, as far as can be known before. Reads only.
  [[nodiscard]] Result<Plan> plan(const Request& request);

  /// Does it. Blocks while another process changes bindings and while the kernel does what it is
  /// asked to. Each outcome is what was read back. Errors: kUsage, kNotFound, kRefused (a guard or
  /// an IOMMU group forbids it; the details say who) and kNotPermitted before anything was changed;
  /// kFailed when all is as it was again; kIncomplete when it is not: recover() goes on from there.
  [[nodiscard]] Result<std::vector<Outcome>> change(const Request& request);
  [[nodiscard]] Result<std::vector<Outcome>> change(const Request& request, Listener& listener);

  // change() with a request that says only this.
  [[nodiscard]] Result<std::vector<Outcome>> bind(const std::vector<DeviceId>& devices,
                                                  const DriverName& driver);
  [[nodiscard]] Result<std::vector<Outcome>> unbind(const std::vector<DeviceId>& devices);
  [[nodiscard]] Result<std::vector<Outcome>> restore(const std::vector<DeviceId>& devices);

  /// Ends every change that was cut off, by a crash or a kill. The first error of one that is still
  /// open: a device that somebody uses is left as it is.
  [[nodiscard]] Result<> recover();

 private:
  class Inside;
  explicit Machine(std::unique_ptr<Inside> inside);
  std::unique_ptr<Inside> inside_;
};

}  // namespace anybind
