#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/host.h"
#include "plan/held_plan.h"

namespace anybind {

/// `functions.count` virtual functions on `functions.pf`, bound to `functions.driver`, as one plan:
/// with `sriov_drivers_autoprobe` off meanwhile they are made, so that no host driver ever probes
/// them (linux drivers/pci/iov.c:sriov_numvfs_store, pci-driver.c:pci_device_can_probe), and then
/// bound (Plan::makes). Those that are there already are only bound. A count of 0 takes all from
/// their drivers, as removing one that is in use would wait for its user inside the kernel, and
/// then removes them. Only reads. kNotFound: no such device or driver. kRefused: no SR-IOV, more
/// than the device has, another number exists (the kernel wants 0 in between), no driver that could
/// create or remove them; and what plan_bind() refuses.
/// The driver's module is loaded as by plan_bind(). `ignored`: BindRequest's.
[[nodiscard]] Result<HeldPlan> plan_virtual_functions(const Host& host,
                                                      const NewFunctions& functions,
                                                      const std::vector<std::string>& ignored = {});

/// What lets no driver probe new functions of `pf`; nullopt: that is so already.
[[nodiscard]] Result<std::optional<Setting>> hold_functions_back(Sysfs& root, const DeviceId& pf,
                                                                 const Instance& instance);

/// The devices of a plan for functions that have been made. kFailed when not all are there: the
/// kernel has them before the write of `sriov_numvfs` returns.
[[nodiscard]] Result<HeldPlan> plan_new_functions(const Host& host, const NewFunctions& functions,
                                                  const std::vector<std::string>& ignored = {});

}  // namespace anybind
