#pragma once

#include <string>

namespace anybind::daemon {

/// Nobody is there to ask: no bus, or no service on it.
inline constexpr int kNobodyThere = 69;  // EX_UNAVAILABLE of sysexits.h

/// For the command of somebody who is not root: calls a method of the running service that takes a
/// text, or with an empty `text` nothing, and prints its answer on standard output; warnings on
/// standard error. An error is printed as {"error": ...}, as the command would, with another
/// exit code than 0 or 69. Waits as long as it takes; on a terminal polkit may ask for a password.
[[nodiscard]] int ask(const std::string& method, const std::string& text);

}  // namespace anybind::daemon
