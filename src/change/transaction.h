#pragma once

#include <vector>

#include "base/error.h"
#include "change/listener.h"
#include "change/outcome.h"
#include "change/run_options.h"
#include "host/host.h"
#include "plan/held_plan.h"

namespace anybind {

/// Runs `plan`: all of it, or nothing of it.
///
/// Before the first write, the journal holds durably what there was and what is intended, and
/// `origins` what `restore` gives back; after a restore, and after a failure that left nothing
/// behind, that is forgotten again. Refused (kIncomplete) while a device is part of a transaction
/// that was cut off.
/// Before each device's first write its instance is compared with the plan's, and again after its
/// last; after each write the state is read back, because a success of the kernel proves nothing
/// (kernel-facts: finding 4). When a device fails, all devices touched so far are put back, driver
/// and override, last first.
///
/// With `host.concurrent`, devices that have neither a slot nor an IOMMU group in common go side by
/// side once it shows that the kernel lets us wait; a thread that cannot be had is done without.
///
/// Nothing is thrown: when memory runs out, what was done is put back as after any failure.
///
/// Errors: that of the first failure, with kFailed, kNotPermitted or kNotFound when everything is
/// as it was; kIncomplete when something could not be put back, or a
/// write has not returned (`why` then says what): the transaction stays open for recover().
[[nodiscard]] Result<std::vector<Outcome>> run(const Host& host, const HeldPlan& plan,
                                               Records records, Listener& listener,
                                               const RunOptions& options = {});

}  // namespace anybind
