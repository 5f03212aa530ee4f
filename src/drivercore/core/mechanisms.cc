// What the proposals of the thread add to the driver core (docs/mechanisms.md).
#include <cerrno>

#include "drivercore/core/bus_type.h"
#include "drivercore/core/kernel_text.h"
#include "drivercore/core/operation.h"

namespace anybind::drivercore {
namespace {

/// A driver that only its bind file binds: by its source, or because somebody switched it off.
bool has_opted_out(const KernelProfile& kernel, const Driver& driver) {
  return (kernel.has(Mechanism::kSysfsBindOnly) && driver.sysfs_bind_only) ||
         (kernel.has(Mechanism::kAutoprobeFlag) && !driver.autoprobe);
}

}  // namespace

/// The one place where a driver is asked whether it matches: of every walk over drivers or devices
/// and of the bind file.
bool DriverCore::matches(DeviceKey key, DriverKey driver_key, Offer offer) const {
  const Device* dev = find(key);
  const Driver* drv = find_driver(driver_key);
  if (dev == nullptr || drv == nullptr) return false;
  if (offer == Offer::kAutomatic && has_opted_out(state_.profile, *drv)) return false;
  return bus_type(dev->bus).match(state_.profile, *dev, *drv);
}

/// As bind, without asking whether the driver matches.
Reply<void> DriverCore::vfio_bind(const std::string& bus, const std::string& driver_name,
                                  std::string_view text) {
  return bind_by_file(bus, driver_name, text, Offer::kPrivateFile);
}

/// As drivers_autoprobe of the bus: only a leading 0 is off, and on does not catch up.
Reply<void> DriverCore::driver_autoprobe(const std::string& bus, const std::string& driver_name,
                                         std::string_view text) {
  Driver* drv = driver(driver_key(bus, driver_name));
  if (drv == nullptr) return kernel_error(ENODEV);
  drv->autoprobe = !text.starts_with('0');
  return {};
}

/// An empty line gives the device its own id back.
Reply<void> DriverCore::driver_probe_id(DeviceKey key, std::string_view text) {
  constexpr std::size_t kTooLong = 4095;
  Device* dev = device(key);
  if (dev == nullptr) return kernel_error(ENODEV);
  if (text.size() >= kTooLong) return kernel_error(EINVAL);
  text = c_string(text);
  text = text.substr(0, text.find('\n'));
  if (text.empty()) {
    dev->probe_id.clear();
    return {};
  }
  auto id = bus_type(dev->bus).parse_probe_id(text);
  if (!id) return kernel_error(EINVAL);
  dev->probe_id = *std::move(id);
  return {};
}

Reply<std::string> DriverCore::read_driver_probe_id(DeviceKey key) {
  const Device* dev = find(key);
  if (dev == nullptr) return kernel_error(ENODEV);
  const bool written = !dev->probe_id.empty();
  return (written ? dev->probe_id : bus_type(dev->bus).probe_id(*dev)) + "\n";
}

}  // namespace anybind::drivercore
