#include "policy/lasting.h"

#include <utility>

#include "base/try.h"
#include "engine/engine.h"
#include "inventory/device.h"
#include "inventory/virtual_functions.h"
#include "policy/apply.h"
#include "policy/named_specs.h"
#include "policy/spec.h"

namespace anybind {
namespace {

/// How many there are now.
Result<unsigned> count_now(const Host& host, const DeviceId& pf) {
  const auto dir = TRY(open_device(host.sysfs, pf));
  if (dir == nullptr) return 0U;
  return TRY(read_functions(*dir, pf)).value_or(0);
}

/// Whatever else refuses the request is told before anything is removed.
Result<> check_the_rest(const Host& host, const Request& request) {
  TRY(check_owner(host, request));
  const Memory memory = TRY(read_memory(host));
  const auto plan = plan_change(host, request, memory);
  const Remark to_none(Action::kMakeFunctions, {request.devices.front().str(), "0"});
  if (plan || plan.error().advice == to_none) return {};
  return fail(plan.error());
}

/// The kernel can only change a number to none. So these are two changes in the history; when the
/// second one fails, the first is taken back.
Result<std::vector<Outcome>> change_over_none(const Host& host, const Request& none,
                                              const Request& request, Listener& listener) {
  TRY(check_the_rest(host, request));
  TRY(change(host, none, listener));
  auto made = change(host, request, listener);
  if (made || made.error().kind == ErrorKind::kIncomplete) return made;
  Error error = std::move(made).error();
  const Request back{.verb = Request::Verb::kUndo,
                     .change = last_removal(host, request.devices.front()),
                     .ignored = request.ignored,
                     .patience = request.patience};
  Listener nobody;  // who asks to stop asks for what there was
  if (const auto undone = change(host, back, nobody); !undone) {
    error.kind = ErrorKind::kIncomplete;
    error.details.emplace_back("the functions that were there could not be made again: " +
                               undone.error().message());
    error.advice = Action::kUndo;
  } else {
    error.details.emplace_back("the functions that were there have been made again");
  }
  return fail(std::move(error));
}

Result<std::vector<Outcome>> change_now(const Host& host, const Wanted& wanted,
                                        Listener& listener) {
  const auto none = TRY(removal_before(host, wanted));
  if (!none) return change(host, wanted.request, listener);
  return change_over_none(host, *none, wanted.request, listener);
}

Result<WrittenRules> write_lasting(const Host& host, const Request& request,
                                   const RuleFolder& folder, const MayWrite& may_write) {
  const auto lock = lock_rules();
  const auto rules = TRY(lasting_rules(host, request, folder.there));
  if (may_write) TRY(may_write(rules));
  return WrittenRules::write(*folder.storage, rules);
}

}  // namespace

Result<RuleFolder> open_rule_folder(const Host& host, const std::string& directory) {
  RuleFolder out;
  if (directory.empty()) {
    if (host.rules == nullptr)
      return fail({.kind = ErrorKind::kUsage,
                   .why = "a lab or a made-up tree has no rules of its own",
                   .advice = "name a file of rules, or a directory of them"});
    out.there.folder = host.rules_dir;
    out.there.files = TRY(read_spec_files(host.files));
    out.storage = host.rules;
    return out;
  }
  out.there.folder = directory;
  while (out.there.folder.size() > 1 && out.there.folder.ends_with('/'))
    out.there.folder.pop_back();
  out.there.files = TRY(read_rule_folder(out.there.folder));
  out.own = open_storage(directory, Readers::kAll);
  out.storage = out.own.get();
  return out;
}

Result<std::vector<OwnRule>> lasting_rules(const Host& host, const Request& request,
                                           const RuleFiles& there) {
  auto rules = TRY(own_rules_of(host, request, there));
  TRY(check_own_rules(host, request, there, rules));
  return rules;
}

Result<std::optional<Request>> removal_before(const Host& host, const Wanted& wanted) {
  const Request& request = wanted.request;
  if (!wanted.recreate || request.verb != Request::Verb::kMakeFunctions || request.count == 0 ||
      request.devices.size() != 1)
    return std::nullopt;
  if (TRY(count_now(host, request.devices.front())) == 0) return std::nullopt;
  return Request{.verb = Request::Verb::kMakeFunctions,
                 .devices = request.devices,
                 .instances = request.instances,
                 .ignored = request.ignored,
                 .patience = request.patience};
}

Result<std::vector<Outcome>> change_as_wanted(const Host& host, const Wanted& wanted,
                                              const RuleFolder* folder, Listener& listener,
                                              const MayWrite& may_write) {
  if (!wanted.persist || folder == nullptr) return change_now(host, wanted, listener);
  auto written = TRY(write_lasting(host, wanted.request, *folder, may_write));
  auto outcomes = change_now(host, wanted, listener);
  if (outcomes) return outcomes;
  const auto lock = lock_rules();
  if (const auto back = written.take_back(); !back)
    listener.on_warning("a rule could not be put back: " + back.error().message());
  return outcomes;
}

std::unique_lock<std::mutex> lock_rules() {
  static std::mutex one_at_a_time;
  return std::unique_lock(one_at_a_time);
}

}  // namespace anybind
