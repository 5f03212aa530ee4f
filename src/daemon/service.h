#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "host/host.h"

namespace anybind::daemon {

struct ServiceOptions {
  std::vector<std::string> rules;  ///< files or directories of rules; none: those of the machine
  std::string metrics;             ///< a directory for metrics.prom; empty: none is written
};

/// Runs until it is told to stop (SIGTERM, SIGINT). SIGHUP, and a change in the directories of
/// rules, have the rules read again. Tells systemd when it is ready, what it does and that it
/// lives, where NOTIFY_SOCKET and WATCHDOG_USEC say so (sd_notify(3)). The signals have to be
/// blocked in every thread. Errors: it could not begin.
[[nodiscard]] Result<> serve(const Host& host, const ServiceOptions& options);

}  // namespace anybind::daemon
