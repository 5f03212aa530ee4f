#pragma once

#include "base/error.h"
#include "cli/change.h"
#include "cli/choose.h"
#include "cli/verb.h"

namespace CLI {
class App;
}

// What of the devices that were chosen is left alone after all.
namespace anybind::cli {

/// --except SELECTOR.
void add_except(CLI::App& app, std::vector<std::string>& except);
/// --skip-in-use.
void add_skip_in_use(CLI::App& app, ChangeOptions& options);

/// `devices` without those that `except` means. A pattern there may mean none; a name that is
/// nothing is an error, as the device that it was to protect would be taken.
[[nodiscard]] Result<std::vector<DeviceId>> without(const Context& context,
                                                    std::vector<DeviceId> devices,
                                                    const std::vector<std::string>& except);

/// Whether bridges that only a pattern means are left alone, as --group leaves them.
enum class Bridges : std::uint8_t { kTake, kLeaveAlone };

/// Takes out of `chosen` what `options` says, and tells what: --except, bridges, and with
/// --skip-in-use what the guards find in use. kUsage: all of it is excepted, or --group would take
/// what is.
[[nodiscard]] Result<> leave_out(const Context& context, const ChangeOptions& options,
                                 Bridges bridges, Chosen& chosen);

}  // namespace anybind::cli
