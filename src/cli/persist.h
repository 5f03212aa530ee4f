#pragma once

#include <string>

#include "base/error.h"
#include "cli/change.h"
#include "cli/verb.h"
#include "plan/request.h"

namespace anybind::cli {

/// --persist and --rules.
void add_persist(CLI::App& app, ChangeOptions& options, const char* what);

/// carry_out(); with --persist the rules that make it last are written before, and are what they
/// were when it fails.
[[nodiscard]] Result<int> carry_out_for_good(Context& context, const ChangeOptions& options,
                                             const Request& request);

}  // namespace anybind::cli
