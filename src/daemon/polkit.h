#pragma once

#include <functional>

#include <systemd/sd-bus.h>

#include "daemon/answers.h"
#include "daemon/owned.h"

namespace anybind::daemon {

enum class Verdict {
  kYes,
  kNo,
  kNobodyToAsk,  ///< polkit is not there
};

/// Asks polkit whether the sender of `call` is permitted this; may put a question to that person
/// where the call allows it. `on_verdict` is called later by the loop of the bus, once, unless the
/// slot goes before. Nullptr: the question could not be sent.
[[nodiscard]] Owned<sd_bus_slot> ask_polkit(sd_bus_message& call, const Permit& permit,
                                            std::function<void(Verdict)> on_verdict);

}  // namespace anybind::daemon
