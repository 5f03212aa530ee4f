#pragma once

#include <string>

#include "base/error.h"
#include "host/host.h"
#include "host/sysfs.h"
#include "plan/bind_request.h"
#include "plan/plan.h"

namespace anybind {

/// Adds to a plan for `request`, whose devices have their steps, what their mechanisms write beside
/// (dynamic ids, flags), and what is to be said of them. kRefused: a dynamic id would bind other
/// devices too, and the request does not allow that.
[[nodiscard]] Result<> add_settings(const Host& host, const BindRequest& request, Plan& plan);

/// The same for `device`, which is in no IOMMU group and shall go to a VFIO driver. That takes it
/// only in VFIO's no-IOMMU mode (linux drivers/vfio/group.c:vfio_group_find_or_alloc), which is
/// switched on when the request asks for it. kRefused: it does not; or it does, and this kernel has
/// no such mode.
[[nodiscard]] Result<> add_no_iommu_mode(const Host& host, const BindRequest& request,
                                         const DeviceId& device, Plan& plan);

/// Are both files of `setting` of a kind that plans write to? Asked of what a file says.
[[nodiscard]] bool may_be_written(const Setting& setting);

}  // namespace anybind
