#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "change/listener.h"
#include "change/outcome.h"
#include "host/host.h"
#include "plan/request.h"
#include "policy/judge.h"
#include "policy/rule.h"

namespace anybind {

/// A change that would make a part of the declared state so.
struct RuleRequest {
  std::size_t rule = 0;  ///< of Spec::rules
  Request request;       ///< pinned to the cards that were judged
};

/// The changes that are next: numbers of virtual functions, of devices that have the driver which
/// makes them; then drivers, a change for each rule.
[[nodiscard]] std::vector<RuleRequest> next_requests(const Spec& spec, const Judgement& judgement);

/// The same change for each IOMMU group by itself, and for each device without one: so that one
/// device that is in use does not keep the others.
[[nodiscard]] std::vector<Request> split_by_group(const Request& request,
                                                  const Judgement& judgement);

/// The number in the journal of the last change that has removed the functions of `pf`, if that is
/// the last one of them.
[[nodiscard]] std::optional<std::uint64_t> last_removal(const Host& host, const DeviceId& pf);

/// A change that ended with this error has written nothing, and parts of it may be possible.
[[nodiscard]] bool may_be_split(const Error& error);

/// What came of a change that a rule asked for.
struct Applied {
  std::size_t rule = 0;
  Request request;
  std::vector<Outcome> outcomes{};
  std::optional<Error> error{};
};

/// Is told of each rule before a change for it.
using OnRule = std::function<void(const Rule&)>;

/// Whether a device that is not as declared may be changed now.
using MayChange = std::function<bool(const Standing&)>;

/// What was done, in order; and why it ended early, where the machine did not let itself be read.
struct Application {
  std::vector<Applied> changes{};
  std::optional<Error> error{};
};

/// Makes the declared state so, as far as it is not: each rule as one change through the engine,
/// with all of its promises; when that is refused, or a card has gone, each of its IOMMU groups by
/// itself. Another number of virtual functions is made when the old ones are removed, which are
/// made again when that fails. Goes on with the next rule after an error, but not after one that
/// leaves something half done (kIncomplete) or when `listener` has asked to stop. Blocks as
/// change() does. Devices for which `may_change` says no are left as they are. Errors: the machine
/// does not let itself be read.
[[nodiscard]] Application apply_spec(const Host& host, const Spec& spec, Listener& listener,
                                     const OnRule& on_rule = {}, const MayChange& may_change = {});

}  // namespace anybind
