// What an unprivileged caller may do is decided by polkit, device by device, before anything is
// planned for real; and a group may get another member between the answer and the change. So what
// was allowed goes along with the change, and is compared with the plan that is about to run.
#include "daemon/answers.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
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
#include "inventory/select.h"
#include "inventory/vfio_driver.h"
#include "policy/apply.h"
#include "policy/judge.h"
#include "policy/promise.h"
#include "policy/since.h"
#include "users/listing.h"
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

/// What a request passes over, in words for a rule of polkit. A setting that is not a number of
/// functions reaches further than one device: a dynamic id, a flag of the bus.
std::string overruled_by(const Request& request, const Plan& plan) {
  std::vector<std::string> out = request.ignored;
  if (request.no_iommu) out.emplace_back("no-iommu");
  if (request.part_of_group) out.emplace_back("part-of-group");
  if (request.mechanism) out.emplace_back("mechanism");
  if (request.verb != Request::Verb::kMakeFunctions && !plan.settings.empty())
    out.emplace_back("other-devices");
  return fmt::format("{}", fmt::join(out, ","));
}

/// Who gets the node of a group can open every member that is with a VFIO driver.
std::vector<Device> opened_along(const Host& host, const Plan& plan) {
  std::vector<Device> out;
  for (const DevicePlan& of : plan.devices) {
    const auto device = read_inventory(host.sysfs, {of.device}, 1);
    if (!device || device->empty() || !device->front().iommu_group) continue;
    const auto ids = read_group(host.sysfs, *device->front().iommu_group);
    const auto members = ids ? read_inventory(host.sysfs, *ids, 1) : Result<std::vector<Device>>();
    if (!members) continue;
    std::ranges::copy_if(*members, std::back_inserter(out), [](const Device& member) {
      return member.driver && is_vfio_driver(member.driver->str());
    });
  }
  return out;
}

std::vector<Permit> permits_of(const Host& host, const Request& request, const Plan& plan) {
  using Action = Permit::Action;
  const std::string overrules = overruled_by(request, plan);
  std::vector<Permit> out;
  const auto add = [&](Action action, const std::string& device, const std::string& driver,
                       const std::string& count = "") {
    const Permit permit{.action = overrules.empty() ? action : Action::kOverrule,
                        .device = device,
                        .driver = driver,
                        .count = count,
                        .overrules = overrules};
    if (std::ranges::find(out, permit) == out.end()) out.push_back(permit);
  };
  if (request.verb == Request::Verb::kMakeFunctions) {
    // The functions are their device's own, those that go as well as those that come.
    const std::string device = request.devices.front().str();
    const std::string count = fmt::format("{}", request.count);
    add(Action::kFunctions, device, request.driver ? request.driver->str() : "none", count);
    for (const auto& [number, driver] : request.function_drivers)
      add(Action::kFunctions, device, driver.str(), count);
    return out;
  }
  for (const DevicePlan& device : plan.devices) {
    const bool gives_back = request.verb == Request::Verb::kRestore && !device.goal.default_match;
    add(gives_back ? Action::kGiveBack : Action::kChange, device.device.str(),
        goal_word(device.goal));
  }
  for (const Setting& setting : plan.settings)
    add(Action::kOverrule, setting.device ? setting.device->str() : "", "");
  if (plan.makes)
    add(Action::kFunctions, plan.makes->pf.str(), plan.makes->driver.str(),
        fmt::format("{}", plan.makes->count));
  if (!request.owner.empty()) {
    for (const Device& member : opened_along(host, plan))
      add(Action::kChange, member.id.str(), member.driver->str());
  }
  return out;
}

/// For each rule in these files that becomes another one.
std::vector<Permit> permits_of(const std::vector<OwnRule>& rules, const RuleFiles& there) {
  std::vector<Permit> out;
  for (const OwnRule& rule : rules) {
    const auto old =
        std::ranges::find(there.files, there.folder + "/" + rule.file, &SpecFile::name);
    const std::string before = old == there.files.end() ? "" : old->text;
    if (before == rule.text) continue;
    for (const ChangedRule& one : changed_rules(before, rule.text))
      out.push_back({.action = Permit::Action::kWriteRule,
                     .rule = one.name,
                     .file = rule.file,
                     .text = one.text});
  }
  return out;
}

/// Where the service writes rules.
Result<RuleFolder> folder_of_rules(const Host& host, const RuleSource& rules) {
  return open_rule_folder(host, TRY(named_folder(rules)));
}

