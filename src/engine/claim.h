#pragma once

#include <cstdint>

#include "base/error.h"
#include "base/ids.h"
#include "host/host.h"
#include "inventory/device.h"

namespace anybind {

/// What came of keeping a device for a driver.
enum class Claim : std::uint8_t {
  kKept,       ///< no other driver can have it from now on
  kHasDriver,  ///< it has one, and nothing was written
  kTooLate,    ///< another driver has got it meanwhile: the override says where it shall go
};

/// Keeps a device without a driver for `driver` ("none": for none at all), by one write to its
/// driver_override: nobody loses anything by that, so nobody is asked, and nothing is remembered.
/// For newcomers, of which the kernel may be about to find them a driver; anything else is a
/// change() (engine.h). Blocks while the kernel holds the device's lock, ten seconds at most.
/// kNotFound: it is gone, or `instance` is not its card any more. kFailed: its bus has no override,
/// or it did not take it. (linux drivers/base/bus.c; Documentation/ABI/testing/sysfs-bus-pci)
[[nodiscard]] Result<Claim> claim(const Host& host, const DeviceId& device,
                                  const Instance& instance, const DriverName& driver);

/// Takes back what claim() wrote for `driver`, if it stands there still. True: the card has no
/// driver by now, and waits for an offer. Nothing for a card that `driver` has, which is for a
/// change(). Errors as of claim().
[[nodiscard]] Result<bool> disclaim(const Host& host, const DeviceId& device,
                                    const Instance& instance, const DriverName& driver);

/// The virtual functions that `pf` will have come without a driver (sriov_drivers_autoprobe is 0).
/// Errors as of claim(); no error where it can have none.
[[nodiscard]] Result<> hold_functions(const Host& host, const DeviceId& pf,
                                      const Instance& instance);

}  // namespace anybind
