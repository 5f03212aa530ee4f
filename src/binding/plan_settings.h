#pragma once

#include "base/error.h"
#include "binding/plan.h"
#include "binding/planner.h"
#include "host/sysfs.h"

namespace anybind {

/// Adds to a plan for `request`, whose devices have their steps, what their mechanisms write beside
/// (dynamic ids, flags), and what is to be said of them. kRefused: a dynamic id would bind other
/// devices too, and the request does not allow that.
[[nodiscard]] Result<> add_settings(Sysfs& root, const BindRequest& request, Plan& plan);

}  // namespace anybind