bool is_allowed(const std::vector<Permit>& allowed, const Permit& permit) {
  return std::ranges::find(allowed, permit) != allowed.end();
}

/// Collects what a change says, tells how it goes, and ends it when somebody asks for that.
class Collecting : public Listener {
 public:
  explicit Collecting(const Waiting& waiting) : waiting_(waiting) {}

  void on_waiting(const std::string& owner) override { tell("", "waiting for process " + owner); }
  void on_module(const ModuleLoad& load) override { tell("", load.reason); }
  void on_step(const DeviceId& device, const Step& step) override {
    tell(device.str(), step.reason);
  }
  void on_setting(const Setting& setting) override {
    tell(setting.device ? setting.device->str() : "", setting.reason);
  }
  void on_rollback(const Error& /*cause*/, std::size_t devices) override {
    tell("", fmt::format("putting {} device{} back", devices, devices == 1 ? "" : "s"));
  }

  void on_plan(const Plan& plan) override {
    for (const Remark& warning : plan.warnings)
      warnings_.push_back(printable(cli::text_of(warning), 1024));
  }
  void on_warning(const std::string& text) override { warnings_.push_back(printable(text, 1024)); }
  [[nodiscard]] bool stop_requested() const override { return waiting_.stop_requested(); }

  [[nodiscard]] std::vector<std::string> warnings() { return std::move(warnings_); }

 private:
  void tell(std::string device, const std::string& text) const {
    waiting_.tell({.device = std::move(device), .text = printable(text, 512)});
  }

  const Waiting& waiting_;
  std::vector<std::string> warnings_{};
};

/// Ends also a change that would do more than was allowed.
class Guarded final : public Collecting {
 public:
  Guarded(const Host& host, const Request& request, const std::vector<Permit>& allowed,
          const Waiting& waiting)
      : Collecting(waiting), host_(host), request_(request), allowed_(allowed) {}

  /// What it throws is dropped: then nothing may have been compared.
  void on_plan(const Plan& plan) override {
    is_compared_ = false;
    Collecting::on_plan(plan);
    for (const Permit& permit : permits_of(host_, request_, plan)) {
      if (!is_allowed(allowed_, permit)) beyond_ = permit;
    }
    is_compared_ = true;
  }
  [[nodiscard]] bool stop_requested() const override {
    return !is_compared_ || beyond_.has_value() || Collecting::stop_requested();
  }

  /// What is more than allowed; nullopt: nothing.
  [[nodiscard]] std::optional<Permit> beyond() const {
    return is_compared_ ? beyond_ : std::optional<Permit>(Permit{});
  }

 private:
  const Host& host_;
  const Request& request_;
  const std::vector<Permit>& allowed_;
  bool is_compared_ = true;  ///< the plan that runs, with what is allowed
  std::optional<Permit> beyond_{};
};

Error beyond_error(const Permit& permit) {
  return {.kind = ErrorKind::kNotPermitted,
          .object = permit.device,
          .why = "the change would do more than was allowed: something has come meanwhile",
          .advice = "nothing was changed; ask again"};
}

}  // namespace

wire::Json status_value(const Host& host, const Spec& spec, const Judgement& judgement) {
  auto since = last_changes(host, spec, judgement.devices);
  return wire::to_json(spec, judgement, since.value_or(std::map<DeviceId, LastChange>()),
                       cli::text_of);
}

Result<std::string> list_devices(const Host& host, const std::vector<std::string>& selectors) {
  const auto ids = TRY(selectors.empty() ? read_device_ids(host.sysfs, BusName::literal("pci"))
                                         : devices_of(host, selectors));
  const Listing listing = TRY(read_listing(host, ids, threads_worth(ids.size()), WithUse::kYes));
  PciNames names(cli::names_file());
  return wire::list_text(listing, names, host.sysfs_root, cli::text_of);
}

