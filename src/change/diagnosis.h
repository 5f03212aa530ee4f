#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/host.h"
#include "host/sysfs.h"
#include "plan/plan.h"

namespace anybind {

/// A step that failed, and where to look for the reason.
struct FailedStep {
  const Host& host;
  Sysfs& dir;  ///< of the device
  const DeviceId& device;
  const Step& step;
};

/// "qemu-system-x86 (process 4711)" for each process that has a VFIO file of the device's IOMMU
/// group open (/dev/vfio/N, /dev/vfio/devices/vfioN), as far as can be seen.
[[nodiscard]] std::vector<std::string> vfio_users(const Host& host, Sysfs& dir);

/// Completes the error of a failed step: what the errno means here, the likely cause as far as it
/// can be seen now, what to type next, and what the kernel said about the device (`details`). Only
/// reads.
void add_reasons(Error& error, const FailedStep& failed);
/// The same of a setting that could not be written.
void add_reasons(Error& error, const Host& host, const Setting& setting);

}  // namespace anybind
