#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "change/listener.h"
#include "change/outcome.h"
#include "host/host.h"
#include "host/storage.h"
#include "plan/request.h"
#include "policy/own_rules.h"

// Changes that are more than one change of bindings: those that shall last, by rules, and those
// that lead over none. For the command and for the service.
namespace anybind {

/// What somebody asks for.
struct Wanted {
  Request request;
  bool persist = false;   ///< rules say so too, and it outlives the boot (policy/own_rules.h)
  bool recreate = false;  ///< kMakeFunctions: functions that are there are removed before
  friend bool operator==(const Wanted&, const Wanted&) = default;
};

/// Where a change writes rules, and those that are there.
struct RuleFolder {
  RuleFiles there;
  Storage* storage = nullptr;
  std::unique_ptr<Storage> own{};  ///< behind `storage`, where it is not the machine's
};
/// The folder of the machine, or a directory that somebody names. kUsage: there is none.
[[nodiscard]] Result<RuleFolder> open_rule_folder(const Host& host, const std::string& directory);

/// The rules by which `request` lasts. Errors: those of own_rules_of() and check_own_rules().
[[nodiscard]] Result<std::vector<OwnRule>> lasting_rules(const Host& host, const Request& request,
                                                         const RuleFiles& there);

/// With Wanted::recreate: the change that comes first, to none; nullopt: no functions are there.
[[nodiscard]] Result<std::optional<Request>> removal_before(const Host& host, const Wanted& wanted);

/// Is asked before rules are written.
using MayWrite = std::function<Result<>(const std::vector<OwnRule>&)>;

/// change(), and what is wanted beyond it. Rules are written before the change, and are what they
/// were when it fails. What was removed before is made again when the rest fails. `folder` is where
/// the rules of Wanted::persist go.
[[nodiscard]] Result<std::vector<Outcome>> change_as_wanted(const Host& host, const Wanted& wanted,
                                                            const RuleFolder* folder,
                                                            Listener& listener,
                                                            const MayWrite& may_write = {});

/// Whoever reads a file of rules in this process to write it then holds this meanwhile.
[[nodiscard]] std::unique_lock<std::mutex> lock_rules();

}  // namespace anybind
