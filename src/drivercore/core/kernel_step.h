#pragma once

#include "drivercore/core/state.h"

namespace anybind::drivercore {

/// A moment inside an operation of the modelled kernel at which something else can come between.
/// What stands here has just happened, and can be seen from outside.
struct KernelStep {
  enum class Kind {
    // device_add, pci_bus_add_device
    kAdded,     ///< it can be found in sysfs and in the list of its bus; no probe takes it yet
    kAddEvent,  ///< its add event is out
    kReady,     ///< from now on any path may probe it

    // sriov_enable, sriov_disable
    kVfLinked,  ///< the links between it and its physical function are there, its change event out
    kVfUnlinked,   ///< they are gone; the virtual function is there
    kVfsEnabled,   ///< all are there, and the change event of the physical function is out
    kVfsDisabled,  ///< all are gone

    // really_probe
    kMatched,      ///< a driver was found to match; the device need not be locked yet
    kLinkOn,       ///< dev->driver is set and the `driver` link is there
    kProbeBegins,  ///< the driver's probe() runs
    kProbeEnds,    ///< probe() is through; what the driver makes is there; not yet bound
    kProbeFailed,  ///< the link is gone again, dev->driver is clear
    kBound,        ///< the driver has it; deferred devices were set going
    kBindEvent,    ///< its bind event is out; the lock is still held

    // __device_release_driver
    kLinkOff,       ///< the `driver` link is gone, remove() has not run
    kRemoveBegins,  ///< the driver's remove() runs
    kUserAsked,     ///< of a VFIO driver: user space was asked to close the device, and has not yet
    kRemoveEnds,    ///< what the driver made is gone; dev->driver is still set
    kDriverCleared,  ///< dev->driver is clear
    kUnbindEvent,    ///< its unbind event is out; the lock is still held

    kUnlocked,  ///< device_lock is free again; `outcome` is settled

    // device_del
    kDead,         ///< no probe takes it any more
    kUnlisted,     ///< it is not in the list of its bus, and its attributes are gone
    kRemoveEvent,  ///< its remove event is out; the directory goes right after

    // driver_register, driver_unregister
    kDriverListed,    ///< hot-added devices may get it; it has no files yet
    kDriverReady,     ///< it has its files, and its add event is out
    kDriverUnlisted,  ///< it has no files and is in no list; its devices are still bound
    kDriverGone,      ///< its remove event is out

    // do_init_module, delete_module; no device, and the first driver of the module
    kModuleComing,  ///< its directory is there, and none of its drivers
    kModuleLive,    ///< its add event is out
    kModuleGoing,   ///< nobody can load or unload it; its drivers are there
    kModuleGone,    ///< its remove event is out

    kRetry,  ///< the worker takes a device that was deferred, or is to be probed asynchronously
  };
  Kind kind;
  DeviceKey device = 0;
  DriverKey driver = 0;
  int outcome = 0;  ///< what the operation has come to and has not yet answered; numbered by itself
};

/// What an operation waits for when another actor is in its way.
struct Blocked {
  enum class By {
    kDeviceLock,  ///< device_lock of `device`
    kRescanLock,  ///< pci_rescan_remove_lock
    kDriverUse,   ///< `driver` goes, and operations that hold it are under way
    kUser,        ///< user space has `device` open
    kModule,      ///< the module of `driver` is being loaded or unloaded
    kAsync,       ///< a module is loaded, and asynchronous probes are under way
  };
  By by;
  DeviceKey device = 0;
  DriverKey driver = 0;
};

}  // namespace anybind::drivercore
