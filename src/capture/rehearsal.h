#pragma once

#include <vector>

#include "base/error.h"
#include "change/listener.h"
#include "change/outcome.h"
#include "drivercore/core/state.h"
#include "host/host.h"
#include "plan/plan.h"
#include "plan/request.h"

namespace anybind {

/// What a change would do.
struct Rehearsal {
  Plan plan;  ///< on the machine
  /// What the same code made of it on a model of the machine. Of a bus that no model knows, which a
  /// note of the plan says, only what the plan asks for.
  Result<std::vector<Outcome>> predicted;
};

/// Plans on the machine of `host`, and runs the plan, with the code of a real change, on a model of
/// it: a copy of `lab`, or with nullptr a capture. Nothing is changed; `listener` is told what the
/// model is done to. Errors: those of change() up to its first write, and kFailed when no model can
/// be made of the machine.
[[nodiscard]] Result<Rehearsal> rehearse(const Host& host, const drivercore::State* lab,
                                         const Request& request, Listener& listener);

}  // namespace anybind
