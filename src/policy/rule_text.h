#pragma once

#include <string>

#include "base/error.h"
#include "base/ids.h"
#include "host/host.h"
#include "policy/rule.h"

// What everybody shares who writes rules down.
namespace anybind {

/// The rule as parse_spec() reads it, but for its place.
[[nodiscard]] std::string text_of(const Rule& rule);

/// The card at `id`, and no other: its address, its ids, and its serial number where it tells one.
/// kNotFound: no such device.
[[nodiscard]] Result<RuleMatch> match_of_card(const Host& host, const DeviceId& id);

}  // namespace anybind
