#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "anybind/base/error.h"
#include "anybind/base/ids.h"
#include "anybind/host/sysfs.h"
#include "anybind/inventory/device.h"
#include "anybind/plan/mechanism.h"

namespace anybind {

/// One write that changes something, with its reason.
struct Step {
  enum class Kind {
    kSetOverride,   ///< write `value` (empty: clear) to the device's driver_override
    kUnbind,        ///< write the device to the `unbind` of the driver `value`
    kBind,          ///< write the device to the `bind` of the driver `value`
    kProbe,         ///< write the device to the bus's drivers_probe
    kSetPreferred,  ///< write `value` (empty: clear) to the device's preferred_driver
    kVfioBind,      ///< write the device to the `vfio_bind` of the driver `value`
    kDrvctl,        ///< write the driver `value`, or "none", to the device's drvctl
    kWake,          ///< write `value` to the device's power/control: "on", or "auto" again
  };
  Kind kind;
  std::string value;
  std::string reason;  ///< why, in words; shown by --dry-run and -v

  friend bool operator==(const Step&, const Step&) = default;
};

/// Where a device shall end.
struct Goal {
  std::optional<DriverName> driver;  ///< nullopt: no driver, unless `default_match`
  std::optional<std::string> driver_override;
  bool default_match = false;  ///< whichever driver the bus then chooses, perhaps none
  friend bool operator==(const Goal&, const Goal&) = default;
};

/// What will be done to one device. `before` is at once the undo: rolling back is a walk from
/// whatever is found then to `before`, planned by the same function as the way forward.
struct DevicePlan {
  DeviceId device;
  Instance instance;  ///< the card that was looked at; another one at this address is left alone
  Binding before;
  Goal goal;
  std::vector<Step> steps;  ///< empty: nothing to do
  /// Its VFIO driver has parked it in D3hot, in which its unbind would sleep three times 12 ms: it
  /// is woken before. When it keeps that driver after all, it may sleep again.
  bool parked = false;
  Mechanism mechanism =
      Mechanism::kDriverOverride;  ///< which files it goes by, also on its way back
  std::string called{};            ///< as Request::names has it
  friend bool operator==(const DevicePlan&, const DevicePlan&) = default;
};

/// A module that is loaded before anything else, since its driver is not there. That is not taken
/// back: which other devices its drivers would have to leave cannot be known.
struct ModuleLoad {
  std::string module;  ///< "vfio-pci"
  BusName bus;
  DriverName driver;
  std::string reason{};
  friend bool operator==(const ModuleLoad&, const ModuleLoad&) = default;
};

/// A write to a file that is not one device's own (a bus flag, a dynamic id, a number of virtual
/// functions), or not a binding, with the write that takes it back.
struct Setting {
  std::string path;  ///< relative to the root of sysfs
  std::string bytes;
  std::string undo_path;
  std::string undo_bytes;
  std::string reason;
  std::optional<DeviceId> device{};  ///< whose file it is: then only that instance is written to
  Instance instance{};
  bool lasting = false;  ///< stays when the plan succeeds; otherwise it is taken back in any case
  bool late = false;     ///< written after the devices, and taken back before them
  bool brief = false;    ///< is not there any more when a device is put back
  /// Of a bus's drivers_autoprobe: its youngest device. Those that come while it is off are
  /// younger, and nobody has offered them to a driver (Linux since 6.19, before that all but PCI).
  Instance youngest{};
  friend bool operator==(const Setting&, const Setting&) = default;
};

/// Virtual functions that are to be made and then bound: they have no names, and no place in a
/// plan, before the settings that make them are written.
struct NewFunctions {
  DeviceId pf;
  unsigned count = 0;
  DriverName driver;                         ///< "none": no driver, and kept so
  std::map<unsigned, DriverName> drivers{};  ///< of those with these numbers, in place of that
  /// Where single ones go, in place of all that.
  std::map<DeviceId, Goal> goals{};
  friend bool operator==(const NewFunctions&, const NewFunctions&) = default;
};

/// What will be done, in this order. A value: it can be printed, compared and run elsewhere. What
/// its planner holds open stands beside it (plan/held_plan.h).
struct Plan {
  std::vector<ModuleLoad> modules{};
  std::vector<Setting> settings{};  ///< the late ones last; taken back in reverse
  std::vector<DevicePlan> devices;
  std::optional<NewFunctions> makes{};  ///< joins `devices` once the settings are written
  bool restores = false;  ///< gives back what there was: afterwards nothing needs to be remembered
  std::uint64_t undoes = 0;        ///< takes this transaction of the journal back; 0: none
  std::vector<Remark> notes;       ///< what the planner decided by itself, one line each
  std::vector<Remark> warnings{};  ///< what can go wrong with what was asked for, likewise
  [[nodiscard]] bool empty() const;
  /// How many settings come before the devices.
  [[nodiscard]] std::size_t early_settings() const;
  friend bool operator==(const Plan&, const Plan&) = default;
};

/// Wakes a device that is parked, or lets it sleep again.
[[nodiscard]] Step wake_step();
[[nodiscard]] Step sleep_step();

/// The steps from `now` to `goal`, in the safe order of kernel-facts 8(6): the override first, so
/// that no other driver can take the device in between; unbind; bind; and only then an override
/// that names something else than the driver. Binding through `bind`, not drivers_probe, because
/// only that tells why it failed. Without an override (`mechanism`) what remains of that. No step
/// when the device is there already.
[[nodiscard]] std::vector<Step> steps_between(const Binding& now, const Goal& goal,
                                              Mechanism mechanism = Mechanism::kDriverOverride);

/// The goal "as it is in `now`".
[[nodiscard]] Goal as_goal(const Binding& now);

/// The file that `step` on `device` writes, relative to the root of sysfs, and the bytes.
struct StepWrite {
  std::string path;
  std::string bytes;
};
[[nodiscard]] StepWrite write_of(const DeviceId& device, const Step& step);

/// The same as a line for a POSIX shell; `sysfs_root` is "/sys".
[[nodiscard]] std::string shell_line(const DeviceId& device, const Step& step,
                                     const std::string& sysfs_root);

[[nodiscard]] std::string shell_line(const Setting& setting, const std::string& sysfs_root);
[[nodiscard]] std::string shell_line(const ModuleLoad& load);

}  // namespace anybind
