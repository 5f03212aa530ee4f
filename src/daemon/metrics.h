#pragma once

#include <string>

#include "policy/greeter.h"
#include "policy/keeper.h"

namespace anybind::daemon {

/// What an operator watches, in the text format of Prometheus
/// (https://prometheus.io/docs/instrumenting/exposition_formats/).
[[nodiscard]] std::string metrics_of(const Keeper& keeper, const Greeter& greeter, bool is_held);

}  // namespace anybind::daemon
