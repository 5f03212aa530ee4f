#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/errno.h"
#include "drivercore/state.h"

namespace anybind::drivercore {

/// A moment inside an operation of the modelled kernel at which something else can come between.
struct KernelStep {
  enum class Kind {
    kAddEvent,     ///< the device is in sysfs and its add event is out; nothing has been probed
    kMatched,      ///< a driver was found to match; the device is not locked yet
    kProbeBegins,  ///< the driver link is there, probe() runs
    kProbeEnds,    ///< probe() has answered
    kBound,        ///< the driver has the device, its bind event is out
    kLinkOff,      ///< unbind: the driver link is gone, remove() has not run
    kRemoveEnds,   ///< unbind: remove() is through, dev->driver still set
    kUnbound,      ///< the device is free, its unbind event is out
    kRetry,        ///< the worker takes a deferred device in hand
  };
  Kind kind;
  DeviceKey device;
  DriverKey driver = 0;
};

/// The modelled kernel: performs operations on a State as drivers/base does, each a sequence of
/// visible steps. Not thread-safe; several actors take turns through `on_step`.
class DriverCore {
 public:
  explicit DriverCore(State state) : state_(std::move(state)) {}

  [[nodiscard]] const State& state() const { return state_; }

  /// Called at each step, with no reference into the state held over the call: the callee may run
  /// other operations of this same DriverCore.
  void set_on_step(std::function<void(const KernelStep&)> on_step) {
    on_step_ = std::move(on_step);
  }

  /// Uevents sent since the last call.
  [[nodiscard]] std::vector<Uevent> take_uevents();

  // What user space does, through sysfs. All answer with the kernel's errno, or nothing on success.
  Reply<void> bind(const std::string& bus, const std::string& driver, std::string_view text);
  Reply<void> unbind(const std::string& bus, const std::string& driver, std::string_view text);
  Reply<void> drivers_probe(const std::string& bus, std::string_view text);
  Reply<void> drivers_autoprobe(const std::string& bus, std::string_view text);
  Reply<void> driver_override(DeviceKey device, std::string_view text);
  Reply<void> new_id(const std::string& driver, std::string_view text);
  Reply<void> remove_id(const std::string& driver, std::string_view text);
  Reply<void> remove(DeviceKey device, std::string_view text);
  Reply<void> rescan(std::string_view text);
  Reply<void> sriov_drivers_autoprobe(DeviceKey device, std::string_view text);
  Reply<void> synthetic_uevent(DeviceKey device, std::string_view text);

  // What the world does. False: no such thing, or not now.
  /// Plugs in the card of this name from the drawer; the bus adds it and probes.
  bool hot_add(const std::string& name);
  /// Takes the card out; it goes to the drawer and a rescan does not find it.
  bool unplug(const std::string& name);
  /// Registers all drivers of the module. Loading it again is no error.
  bool load_module(const std::string& module);
  /// Detaches and unregisters them.
  bool unload_module(const std::string& module);
  /// What the probe of this driver answers from now on: 0 or a negative errno, -517 to defer.
  bool set_probe(const std::string& driver, int result);
  /// User space takes or releases an IOMMU group.
  bool hold_group(unsigned group, bool held);
  /// Probes everything that is there and was left to the kernel, in order of addition, as a boot
  /// does.
  void boot(const std::vector<DeviceKey>& devices);

  /// nullptr for one that is not there (any more).
  [[nodiscard]] const Device* find(DeviceKey device) const;
  [[nodiscard]] const Device* find(const std::string& bus, const std::string& name) const;
  [[nodiscard]] const Driver* find_driver(const std::string& bus, const std::string& name) const;
  /// "/devices/pci0000:00/0000:00:03.0"
  [[nodiscard]] std::string devpath(const Device& device) const;
  /// The text of the `uevent` file; also what an event carries.
  [[nodiscard]] std::vector<std::string> uevent_lines(const Device& device,
                                                      bool modalias = true) const;

 private:
  [[nodiscard]] Device* device(DeviceKey key);
  [[nodiscard]] Bus& bus_of(const Device& device) { return state_.buses.at(device.bus); }
  void step(KernelStep::Kind kind, DeviceKey device, DriverKey driver = 0);
  void send(const std::string& action, const Device& device);

  // dd.c. Negative: refused before probe(); positive: what probe() answered, negated; 0: bound.
  int really_probe(DeviceKey device, DriverKey driver);
  int driver_probe_device(DeviceKey device, DriverKey driver);
  int call_probe(DeviceKey device, DriverKey driver);
  int device_attach(DeviceKey device);
  void initial_probe(DeviceKey device);
  void driver_attach(DriverKey driver);
  void release_driver(DeviceKey device);
  void retry_deferred();
  void add_to_bus(DeviceKey device);
  void remove_from_bus(DeviceKey device);
  DeviceKey renew(DeviceKey device);
  void register_driver(DriverKey driver);
  void unregister_driver(DriverKey driver);
  [[nodiscard]] DeviceKey named(const std::string& bus, std::string_view text) const;

  State state_;
  std::function<void(const KernelStep&)> on_step_;
  bool trigger_ = false;  ///< a bind succeeded: deferred devices are to be retried
  bool retrying_ = false;
};

}  // namespace anybind::drivercore
