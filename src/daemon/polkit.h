#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include <systemd/sd-bus.h>

#include "daemon/answers.h"
#include "daemon/owned.h"

namespace anybind::daemon {

enum class Verdict {
  kYes,
  kChallenge,  ///< once somebody who may say so has typed a password
  kNo,
  kNobodyToAsk,  ///< polkit is not there
};

/// Whether polkit may put a question to a person.
enum class Asks : std::uint8_t { kNobody, kPeople };

/// Asks polkit whether the sender of `call` is permitted this. `on_verdict` is called later by the
/// loop of the bus, once, unless the slot goes before. Nullptr: the question could not be sent.
[[nodiscard]] Owned<sd_bus_slot> ask_polkit(sd_bus_message& call, const Permit& permit, Asks asks,
                                            std::function<void(Verdict)> on_verdict);

/// Whether the sender of `call` can be asked at all.
[[nodiscard]] bool allows_questions(sd_bus_message& call);

/// One permit for all of these, so that one password is enough; nullopt: each is to be asked for by
/// itself, as they are too many for people to read, or one of them is against a guard.
[[nodiscard]] std::optional<Permit> together(const std::vector<Permit>& permits);

}  // namespace anybind::daemon
