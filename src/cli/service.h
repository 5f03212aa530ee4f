#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "change/outcome.h"
#include "cli/verb.h"
#include "policy/lasting.h"

// Who is not root asks anybindd, which asks polkit (docs/dbus.md). nullopt of each: nobody is there
// to be asked, or this is not about this machine, or we are root: then it is done as ever.
namespace anybind::cli {

/// The exit code of anybindd --ask when nobody is there to ask: no bus, or no service on it.
inline constexpr int kNobodyThere = 69;  // EX_UNAVAILABLE of sysexits.h

/// What the service answers to a method that takes `text`: JSON. Blocks until it has.
[[nodiscard]] std::optional<Result<std::string>> ask_service(const Context& context,
                                                             const std::string& method,
                                                             const std::string& text = "");

/// The same of a change.
[[nodiscard]] std::optional<Result<std::vector<Outcome>>> change_by_service(const Context& context,
                                                                            const Wanted& wanted);

}  // namespace anybind::cli
