#include "drivercore/core/operation.h"

#include <cerrno>
#include <utility>

namespace anybind::drivercore {

Reply<DriverCore::DeviceLock> DriverCore::DeviceLock::take(DriverCore& core, DeviceKey key) {
  for (;;) {
    Device* device = core.device(key);
    if (device == nullptr) return kernel_error(ENODEV);
    if (!std::exchange(device->locked, true)) return DeviceLock(core, key);
    if (!core.wait({.by = Blocked::By::kDeviceLock, .device = key})) return kernel_error(EDEADLK);
  }
}

Reply<DriverCore::RescanLock> DriverCore::RescanLock::take(DriverCore& core) {
  while (std::exchange(core.state_.rescan_locked, true)) {
    if (!core.wait({.by = Blocked::By::kRescanLock})) return kernel_error(EDEADLK);
  }
  return RescanLock(core);
}

}  // namespace anybind::drivercore
