#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "host/proc.h"

namespace anybind::guards {

/// A connection over which somebody is logged in from another machine.
struct Login {
  std::string address;  ///< its end here: the 4 or 16 bytes of it
  bool is_ours = true;  ///< false: somebody's, and perhaps ours
  friend bool operator==(const Login&, const Login&) = default;
};

/// The bytes of an address as people write it ("192.0.2.7", "fe80::1%eth0", "::ffff:192.0.2.7");
/// empty for anything else.
[[nodiscard]] std::string address_bytes(std::string_view text);

/// How whoever gave the command is logged in: by `told`, an address as people write it, which may
/// be empty; by the connections of the processes that started this one; and, when neither says
/// anything, all that come in at the port of ssh. Empty: at the console.
[[nodiscard]] std::vector<Login> read_logins(const Proc& proc, std::string_view told);

}  // namespace anybind::guards
