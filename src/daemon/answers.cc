// What an unprivileged caller may do is decided by polkit, device by device, before anything is
// planned for real; and a group may get another member between the answer and the change. So what
// was allowed goes along with the change, and is compared with the plan that is about to run.
#include "daemon/answers.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/try.h"
#include "capture/rehearsal.h"
#include "cli/advice.h"
#include "cli/answer.h"
#include "cli/names_file.h"
#include "engine/driver_answer.h"
#include "engine/engine.h"
#include "engine/history.h"
#include "inventory/inventory.h"
#include "inventory/names.h"
#include "inventory/net_interface.h"
#include "inventory/select.h"
#include "policy/apply.h"
#include "policy/judge.h"
#include "policy/promise.h"
#include "policy/since.h"
#include "users/guards.h"
#include "wire/device.h"
#include "wire/dry_run.h"
#include "wire/explain.h"
#include "wire/history.h"
#include "wire/outcome.h"
#include "wire/policy.h"

namespace anybind::daemon {
namespace {

constexpr std::size_t kMostSelectors = 1000;

Result<std::vector<DeviceId>> devices_of(const Host& host,
                                         const std::vector<std::string>& selectors) {
  if (selectors.size() > kMostSelectors)
    return fail({.kind = ErrorKind::kUsage, .why = "too many selectors"});
  return select_devices(host.sysfs, selectors, host.sysfs_root);
}

std::string goal_word(const Goal& goal) {
  if (goal.driver) return goal.driver->str();
  return goal.default_match ? "default" : "none";
}

/// A number of functions is written to a setting of their device. Any other setting reaches further
/// than one device: a dynamic id, a flag of the bus.
bool reaches_further(const Request& request, const Plan& plan) {
  return request.verb != Request::Verb::kMakeFunctions && !plan.settings.empty();
}

std::vector<Permit> permits_of(const Request& request, const Plan& plan) {
  using Action = Permit::Action;
  const bool overrules =
      !request.ignored.empty() || request.no_iommu || reaches_further(request, plan);
  const Action action = overrules                                 ? Action::kOverrule
                        : request.verb == Request::Verb::kRestore ? Action::kGiveBack
                                                                  : Action::kChange;
  std::vector<Permit> out;
  const auto add = [&](const DeviceId& device, const std::string& driver) {
    out.push_back({.action = action, .device = device.str(), .driver = driver});
  };
  if (request.verb == Request::Verb::kMakeFunctions) {
    // The functions are their device's own, those that go as well as those that come.
    const DeviceId& device = request.devices.front();
    add(device, request.driver ? request.driver->str() : "none");
    for (const auto& [number, driver] : request.function_drivers) add(device, driver.str());
    return out;
  }
  for (const DevicePlan& device : plan.devices) add(device.device, goal_word(device.goal));
  return out;
}

bool is_allowed(const std::vector<Permit>& allowed, const Permit& permit) {
  return std::ranges::find(allowed, permit) != allowed.end();
}

/// Ends a change that would do more than was allowed, and collects what it says.
class Guarded final : public Listener {
 public:
  Guarded(const Request& request, const std::vector<Permit>& allowed,
          const std::function<bool()>& stop_requested)
      : request_(request), allowed_(allowed), stop_requested_(stop_requested) {}

  void on_plan(const Plan& plan) override {
    for (const Remark& warning : plan.warnings)
      warnings_.push_back(printable(cli::text_of(warning), 1024));
    for (const Permit& permit : permits_of(request_, plan)) {
      if (!is_allowed(allowed_, permit)) beyond_ = permit;
    }
  }
  void on_warning(const std::string& text) override { warnings_.push_back(printable(text, 1024)); }
  [[nodiscard]] bool stop_requested() const override {
    return beyond_.has_value() || stop_requested_();
  }

  [[nodiscard]] const std::optional<Permit>& beyond() const { return beyond_; }
  [[nodiscard]] std::vector<std::string> warnings() { return std::move(warnings_); }

 private:
  const Request& request_;
  const std::vector<Permit>& allowed_;
  const std::function<bool()>& stop_requested_;
  std::optional<Permit> beyond_{};
  std::vector<std::string> warnings_{};
};

/// The same of rules, of which only those are made so that are allowed.
class Patient final : public Listener {
 public:
  explicit Patient(const std::function<bool()>& stop_requested) : stop_requested_(stop_requested) {}
  void on_plan(const Plan& plan) override {
    for (const Remark& warning : plan.warnings)
      warnings_.push_back(printable(cli::text_of(warning), 1024));
  }
  void on_warning(const std::string& text) override { warnings_.push_back(printable(text, 1024)); }
  [[nodiscard]] bool stop_requested() const override { return stop_requested_(); }
  [[nodiscard]] std::vector<std::string> warnings() { return std::move(warnings_); }