Result<std::string> explain(const Host& host, const std::string& selector,
                            const std::string& driver) {
  const auto devices = TRY(devices_of(host, {selector}));
  if (devices.size() != 1)
    return fail({.kind = ErrorKind::kUsage,
                 .object = printable(selector),
                 .why = fmt::format("means {} devices; one is wanted", devices.size())});
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

Result<std::string> plan(const Host& host, const RuleSource& rules, const Wanted& wanted) {
  if (wanted.persist) {
    const RuleFolder folder = TRY(folder_of_rules(host, rules));
    TRY(lasting_rules(host, wanted.request, folder.there));
  }
  const auto none = TRY(removal_before(host, wanted));
  const Request& request = none ? *none : wanted.request;
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

Result<std::string> status(const Host& host, const RuleSource& rules, const Since& since) {
  const Spec spec = TRY(read_rules_of(host, rules));
  const Judgement now = TRY(judge(host, spec));
  wire::Json value = status_value(host, spec, now);
  for (std::size_t i = 0; i < now.devices.size(); ++i) {
    const auto known = since.find(now.devices[i].device);
    const bool differs = now.devices[i].state != Standing::State::kMet && known != since.end();
    value["devices"][i]["since"] = differs ? wire::Json(known->second) : wire::Json(nullptr);
  }
  value["before_probe"] = wire::to_json(promise_kept(host, spec));
  return wire::text_of(value);
}

Result<std::string> list_rules(const Host& host, const RuleSource& rules) {
  const Spec spec = TRY(read_rules_of(host, rules));
  return wire::text_of(wire::rules_to_json(spec, TRY(judge(host, spec))));
}

Result<Request> request_for(const Host& host, Request::Verb verb,
                            const std::vector<std::string>& selectors) {
  if (selectors.empty()) return fail({.kind = ErrorKind::kUsage, .why = "no device is named"});
  return Request{.verb = verb, .devices = TRY(devices_of(host, selectors))};
}

Result<std::vector<Permit>> permits_for(const Host& host, const RuleSource& rules,
                                        const Wanted& wanted) {
  const auto none = TRY(removal_before(host, wanted));
  const Request& first = none ? *none : wanted.request;
  const Memory memory = TRY(read_memory(host));
  const HeldPlan plan = TRY(plan_change(host, first, memory));
  auto out = permits_of(host, first, plan);
  // What is made of functions does not depend on the plan.
  if (none) std::ranges::move(permits_of(host, wanted.request, plan), std::back_inserter(out));
  if (!wanted.persist) return out;
  const RuleFolder folder = TRY(folder_of_rules(host, rules));
  const auto own = TRY(lasting_rules(host, wanted.request, folder.there));
  std::ranges::move(permits_of(own, folder.there), std::back_inserter(out));
  return out;
}

Result<std::vector<Permit>> permits_for(const Host& host, const RuleSource& rules) {
  const Spec spec = TRY(read_rules_of(host, rules));
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

Result<Answer> change(const Host& host, const RuleSource& rules, const Wanted& wanted,
                      const std::vector<Permit>& allowed, const Waiting& waiting) {
  Guarded listener(host, wanted.request, allowed, waiting);
  RuleFolder folder;
  if (wanted.persist) folder = TRY(folder_of_rules(host, rules));
  const auto may_write = [&](const std::vector<OwnRule>& own) -> Result<> {
    for (const Permit& permit : permits_of(own, folder.there))
      if (!is_allowed(allowed, permit)) return fail(beyond_error(permit));
    return {};
  };
  const auto outcomes =
      change_as_wanted(host, wanted, wanted.persist ? &folder : nullptr, listener, may_write);
  if (const auto beyond = listener.beyond()) return fail(beyond_error(*beyond));
  if (!outcomes) return fail(outcomes.error());
  return Answer{.json = wire::text_of(wire::to_json(*outcomes)),
                .warnings = listener.warnings(),
                .changed = std::ranges::any_of(*outcomes, &Outcome::changed)};
}

Result<Answer> apply(const Host& host, const RuleSource& rules, const std::vector<Permit>& allowed,
                     const Waiting& waiting) {
  const Spec spec = TRY(read_rules_of(host, rules));
  Collecting listener(waiting);
  const auto may_change = [&](const Standing& standing) {
    return is_allowed(
        allowed, {.action = Permit::Action::kApplyRule, .rule = spec.rules[standing.rule].name});
  };
  const Application done = apply_spec(host, spec, listener, {}, may_change);
  const auto after = judge(host, spec);
  if (done.error || !after) {
    Error error = done.error ? *done.error : after.error();
    if (!done.changes.empty()) error.kind = ErrorKind::kIncomplete;  // some rules were made so
    return fail(std::move(error));
  }
  const wire::Json value = {{"changes", cli::applied_value(spec, done.changes)},
                            {"status", status_value(host, spec, *after)}};
  return Answer{.json = wire::text_of(value),
                .warnings = listener.warnings(),
                .changed = !done.changes.empty()};
}

}  // namespace anybind::daemon
