#pragma once

#include "base/error.h"
#include "cli/verb.h"
#include "policy/judge.h"
#include "policy/rule.h"

// Rules at boot: what `apply --early` does there, and what the running machine writes down for it.
namespace anybind::cli {

/// Keeps devices for the drivers that rules give them, before the host's drivers come.
[[nodiscard]] Result<int> run_early(Context& context, bool dry);

/// Brings the boot list up to date with what is so of the machine's own rules, and tells what has
/// to be done to the initramfs then. What cannot be written is a warning: the change is made.
void keep_list(const Context& context, const Spec& spec, const Judgement& judgement);
/// The same after a change that has written rules.
void keep_list(const Context& context);

}  // namespace anybind::cli
