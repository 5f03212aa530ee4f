#pragma once

#include <vector>

#include "anybind/base/error.h"
#include "anybind/base/ids.h"
#include "anybind/binding/plan.h"
#include "anybind/host/sysfs.h"

namespace anybind {

/// `count` virtual functions on the physical function `pf`, with `sriov_drivers_autoprobe` off
/// meanwhile, so that no host driver ever probes them (linux drivers/pci/iov.c:sriov_numvfs_store,
/// pci-driver.c:pci_device_can_probe). Only reads. Nothing to do when there are so many already.
/// kRefused: no SR-IOV, more than the device has, another number exists (the kernel wants 0 in
/// between), no driver that could create them, or, to remove them, one of them is on a VFIO driver.
[[nodiscard]] Result<Plan> plan_virtual_functions(Sysfs& root, const DeviceId& pf, unsigned count);

/// The virtual functions of `pf`, in their order. kFailed when not all `count` are there: the
/// kernel has them before the write of `sriov_numvfs` returns.
[[nodiscard]] Result<std::vector<DeviceId>> virtual_functions(Sysfs& root, const DeviceId& pf,
                                                              unsigned count);

}  // namespace anybind
