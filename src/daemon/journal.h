#pragma once

#include "policy/keeper.h"

namespace anybind::daemon {

/// Tells the journal of systemd, with the device and the rule as fields (ANYBIND_DEVICE,
/// ANYBIND_RULE, ANYBIND_NEXT), where our standard error goes there; else a line on standard error.
void tell(const Notice& notice);

}  // namespace anybind::daemon
