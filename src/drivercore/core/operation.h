#pragma once

#include "drivercore/core/driver_core.h"
#include "drivercore/core/kernel_error.h"

namespace anybind::drivercore {

class DriverCore::Operation {
 public:
  explicit Operation(DriverCore& core) : core_(core) { ++core_.depth_; }
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  ~Operation() { --core_.depth_; }
  /// Lets the workers run if this is the outermost operation, and hands `value` on.
  template <class T>
  T done(T value) {
    core_.let_workers_run();
    return value;
  }

 private:
  DriverCore& core_;
};

class DriverCore::DeviceLock {
 public:
  /// Waits for the lock. ENODEV when the device is gone by then, EDEADLK when it cannot wait.
  static Reply<DeviceLock> take(DriverCore& core, DeviceKey key);
  DeviceLock(DeviceLock&& other) noexcept
      : core_(std::exchange(other.core_, nullptr)), key_(other.key_) {}
  DeviceLock& operator=(DeviceLock&&) = delete;
  DeviceLock(const DeviceLock&) = delete;
  DeviceLock& operator=(const DeviceLock&) = delete;
  ~DeviceLock() { free(); }
  /// Frees it now, which is a step. `outcome` tells what the operation still holds after it.
  void unlock(int outcome) {
    DriverCore& core = *core_;
    free();
    core.step(KernelStep::Kind::kUnlocked, key_, 0, outcome);
  }

 private:
  DeviceLock(DriverCore& core, DeviceKey key) : core_(&core), key_(key) {}
  void free() {
    if (core_ == nullptr) return;
    if (Device* device = core_->device(key_)) device->locked = false;
    core_ = nullptr;
  }
  DriverCore* core_;
  DeviceKey key_;
};

class DriverCore::RescanLock {
 public:
  static Reply<RescanLock> take(DriverCore& core);
  RescanLock(RescanLock&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
  RescanLock& operator=(RescanLock&&) = delete;
  RescanLock(const RescanLock&) = delete;
  RescanLock& operator=(const RescanLock&) = delete;
  ~RescanLock() {
    if (core_ != nullptr) core_->state_.rescan_locked = false;
  }

 private:
  explicit RescanLock(DriverCore& core) : core_(&core) {}
  DriverCore* core_;
};

class DriverCore::DriverUse {
 public:
  DriverUse(DriverCore& core, DriverKey key) : core_(core), key_(key) {
    ++core_.state_.drivers.at(key_).users;
  }
  DriverUse(const DriverUse&) = delete;
  DriverUse& operator=(const DriverUse&) = delete;
  ~DriverUse() { --core_.state_.drivers.at(key_).users; }

 private:
  DriverCore& core_;
  DriverKey key_;
};

}  // namespace anybind::drivercore
