#pragma once

#include <string>

namespace anybind::daemon {

/// For the command of somebody who is not root: calls a method of the running service that takes a
/// text, or with an empty `text` nothing, and prints its answer on standard output; warnings on
/// standard error. An error is printed as {"error": ...}, as the command would, with another
/// exit code than 0 or cli::kNobodyThere. Waits as long as it takes; on a terminal polkit may ask
/// for a password.
[[nodiscard]] int ask(const std::string& method, const std::string& text);

}  // namespace anybind::daemon
