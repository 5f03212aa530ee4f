#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "binding/plan.h"
#include "binding/transaction.h"
#include "host/sysfs.h"

namespace anybind {

/// A step that failed, and where to look for the reason.
struct FailedStep {
  Sysfs& root;
  Sysfs& dir;  ///< of the device
  const DeviceId& device;
  const Step& step;
  const RunOptions& options;
};

/// "qemu-system-x86 (process 4711)" for each process that has a VFIO file of the device's IOMMU
/// group open (/dev/vfio/N, /dev/vfio/devices/vfioN), as far as can be seen.
[[nodiscard]] std::vector<std::string> vfio_users(Sysfs& root, Sysfs& dir,
                                                  const RunOptions& options);

/// Completes the error of a failed step: what the errno means here, the likely cause as far as it
/// can be seen now, what to type next, and what the kernel said about the device (`details`). Only
/// reads.
void add_reasons(Error& error, const FailedStep& failed);

}  // namespace anybind
