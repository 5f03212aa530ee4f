#pragma once

#include <optional>
#include <string>

#include "host/descriptor.h"
#include "host/sysfs.h"

namespace anybind::conformance {

/// A user of VFIO (linux Documentation/driver-api/vfio.rst). It has one group at a time.
class Holder {
 public:
  /// Lets go of what it has, and takes the group of this function; of none for "". The group
  /// belongs to it once that is in a container, and no longer when the last device leaves the
  /// group, whatever descriptors are open.
  bool take(Sysfs& sysfs, const std::string& function);
  /// Opens the function, whose group it has. Nobody takes that away from its driver until it lets
  /// go.
  bool open(const std::string& function);
  /// The device that it has open, as the kernel tells in /proc/PID/fdinfo: "/sys/devices/...";
  /// empty: none, or the kernel does not tell.
  [[nodiscard]] std::string told() const;

 private:
  Descriptor container_;
  Descriptor group_;
  Descriptor device_;
};

}  // namespace anybind::conformance