 private:
  const std::function<bool()>& stop_requested_;
  std::vector<std::string> warnings_{};
};

wire::Json status_value(const Host& host, const Spec& spec, const Judgement& judgement) {
  auto since = last_changes(host, spec, judgement.devices);
  return wire::to_json(spec, judgement, since.value_or(std::map<DeviceId, LastChange>()),
                       cli::text_of);
}

Error beyond_error(const Permit& permit) {
  return {.kind = ErrorKind::kNotPermitted,
          .object = permit.device,
          .why = "the change would do more than was allowed: something has come meanwhile",
          .advice = "nothing was changed; ask again"};
}

}  // namespace

Result<std::string> list_devices(const Host& host, const std::vector<std::string>& selectors) {
  const auto ids = TRY(selectors.empty() ? read_device_ids(host.sysfs, BusName::literal("pci"))
                                         : devices_of(host, selectors));
  const auto devices = TRY(read_inventory(host.sysfs, ids, 1));
  std::vector<std::string> syspaths;
  std::vector<Asked> asked;
  for (const Device& device : devices) {
    syspaths.push_back(read_syspath(host.sysfs, device.id));
    asked.push_back({device.id});
  }
  const InUse in_use = find_blockers(host, asked);
  PciNames names(cli::names_file());
  return wire::list_text(devices, syspaths, read_users(host.sysfs), &in_use, names, host.sysfs_root,
                         cli::text_of);
}

Result<std::string> explain(const Host& host, const std::string& selector,
                            const std::string& driver) {
  const auto devices = TRY(devices_of(host, {selector}));
  std::optional<DriverName> name;
  if (!driver.empty()) name = TRY(DriverName::parse(driver));
  const std::string aliases = host.modules == nullptr ? "" : std::string(host.modules->aliases());
  wire::Json rows = wire::Json::array();
  for (const DeviceId& id : devices) {
    const Explanation explanation = TRY(explain_device(host.sysfs, id, aliases));
    std::optional<DriverAnswer> asked;
    if (name) asked = TRY(ask_driver(host, explanation, *name, aliases));
    rows.push_back(wire::to_json(explanation, asked ? &*asked : nullptr, cli::text_of));
  }
  return wire::text_of(rows);
}

Result<std::string> plan(const Host& host, const Request& request) {
  wire::DryRun steps(host.sysfs_root);
  const Rehearsal tried = TRY(rehearse(host, nullptr, request, steps));
  wire::Json told =
      steps.value(request, tried.plan, tried.predicted ? &*tried.predicted : nullptr, cli::text_of);
  if (!tried.predicted) told["error"] = cli::error_value(tried.predicted.error());
  return wire::text_of(told);
}

Result<std::string> history(const Host& host) {
  return wire::text_of(wire::to_json(TRY(read_history(host))));
}

Result<std::string> status(const Host& host, const ReadRules& rules) {
  const Spec spec = TRY(rules(host));
  wire::Json value = status_value(host, spec, TRY(judge(host, spec)));
  value["before_probe"] = wire::to_json(promise_kept(host, spec));
  return wire::text_of(value);
}

Result<std::string> list_rules(const Host& host, const ReadRules& rules) {
  const Spec spec = TRY(rules(host));
  return wire::text_of(wire::rules_to_json(spec, TRY(judge(host, spec))));
}

Result<Request> request_for(const Host& host, Request::Verb verb,
                            const std::vector<std::string>& selectors) {
  if (selectors.empty()) return fail({.kind = ErrorKind::kUsage, .why = "no device is named"});
  return Request{.verb = verb, .devices = TRY(devices_of(host, selectors))};
}

Result<std::vector<Permit>> permits_for(const Host& host, const Request& request) {
  const Memory memory = TRY(read_memory(host));
  const HeldPlan plan = TRY(plan_change(host, request, memory));
  return permits_of(request, plan);
}

Result<std::vector<Permit>> permits_for(const Host& host, const ReadRules& rules) {
  const Spec spec = TRY(rules(host));
  const Judgement now = TRY(judge(host, spec));
  std::vector<Permit> out;
  for (const Standing& standing : now.devices) {
    if (standing.state != Standing::State::kDrift) continue;
    const Permit permit{.action = Permit::Action::kApplyRule,
                        .rule = spec.rules[standing.rule].name};
    if (!is_allowed(out, permit)) out.push_back(permit);
  }
  return out;
}

Result<Answer> change(const Host& host, const Request& request, const std::vector<Permit>& allowed,
                      const std::function<bool()>& stop_requested) {
  Guarded listener(request, allowed, stop_requested);
  const auto outcomes = anybind::change(host, request, listener);
  if (!outcomes && listener.beyond()) return fail(beyond_error(*listener.beyond()));
  if (!outcomes) return fail(outcomes.error());
  return Answer{.json = wire::text_of(wire::to_json(*outcomes)), .warnings = listener.warnings()};
}

Result<Answer> apply(const Host& host, const ReadRules& rules, const std::vector<Permit>& allowed,
                     const std::function<bool()>& stop_requested) {
  const Spec spec = TRY(rules(host));
  Patient listener(stop_requested);
  const auto may_change = [&](const Standing& standing) {
    return is_allowed(
        allowed, {.action = Permit::Action::kApplyRule, .rule = spec.rules[standing.rule].name});
  };
  const Application done = apply_spec(host, spec, listener, {}, may_change);
  if (done.error) return fail(*done.error);
  const Judgement after = TRY(judge(host, spec));
  const wire::Json value = {{"changes", cli::applied_value(spec, done.changes)},
                            {"status", status_value(host, spec, after)}};
  return Answer{.json = wire::text_of(value), .warnings = listener.warnings()};
}

}  // namespace anybind::daemon
