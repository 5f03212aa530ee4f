#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "change/listener.h"
#include "change/outcome.h"
#include "change/recover.h"
#include "change/run_options.h"
#include "host/host.h"
#include "plan/held_plan.h"
#include "plan/request.h"
#include "record/records.h"

namespace anybind {

/// Does what `request` asks for, on the machine of `host`: all of it, or nothing of it. The one way
/// to a change, for every caller; what it goes through stands at the top of engine.cc.
///
/// Blocks while another process changes bindings, and while the kernel does what it is asked to;
/// `listener` is told, and may ask to stop. A device's outcome is what was read back.
///
/// Errors: kUsage, kNotFound, kRefused, kNotPermitted before anything was changed; kFailed when all
/// is as it was again; kIncomplete when it is not, or a write has not returned: recover_changes()
/// goes on from there.
[[nodiscard]] Result<std::vector<Outcome>> change(const Host& host, const Request& request,
                                                  Listener& listener);

/// What became of the changes that were cut off.
struct Recovery {
  std::vector<Recovered> changes;  ///< newest first
  /// What `restore` goes by could not be read, and was left alone: no harm to the devices.
  std::optional<Error> damage{};
};

/// Ends every change that was cut off, as change/recover.h says. Of `request` only `ignored` and
/// `patience` count. Errors: the journal cannot be had at all, or another process changes things.
[[nodiscard]] Result<Recovery> recover_changes(const Host& host, const Request& request,
                                               Listener& listener);

/// What change() would do, as far as can be known before: reads only, and asks nobody whether the
/// devices are in use. `memory` is read where the request needs to know what there was.
[[nodiscard]] Result<HeldPlan> plan_change(const Host& host, const Request& request,
                                           const Memory& memory);

/// Whether planning `request` reads what there was before.
[[nodiscard]] bool needs_memory(const Request& request);

/// What is remembered on `host`, to look at.
[[nodiscard]] Result<Memory> read_memory(const Host& host);

/// The devices that were taken by the name of an interface (Request::names) that `is_meant`, and
/// not given back since; empty where nothing is remembered, or it cannot be read.
[[nodiscard]] std::vector<DeviceId> known_as(
    const Host& host, const std::function<bool(const std::string& name)>& is_meant);
/// The same of this very name.
[[nodiscard]] std::vector<DeviceId> known_as(const Host& host, const std::string& name);

/// kRefused when `plan` takes a device from somebody who uses it.
[[nodiscard]] Result<> refuse_used(const Host& host, const HeldPlan& plan, const Request& request);

/// Request::owner, as change() looks at it first. kUsage: no such user, or nothing to give away.
[[nodiscard]] Result<> check_owner(const Host& host, const Request& request);

/// The device nodes that change() will give to Request::owner, as far as can be known before.
[[nodiscard]] std::vector<std::string> nodes_to_give(const Host& host, const Plan& plan);

/// "process 812 still waits in its unbind" for each write of `device`, a DeviceId::str(), that an
/// earlier change has left behind, as far as the journal can be read.
[[nodiscard]] std::vector<std::string> left_in(const Host& host, const std::string& device);

/// Why a device is busy: "the kernel holds its lock; process 812 still waits in its unbind".
[[nodiscard]] std::string why_busy(const Host& host, const std::string& device);

}  // namespace anybind
