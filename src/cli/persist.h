#pragma once

#include <string>

#include "base/error.h"
#include "cli/change.h"
#include "cli/verb.h"
#include "policy/lasting.h"

namespace anybind::cli {

/// --persist and --rules.
void add_persist(CLI::App& app, ChangeOptions& options, const char* what);

/// carry_out(), with --persist for good, and tells which rules it has written.
[[nodiscard]] Result<int> carry_out_for_good(Context& context, const ChangeOptions& options,
                                             Wanted wanted);

}  // namespace anybind::cli
