#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "change/outcome.h"
#include "host/sysfs.h"
#include "plan/held_plan.h"

// How a run ends: what transaction.cc tells of it.
namespace anybind {

/// The machine is as `machine` says, and only the journal could not be closed: `cause` tells that.
/// Throws nothing: where there is no memory for the words, the code alone tells it.
void say_still_open(Error& cause, const char* machine, const Error& why);

/// What to do when not everything could be put back. Without a journal recover() knows nothing.
[[nodiscard]] Remark way_out_of_half(bool has_journal);

/// Looks once more at a device of `plan`, which shall be as `should` says; a driver that the bus
/// chose late goes into that. What was done to one device may have taken another one away, as a
/// physical function's driver does with its virtual functions: that one is added to `lost`.
[[nodiscard]] Result<> look_at_end(Sysfs& root, const HeldPlan& plan, std::size_t at,
                                   Binding& should, std::vector<std::size_t>& lost);

/// After the late settings: which devices those have removed, as was asked.
void mark_removed(Sysfs& root, const Plan& plan, std::vector<Outcome>& outcomes);

/// When all was put back: of which lost devices what stands in their place is not as they were.
[[nodiscard]] std::vector<std::string> lost_words(Sysfs& root, const Plan& plan,
                                                  const std::vector<std::size_t>& lost);

}  // namespace anybind
