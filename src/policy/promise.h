#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "host/host.h"
#include "policy/rule.h"

namespace anybind {

/// How `promise = "before-probe"` is kept for cards that come while the machine runs; at boot it is
/// what early boot does.
enum class PromiseKept : std::uint8_t {
  kNobodyAsks,    ///< no rule promises it
  kHeld,          ///< the bus is held: no driver of the host is asked for a card of a rule
  kNotHeld,       ///< the kernel could, and nobody holds the bus
  kKernelCannot,  ///< a driver of the host may have a card first, which is then moved over
};

/// As it is now. What cannot be read counts as not held.
[[nodiscard]] PromiseKept promise_kept(const Host& host, const Spec& spec);

/// In a sentence; empty for kNobodyAsks.
[[nodiscard]] std::string words_of(PromiseKept kept);

}  // namespace anybind
