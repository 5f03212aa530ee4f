// The files of a bus, of its drivers and of its devices, after drivers/base/bus.c of Linux 6.12.
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "base/ids.h"
#include "base/text.h"
#include "base/try.h"
#include "drivercore/core/bus_type.h"
#include "drivercore/core/kernel_text.h"
#include "drivercore/core/operation.h"

namespace anybind::drivercore {
namespace {

Errno as_bind_says(int error, const KernelProfile& profile) {
  if (error == EDEADLK) return {error};
  if (!profile.has(Change::kBindReportsProbeErrno)) return {ENODEV};
  return {error == kProbeDefer ? EAGAIN : error};
}

}  // namespace

/// bind_store, and what is like it. Straight to the probe, so that a deferral is not queued (before
/// 5.14 it was).
Reply<void> DriverCore::bind_by_file(const std::string& bus, const std::string& driver_name,
                                     std::string_view text, Offer offer) {
  Operation operation(*this);
  const DeviceKey key = key_of(bus, std::string(name_in(text)));
  const DriverKey driver_key = this->driver_key(bus, driver_name);
  if (find(key) == nullptr || driver_key == 0) return kernel_error(ENODEV);
  if (offer != Offer::kPrivateFile && !matches(key, driver_key, offer)) return kernel_error(ENODEV);
  const DriverUse use(*this, driver_key);
  step(KernelStep::Kind::kMatched, key, driver_key);
  auto lock = DeviceLock::take(*this, key);
  if (!lock) return std::unexpected(lock.error());
  const Attempt attempt = state_.profile.has(Change::kBindReportsProbeErrno)
                              ? try_driver(key, driver_key, offer)
                              : driver_probe_device(key, driver_key, offer);
  lock->unlock(attempt.outcome());
  if (attempt.kind == Attempt::Kind::kBound) return operation.done(Reply<void>());
  return operation.done(Reply<void>(std::unexpected(as_bind_says(attempt.error, state_.profile))));
}

Reply<void> DriverCore::bind(const std::string& bus, const std::string& driver_name,
                             std::string_view text) {
  return bind_by_file(bus, driver_name, text, Offer::kBindFile);
}

/// unbind_store. Whether the device is this driver's is asked before the lock; what is released is
/// whatever driver has it after.
Reply<void> DriverCore::unbind(const std::string& bus, const std::string& driver_name,
                               std::string_view text) {
  Operation operation(*this);
  const DeviceKey key = key_of(bus, std::string(name_in(text)));
  const DriverKey driver_key = this->driver_key(bus, driver_name);
  const Device* dev = find(key);
  if (driver_key == 0 || dev == nullptr || dev->driver != driver_key) return kernel_error(ENODEV);
  const DriverUse use(*this, driver_key);
  return operation.done(release_driver(key));
}

/// drivers_probe_store. Whether the device has a driver is asked without the lock.
Reply<void> DriverCore::drivers_probe(const std::string& bus, std::string_view text) {
  Operation operation(*this);
  const DeviceKey key = key_of(bus, std::string(name_in(text)));
  const Device* dev = find(key);
  if (dev == nullptr) return kernel_error(ENODEV);
  if (dev->driver) return {};
  const auto attached = operation.done(device_attach(key));
  if (attached) return {};
  return kernel_error(attached.error().value == EDEADLK ? EDEADLK : EINVAL);
}

/// drivers_autoprobe_store: only a leading 0 is off.
Reply<void> DriverCore::drivers_autoprobe(const std::string& bus, std::string_view text) {
  state_.buses.at(bus).autoprobe = !text.starts_with('0');
  return {};
}

// ---- files of a device

/// __device_set_driver_override: up to a newline or NUL; nothing there clears it.
Reply<void> DriverCore::driver_override(DeviceKey key, std::string_view text) {
  constexpr std::size_t kTooLong = 4095;
  if (text.size() >= kTooLong) return kernel_error(EINVAL);
  text = c_string(text);
  text = text.substr(0, text.find('\n'));
  const auto set = [&]() -> Reply<void> {
    Device* dev = device(key);
    if (dev == nullptr) return kernel_error(ENODEV);
    dev->driver_override = text.empty() ? std::nullopt : std::optional(std::string(text));
    return {};
  };
  if (state_.profile.has(Change::kOverrideTakesNoLock)) return set();
  auto lock = TRY(DeviceLock::take(*this, key));
  return set();
}

Reply<std::string> DriverCore::read_driver_override(DeviceKey key) {
  const auto get = [&]() -> Reply<std::string> {
    const Device* dev = find(key);
    if (dev == nullptr) return kernel_error(ENODEV);
    return dev->driver_override.value_or("(null)") + "\n";
  };
  if (state_.profile.has(Change::kOverrideTakesNoLock)) return get();
  auto lock = TRY(DeviceLock::take(*this, key));
  return get();
}

Reply<std::string> DriverCore::read_uevent(DeviceKey key) {
  const auto get = [&]() -> Reply<std::string> {
    const Device* dev = find(key);
    if (dev == nullptr) return kernel_error(ENODEV);
    std::string out;
    for (const std::string& line : uevent_lines(state_, *dev)) out += line + "\n";
    return out;
  };
  if (state_.profile.has(Change::kUeventTakesNoLock)) return get();
  auto lock = TRY(DeviceLock::take(*this, key));
  return get();
}

/// drivers/base/power/sysfs.c:control_store: under device_lock, so that whoever writes has waited
/// for a probe under way. PCI begins with "on" (drivers/pci/pci.c:pci_pm_init).
Reply<void> DriverCore::power_control(DeviceKey key, std::string_view text) {
  text = c_string(text);
  if (text.ends_with('\n')) text.remove_suffix(1);
  const auto lock = TRY(DeviceLock::take(*this, key));
  if (text != "on" && text != "auto") return kernel_error(EINVAL);
  the_device(key).kept_awake = text == "on";
  return {};
}

Reply<std::string> DriverCore::read_power_control(DeviceKey key) {
  const Device& dev = existing(key);
  return dev.kept_awake.value_or(dev.bus == "pci") ? "on\n" : "auto\n";
}

/// drivers/input/serio/serio.c:drvctl_store. A command is anything that it begins with ("n" is
/// none); the name of a driver must be all, so that a newline is EINVAL. A driver that does not
/// match is a success, which leaves the port without one.
Reply<void> DriverCore::drvctl(DeviceKey key, std::string_view text) {
  constexpr std::string_view kReconnect = "reconnect";
  Operation operation(*this);
  text = c_string(text);
  const bool none = std::string_view("none").starts_with(text);
  const bool reconnect = !none && kReconnect.starts_with(text);
  const bool rescan = !none && !reconnect && std::string_view("rescan").starts_with(text);
  const Device* dev = find(key);
  if (dev == nullptr) return kernel_error(ENODEV);
  const DriverKey driver_key = this->driver_key(dev->bus, std::string(text));
  if (!none && !reconnect && !rescan && driver_key == 0) return kernel_error(EINVAL);
  if (reconnect && dev->driver) return {};  // the driver speaks to its device again
  TRY(release_driver(key));
  if (none) return operation.done(Reply<void>());
  if (driver_key == 0) {
    [[maybe_unused]] const auto attached = operation.done(device_attach(key));
    return {};
  }
  const DriverUse use(*this, driver_key);
  if (!matches(key, driver_key)) return operation.done(Reply<void>());
  step(KernelStep::Kind::kMatched, key, driver_key);
  auto lock = TRY(DeviceLock::take(*this, key));
  const Attempt attempt = try_driver(key, driver_key);
  lock.unlock(attempt.outcome());
  const bool bound = attempt.kind == Attempt::Kind::kBound;
  return operation.done(bound ? Reply<void>() : kernel_error(ENODEV));
}

/// Turning it on later probes nothing.
Reply<void> DriverCore::sriov_drivers_autoprobe(DeviceKey key, std::string_view text) {
  const bool on = TRY(kstrtobool(text));
  Device* dev = device(key);
  if (dev == nullptr) return kernel_error(ENODEV);
  dev->vf_autoprobe = on;
  return {};
}

Reply<void> DriverCore::numa_node(DeviceKey key, std::string_view text) {
  const int node = TRY(kstrtoint(text));
  Device* dev = device(key);
  if (dev == nullptr) return kernel_error(ENODEV);
  if (node != -1 && node != 0 && node != dev->numa_node) return kernel_error(EINVAL);
  dev->numa_node = node;
  return {};
}

bool DriverCore::set_probe(const std::string& driver, int result, const std::string& device) {
  // A machine file, which is UTF-8, must be able to hold the name.
  const bool is_name = is_sysfs_name(device) && printable(device, device.size()) == device;
  if (!device.empty() && !is_name) return false;
  bool found = false;
  for (auto& [key, known] : state_.drivers) {
    if (known.name != driver) continue;
    if (device.empty()) {
      known.probe.result = result;
    } else {
      known.probe.per_device[device] = result;
    }
    found = true;
  }
  return found;
}

/// drivers/pci/pci.c:reset_method_store. A device has one method, its own.
Reply<void> DriverCore::reset_method(DeviceKey key, std::string_view text) {
  Device* dev = device(key);
  if (dev == nullptr) return kernel_error(ENODEV);
  constexpr std::size_t kMost = 4095;
  if (text.size() >= kMost) return kernel_error(EINVAL);
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.empty() || text == "default") {
    dev->reset_off = text.empty();
    return {};
  }
  const std::string_view own = dev->bus_reset ? "bus" : "flr";
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find(' ', at), text.size());
    const std::string_view name = text.substr(at, end - at);
    if (!name.empty() && name != own) return kernel_error(EINVAL);
    at = end + 1;
  }
  dev->reset_off = false;
  return {};
}

void DriverCore::boot(const std::vector<DeviceKey>& devices) {
  Operation operation(*this);
  for (const DeviceKey key : devices) {
    if (find(key) == nullptr) continue;  // this kernel has no such bus
    [[maybe_unused]] const auto attached = device_attach(key);
  }
  (void)operation.done(true);
  drop_what_nobody_made();
}

}  // namespace anybind::drivercore
