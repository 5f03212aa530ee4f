// Binding a device to a driver and releasing it, after drivers/base/dd.c of Linux 6.12.
//
// Two kinds of failure must be kept apart, as the kernel does by their sign. What goes wrong before
// probe() runs (the device is gone or has a driver, the IOMMU group belongs to user space) ends the
// walk over the drivers. What probe() itself answers does not: the next driver gets its try. `bind`
// makes both an errno; `drivers_probe` reports only the first kind, as EINVAL.
//
// A deferred probe puts the device on a list that is set going by any successful bind, and worked
// off by one worker through the normal path: with the override, the drivers and the autoprobe flag
// of that later moment. With the flag off the device is taken from the list all the same, and lost
// (kernel-facts: E10).
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "base/check.h"
#include "base/try.h"
#include "drivercore/core/bus_type.h"
#include "drivercore/core/operation.h"

namespace anybind::drivercore {
namespace {

/// A device of an IOMMU group, but not a bridge, whose header is of another type
/// (drivers/vfio/pci/vfio_pci_core.c:vfio_pci_core_register_device).
bool vfio_takes(const Device& device) {
  return device.group && !(device.bus == "pci" && device.class_code >> 8 == 0x0604);
}

}  // namespace

// ---- one device, one driver

/// The driver's probe() with what its bus does around it: 0, or a positive errno.
int DriverCore::call_probe(DeviceKey key, DriverKey driver_key, Offer offer) {
  const Device& dev = the_device(key);
  Driver& drv = the_driver(driver_key);
  const Device* pf = dev.physfn.empty() ? nullptr : find(dev.bus, dev.physfn);
  const bool unmatched = offer == Offer::kPrivateFile;
  const Admission admission = bus_type(dev.bus).admit(state_.profile, dev, drv, pf, unmatched);
  if (admission.error != 0) return admission.error;
  drv.probed_id = admission.id;
  step(KernelStep::Kind::kProbeBegins, key, driver_key);
  const Device& now = the_device(key);
  const Driver& then = the_driver(driver_key);
  // vfio_pci_core_register_device: it could not know who uses the functions that there are.
  if (then.needs_group && now.num_vfs > 0) return EBUSY;
  if (then.needs_group && !vfio_takes(now)) return EINVAL;
  const auto special = then.probe.per_device.find(now.name);
  return std::abs(special == then.probe.per_device.end() ? then.probe.result : special->second);
}

void DriverCore::fail_probe(DeviceKey key, DriverKey driver_key) {
  Device& dev = the_device(key);
  dev.driver_link = false;
  index_.set_probing(key, false);
  unuse_domain(dev);
  dev.driver.reset();
  step(KernelStep::Kind::kProbeFailed, key, driver_key);
}

void DriverCore::driver_bound(DeviceKey key, DriverKey driver_key) {
  the_driver(driver_key).bound.push_back(key);
  index_.set_probing(key, false);
  undefer(key);
  trigger_deferred();
  step(KernelStep::Kind::kBound, key, driver_key);
  if (state_.profile.has(Change::kBindEvents)) send("bind", the_device(key));
  step(KernelStep::Kind::kBindEvent, key, driver_key);
}

DriverCore::Attempt DriverCore::really_probe(DeviceKey key, DriverKey driver_key, Offer offer) {
  CHECK(the_device(key).locked, "a device is probed under its lock");
  the_device(key).driver = driver_key;
  if (!use_domain(key, driver_key)) {
    the_device(key).driver.reset();
    return {.kind = Attempt::Kind::kRefused, .error = EBUSY};
  }
  the_device(key).driver_link = true;
  index_.set_probing(key, true);
  step(KernelStep::Kind::kLinkOn, key, driver_key);
  if (const int error = call_probe(key, driver_key, offer); error != 0) {
    fail_probe(key, driver_key);
    return {.kind = Attempt::Kind::kProbeFailed, .error = error};
  }
  make_children(key, driver_key);
  if (makes_devices(key)) bring(cards_made_by(key));
  step(KernelStep::Kind::kProbeEnds, key, driver_key);
  driver_bound(key, driver_key);
  return {};
}

/// __driver_probe_device. The caller holds the lock of the device.
DriverCore::Attempt DriverCore::try_driver(DeviceKey key, DriverKey driver_key, Offer offer) {
  const Device* dev = find(key);
  const auto refused = [](int error) {
    return Attempt{.kind = Attempt::Kind::kRefused, .error = error};
  };
  if (dev == nullptr || dev->dead || driver(driver_key) == nullptr) return refused(ENODEV);
  if (dev->driver) return refused(EBUSY);
  if (!dev->ready_to_probe) return refused(kProbeDefer);
  const DriverUse use(*this, driver_key);
  return really_probe(key, driver_key, offer);
}

/// The same on the paths that queue what is deferred.
DriverCore::Attempt DriverCore::driver_probe_device(DeviceKey key, DriverKey driver_key,
                                                    Offer offer) {
  const auto before = trigger_count_;
  const Attempt attempt = try_driver(key, driver_key, offer);
  if (attempt.deferred()) {
    defer(key);
    // Somebody bound meanwhile: what this probe waits for may be there now.
    if (before != trigger_count_) trigger_deferred();
  }
  return attempt;
}

// ---- one device, all drivers

/// The next driver behind `last` (0: the first), in the order of registration, that matches the
/// device now; 0 when there is none, or when `last` has gone.
DriverKey DriverCore::next_match(DeviceKey key, DriverKey last) {
  const Device* dev = find(key);
  if (dev == nullptr) return 0;
  const Bus& bus = state_.buses.at(dev->bus);
  if (lookup_.serves(state_, bus)) {
    do {
      last = lookup_.next(*dev, last);
    } while (last != 0 && !matches(key, last));
    return last;
  }
  auto at = bus.drivers.begin();
  if (last != 0) {
    at = std::ranges::find(bus.drivers, last);
    if (at != bus.drivers.end()) ++at;
  }
  at = std::find_if(at, bus.drivers.end(), [&](DriverKey each) { return matches(key, each); });
  return at == bus.drivers.end() ? 0 : *at;
}

/// bus_for_each_drv with __device_attach_driver. True: bound. An error ended the walk.
Reply<bool> DriverCore::attach_to_any(DeviceKey key, Pass pass) {
  // Drivers may come and go meanwhile, but for the one that is held.
  for (DriverKey at = next_match(key, 0); at != 0; at = next_match(key, at)) {
    if (pass != Pass::kAll && the_driver(at).async_probe != (pass == Pass::kAsyncOnly)) continue;
    const DriverUse use(*this, at);
    step(KernelStep::Kind::kMatched, key, at);
    const Attempt attempt = driver_probe_device(key, at);
    if (attempt.kind == Attempt::Kind::kBound) return true;
    if (attempt.kind == Attempt::Kind::kRefused) return kernel_error(attempt.error);
  }
  return false;
}

/// Whether an asynchronous driver matches.
bool DriverCore::wants_async(DeviceKey key) {
  DriverKey at = next_match(key, 0);
  while (at != 0 && !the_driver(at).async_probe) at = next_match(key, at);
  return at != 0;
}

/// __device_attach. True: the device has a driver.
Reply<bool> DriverCore::device_attach(DeviceKey key, Pass pass) {
  auto lock = DeviceLock::take(*this, key);
  if (!lock && lock.error().value == ENODEV) return false;
  if (!lock) return std::unexpected(lock.error());
  const Device& dev = the_device(key);
  Reply<bool> result = dev.driver.has_value();
  if (!dev.dead && !dev.driver) result = attach_to_any(key, pass);
  const bool go_on = pass == Pass::kSyncOnly && result && !*result && !the_device(key).dead;
  if (go_on && wants_async(key)) state_.async.push_back({.device = key});
  lock->unlock(result ? static_cast<int>(*result) : result.error().value << 1);
  return result;
}

/// device_initial_probe: what an added or retried device gets.
void DriverCore::initial_probe(DeviceKey key) {
  const Device* dev = find(key);
  if (dev != nullptr && state_.buses.at(dev->bus).autoprobe) {
    [[maybe_unused]] const auto attached = device_attach(key, Pass::kSyncOnly);
  }
}

// ---- one driver, all devices

/// __driver_attach. An error only when it cannot wait.
Reply<void> DriverCore::offer(DeviceKey key, DriverKey driver_key) {
  step(KernelStep::Kind::kMatched, key, driver_key);
  auto lock = DeviceLock::take(*this, key);
  if (!lock && lock.error().value == ENODEV) return {};
  if (!lock) return std::unexpected(lock.error());
  if (!the_driver(driver_key).async_probe) {
    (void)driver_probe_device(key, driver_key);
  } else if (Device& dev = the_device(key); !dev.driver && !dev.async_for) {
    dev.async_for = driver_key;
    state_.async.push_back({.device = key, .driver = driver_key});
  }
  lock->unlock(0);
  return {};
}

/// driver_attach: every device of the bus is offered, in the order of addition; what comes of it is
/// nobody's business. Bound ones are waited for too, as the kernel does.
Reply<void> DriverCore::driver_attach(DriverKey driver_key) {
  const auto& devices = state_.buses.at(the_driver(driver_key).bus).devices;
  for (DeviceKey last = 0;;) {
    const auto next = std::ranges::upper_bound(devices, last);
    if (next == devices.end()) return {};
    last = *next;
    if (matches(last, driver_key)) TRY(offer(last, driver_key));
  }
}

// ---- releasing

/// The driver's remove().
Reply<void> DriverCore::call_remove(DeviceKey key, DriverKey driver_key) {
  const bool takes_vfs = state_.drivers.at(driver_key).sriov == Sriov::kRemoves;
  if (takes_vfs) TRY(disable_vfs(key));
  if (state_.drivers.at(driver_key).needs_group) return remove_vfio(key);
  TRY(drop_made(key));
  remove_children(key);
  return {};
}

/// __device_release_driver. The caller holds the lock, and the device has a driver. An error only
/// when it cannot wait; the driver has the device still.
Reply<void> DriverCore::release_locked(DeviceKey key) {
  const auto& has = the_device(key).driver;
  CHECK(has.has_value(), "a device that is released has a driver");
  const DriverKey driver_key = *has;
  the_device(key).driver_link = false;
  step(KernelStep::Kind::kLinkOff, key, driver_key);
  step(KernelStep::Kind::kRemoveBegins, key, driver_key);
  if (const auto let_go = call_remove(key, driver_key); !let_go) {
    the_device(key).driver_link = true;
    return let_go;
  }
  step(KernelStep::Kind::kRemoveEnds, key, driver_key);
  Device& dev = the_device(key);
  unuse_domain(dev);
  dev.driver.reset();
  std::erase(state_.drivers.at(driver_key).bound, key);
  step(KernelStep::Kind::kDriverCleared, key, driver_key);
  if (state_.profile.has(Change::kBindEvents)) send("unbind", the_device(key));
  step(KernelStep::Kind::kUnbindEvent, key, driver_key);
  return {};
}

/// device_release_driver_internal: from whichever driver has it once the lock is had, or from
/// `only`.
Reply<void> DriverCore::release_driver(DeviceKey key, DriverKey only) {
  auto lock = DeviceLock::take(*this, key);
  if (!lock && lock.error().value == ENODEV) return {};
  if (!lock) return std::unexpected(lock.error());
  const auto& has = the_device(key).driver;
  if (!has || (only != 0 && *has != only)) return {};
  const auto released = release_locked(key);
  lock->unlock(released ? 0 : released.error().value);
  return released;
}

// ---- deferred and asynchronous probes

void DriverCore::defer(DeviceKey key) {
  Device* dev = device(key);
  if (dev == nullptr || std::exchange(dev->deferred, true)) return;
  state_.deferred.push_back(key);
}

void DriverCore::undefer(DeviceKey key) {
  Device* dev = device(key);
  if (dev == nullptr || !std::exchange(dev->deferred, false)) return;
  std::erase(state_.deferred, key);
  std::erase(state_.retrying, key);
}

void DriverCore::trigger_deferred() {
  ++trigger_count_;
  auto& retrying = state_.retrying;
  retrying.insert(retrying.end(), state_.deferred.begin(), state_.deferred.end());
  state_.deferred.clear();
}

bool DriverCore::has_work() const {
  return !state_.retrying.empty() || !state_.async.empty();
}

void DriverCore::work_async(const AsyncProbe& work) {
  Device* dev = device(work.device);
  if (dev == nullptr) return;
  if (work.driver == 0) {
    [[maybe_unused]] const auto attached = device_attach(work.device, Pass::kAsyncOnly);
    return;
  }
  auto lock = DeviceLock::take(*this, work.device);
  if (!lock) return;
  the_device(work.device).async_for.reset();
  (void)driver_probe_device(work.device, work.driver);
  lock->unlock(0);
}

/// Where they run by themselves: when no operation is in the middle of a step.
void DriverCore::let_workers_run() {
  while (depth_ == 1 && workers_run_ && work()) {
  }
}

bool DriverCore::work() {
  const Operation operation(*this);
  if (!state_.async.empty()) {
    const AsyncProbe next = state_.async.front();
    state_.async.pop_front();
    step(KernelStep::Kind::kRetry, next.device, next.driver);
    work_async(next);
    return true;
  }
  if (state_.retrying.empty()) return false;
  const DeviceKey key = state_.retrying.front();
  state_.retrying.pop_front();
  if (Device* dev = device(key)) dev->deferred = false;
  step(KernelStep::Kind::kRetry, key);
  initial_probe(key);
  return true;
}

}  // namespace anybind::drivercore
