#pragma once

#include <cstddef>
#include <vector>

#include "base/error.h"
#include "change/outcome.h"
#include "host/sysfs.h"
#include "plan/held_plan.h"
#include "record/origins.h"

// What a transaction keeps for `restore`: what its devices were, before they are touched; and what
// is forgotten again once they are that.
namespace anybind {

/// Which devices of `plan` from `from` on `origins` does not know yet, in `fresh`, which has one
/// for each device then. Without `origins`, and of a plan that restores, none.
void note_fresh(const Plan& plan, std::size_t from, const Origins* origins,
                std::vector<bool>& fresh);

/// What the fresh devices from `from` on are, durably. Reads their state. An error: nothing may be
/// changed.
[[nodiscard]] Result<> save_fresh(Sysfs& root, const HeldPlan& plan, std::size_t from,
                                  const std::vector<bool>& fresh, Origins& origins);

/// The same, not durably, of the devices whose number of virtual functions is changed and no more:
/// `restore` gives that back. Those that were not known join `noted`, also before an error.
[[nodiscard]] Result<> note_owners(Sysfs& root, const Plan& plan, Origins& origins,
                                   std::vector<DeviceId>& noted);

/// After success: a device that was given back, or happens to be what it was, is ours no more. All
/// is done by now; what cannot be forgotten is forgotten by the next restore. `outcomes`: one for
/// each device of `plan`.
void forget_what_is_as_it_was(Sysfs& root, const Plan& plan, const std::vector<Outcome>& outcomes,
                              Origins& origins);

}  // namespace anybind
