#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "change/listener.h"
#include "host/host.h"
#include "plan/request.h"
#include "policy/judge.h"
#include "policy/lasting.h"
#include "policy/rule.h"
#include "policy/rule_files.h"
#include "wire/json.h"

// What the methods of org.anybind.Manager1 answer (docs/dbus.md), without the bus: JSON, each in
// the form that docs/schema/ gives it. Every function blocks as what it calls does, and may be
// called by any thread that has a Host of its own.
namespace anybind::daemon {

/// The devices that `selectors` mean, all PCI devices without any, with who uses them:
/// docs/schema/list.schema.json.
[[nodiscard]] Result<std::string> list_devices(const Host& host,
                                               const std::vector<std::string>& selectors);

/// docs/schema/explain.schema.json, of one device; `driver` may be empty. kUsage: not one device.
[[nodiscard]] Result<std::string> explain(const Host& host, const std::string& selector,
                                          const std::string& driver);

/// What would be done: "dry_run" of docs/schema/change.schema.json. Of functions that are made over
/// none, the removal. Errors are also those of the rules that it would write.
[[nodiscard]] Result<std::string> plan(const Host& host, const RuleSource& rules,
                                       const Wanted& wanted);

/// docs/schema/history.schema.json.
[[nodiscard]] Result<std::string> history(const Host& host);

/// Since when a device is not as declared, as the service knows it: seconds since 1970.
using Since = std::map<DeviceId, std::int64_t>;
/// docs/schema/status.schema.json.
[[nodiscard]] Result<std::string> status(const Host& host, const RuleSource& rules,
                                         const Since& since);
/// docs/schema/rules.schema.json.
[[nodiscard]] Result<std::string> list_rules(const Host& host, const RuleSource& rules);

/// The member "status" of docs/schema/apply.schema.json.
[[nodiscard]] wire::Json status_value(const Host& host, const Spec& spec,
                                      const Judgement& judgement);

/// A request for the devices that `selectors` mean; none: kUsage.
[[nodiscard]] Result<Request> request_for(const Host& host, Request::Verb verb,
                                          const std::vector<std::string>& selectors);

/// Something that whoever asks for a change has to be allowed. Two of one change may be the same.
struct Permit {
  enum class Action : std::uint8_t {
    kChange,     ///< of a device's driver
    kFunctions,  ///< of a device's number of virtual functions
    kGiveBack,   ///< of a device to what it was before anybind
    kOverrule,   ///< one of these, though a guard or a missing IOMMU speaks against it
    kApplyRule,  ///< making a rule so
    kWriteRule,  ///< another text for a rule
    kTogether,   ///< several of these, none of which is allowed without a password
  };
  Action action = Action::kChange;
  std::string device{};  ///< its DeviceId::str(); empty for rules
  std::string driver{};  ///< where it goes: "none" to no driver, "default" to any; empty for a rule
  std::string count{};   ///< of functions
  std::string overrules{};  ///< what speaks against it: names of guards and more, with commas
  std::string rule{};       ///< its name; empty for a file in which no rule is another one
  std::string file{};       ///< in which the rule is written: "50-guest.toml"
  std::string text{};       ///< of the rule, in TOML; empty: it goes
  std::string together{};   ///< of kTogether: each of them in words
  friend bool operator==(const Permit&, const Permit&) = default;
};

/// What is wanted of which device, as it is planned now, and the rules that it writes. Errors:
/// those of plan_change() and of lasting_rules().
[[nodiscard]] Result<std::vector<Permit>> permits_for(const Host& host, const RuleSource& rules,
                                                      const Wanted& wanted);
/// For each rule that something has to be done for.
[[nodiscard]] Result<std::vector<Permit>> permits_for(const Host& host, const RuleSource& rules);

/// What a change has said on its way, and its answer.
struct Answer {
  std::string json;
  std::vector<std::string> warnings{};  ///< a line each, printable
  bool changed = false;                 ///< the machine is another one now
};

/// What is being done on which device, in words; without a device: on none by itself.
struct Progress {
  std::string device{};  ///< a DeviceId::str()
  std::string text{};
};

/// Who waits for a change.
struct Waiting {
  std::function<bool()> stop_requested;
  /// Called by any thread, before each step: returns soon.
  std::function<void(Progress)> tell;
};

/// Does what is asked for, as long as that is no more than `allowed`: the plan is compared again
/// before the first write, since a group may have a new member. docs/schema/change.schema.json.
/// kNotPermitted: it is more.
[[nodiscard]] Result<Answer> change(const Host& host, const RuleSource& rules, const Wanted& wanted,
                                    const std::vector<Permit>& allowed, const Waiting& waiting);

/// Makes the rules in `allowed` so, and no other. docs/schema/apply.schema.json.
[[nodiscard]] Result<Answer> apply(const Host& host, const RuleSource& rules,
                                   const std::vector<Permit>& allowed, const Waiting& waiting);

}  // namespace anybind::daemon
