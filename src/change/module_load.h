#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "change/listener.h"
#include "change/run_options.h"
#include "host/host.h"
#include "plan/plan.h"

namespace anybind {

/// Loads the modules of `plan` whose drivers are not there by now; `loaded` gets their names. Each
/// must then have brought its driver (kNotFound otherwise).
[[nodiscard]] Result<> load_modules(const Host& host, const Plan& plan, Listener& listener,
                                    const RunOptions& options, std::vector<std::string>& loaded);

}  // namespace anybind
