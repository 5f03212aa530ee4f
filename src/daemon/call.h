#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "daemon/answers.h"
#include "daemon/owned.h"

namespace anybind::daemon {

/// One call of a method, from its arrival to its answer.
struct Call {
  /// In the thread of the bus: what was asked for, as read from the message.
  std::string method;
  std::vector<std::string> words{};  ///< selectors
  std::string text{};                ///< a request, a device, a driver; of a file of rules
  std::string file{};                ///< of rules, its name
  std::string expected{};            ///< what stands in it now

  Owned<sd_bus_message> message{};
  uid_t uid = 0;

  std::optional<Wanted> wanted{};      ///< of a change of devices
  std::vector<Permit> permits{};       ///< what has to be allowed
  std::size_t allowed = 0;             ///< so many of them are, or are in `challenged`
  std::vector<Permit> challenged{};    ///< these are, once somebody has typed a password
  std::optional<Progress> progress{};  ///< that nobody was told yet
  Owned<sd_bus_slot> question{};       ///< to polkit
  std::thread worker{};

  /// As history and those who wait know it: "bind 0000:03:00.0 vfio-pci (user 1000)".
  [[nodiscard]] std::string command() const;
};

/// What a method does that changes nothing. Runs in a thread of its own.
[[nodiscard]] Result<Answer> look(const Host& host, const Call& call, const RuleSource& rules,
                                  const Since& since);
/// Whether the method is one of those.
[[nodiscard]] bool only_looks(const Call& call);

/// Whether it writes a file of rules.
[[nodiscard]] bool writes_rules(const Call& call);

/// What a change needs to be allowed: fills in `wanted` and `permits`.
[[nodiscard]] Result<> prepare(const Host& host, Call& call, const RuleSource& rules);

/// The change itself, when all of that is allowed.
[[nodiscard]] Result<Answer> carry_out(const Host& host, const Call& call, const RuleSource& rules,
                                       const Waiting& waiting);

}  // namespace anybind::daemon
