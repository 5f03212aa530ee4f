// A task of Ansible is all or nothing, and its rules are several changes of the engine. Each of
// these is all or nothing by itself and stands in the journal; so what a task has made is taken
// back by undoing, newest first, the changes that the journal has by the name of this process.
#include "ansible/change_set.h"

#include <algorithm>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/try.h"
#include "capture/rehearsal.h"
#include "cli/advice.h"
#include "cli/answer.h"
#include "cli/session.h"
#include "engine/engine.h"
#include "engine/history.h"
#include "wire/policy.h"

namespace anybind::ansible {
namespace {

using State = Standing::State;

bool is_ours(const Wanted& wanted, const Standing& standing) {
  return wanted.spec.rules[standing.rule].place.file == wanted.file;
}

/// The rule of our own that does not hold, and why: nothing that apply_spec() could change.
std::optional<Error> not_obeyed(const Wanted& wanted, const Judgement& judgement) {
  for (const Standing& standing : judgement.devices) {
    if (!is_ours(wanted, standing) || standing.state != State::kNotObeyed) continue;
    const Rule& rule = wanted.spec.rules[standing.rule];
    return Error{.kind = ErrorKind::kRefused,
                 .operation = fmt::format("rule \"{}\"", printable(rule.name)),
                 .object = standing.device.str(),
                 .why = standing.differs};
  }
  for (const PolicyProblem& problem : judgement.problems) {
    if (!problem.rule || wanted.spec.rules[*problem.rule].place.file != wanted.file) continue;
    return Error{
        .kind = ErrorKind::kRefused,
        .operation = fmt::format("rule \"{}\"", printable(wanted.spec.rules[*problem.rule].name)),
        .object = problem.device ? problem.device->str() : "",
        .why = problem.what,
        .advice = problem.advice};
  }
  return std::nullopt;
}

/// Of our own rules, what is not as declared.
std::optional<Error> unmet(const Wanted& wanted, const Judgement& judgement) {
  if (auto error = not_obeyed(wanted, judgement)) return error;
  for (const Standing& standing : judgement.devices) {
    if (!is_ours(wanted, standing) || standing.state == State::kMet) continue;
    return Error{.object = standing.device.str(), .why = standing.differs};
  }
  return std::nullopt;
}

wire::Json standings(const Wanted& wanted, Judgement judgement) {
  std::erase_if(judgement.devices, [&](const Standing& one) { return !is_ours(wanted, one); });
  judgement.problems.clear();
  return wire::to_json(wanted.spec, judgement, {}, cli::text_of)["devices"];
}

Error named(const Wanted& wanted, std::size_t rule, Error error) {
  error.details.insert(
      error.details.begin(),
      Remark(fmt::format("rule \"{}\" ({})", printable(wanted.spec.rules[rule].name),
                         printable(wanted.spec.rules[rule].place.str()))));
  return error;
}

void add_failure(const Task& task, const Wanted& wanted, const Applied& one, Answer& out) {
  if (one.error->kind == ErrorKind::kRefused)
    std::ranges::move(users_of(task.host(), one.request), std::back_inserter(out.in_use_by));
  out.fail_with(named(wanted, one.rule, *one.error));
}

/// The changes of this process since the one with the number `since`, newest first.
std::vector<std::uint64_t> changes_since(const Host& host, std::uint64_t since) {
  std::vector<std::uint64_t> out;
  const auto history = read_history(host);
  if (!history) return out;
  for (const PastChange& change : *history) {
    if (change.id <= since || change.result != "done" || change.undone_by != 0) continue;
    if (change.entry->command == host.command && change.entry->undoes == 0)
      out.push_back(change.id);
  }
  return out;
}

std::uint64_t newest(const Host& host) {
  const auto history = read_history(host);
  return history && !history->empty() ? history->front().id : 0;
}

/// Takes everything back that was made since; whether it is as it was.
bool take_back(const Host& host, std::uint64_t since, Steps& steps, Answer& out) {
  bool is_back = true;
  for (const std::uint64_t id : changes_since(host, since)) {
    const auto undone =
        change(host, {.verb = Request::Verb::kUndo, .change = id}, static_cast<Listener&>(steps));
    if (undone) continue;
    is_back = false;
    Error error = undone.error();
    error.kind = ErrorKind::kIncomplete;
    error.details.emplace_back("a change that was made before could not be taken back");
    if (error.advice.empty()) error.advice = Action::kUndo;
    out.fail_with(error);
  }
  return is_back;
}

/// Like apply_spec(): another number of functions leads over none.
Request next_step(const Request& request, const Judgement& now) {
  Request out = request;
  if (out.verb != Request::Verb::kMakeFunctions) return out;
  const auto standing = std::ranges::find(now.devices, out.devices.front(), &Standing::device);
  if (standing != now.devices.end() && standing->functions.value_or(0) != 0) out.count = 0;
  return out;
}

/// What a change that was tried before has removed is not there for the next one.
void leave_out_gone(const Answer& before, Request& request) {
  std::erase_if(request.devices, [&](const DeviceId& id) {
    return std::ranges::any_of(before.outcomes, [&](const Outcome& outcome) {
      return outcome.gone && outcome.device == id;
    });
  });
}

/// "what makes functions, and their rules, come after that"
void note_what_follows(const Wanted& wanted, const std::vector<RuleRequest>& next, Steps& steps) {
  for (const RuleRequest& one : next) {
    if (one.request.verb != Request::Verb::kMakeFunctions) continue;
    const unsigned count = wanted.spec.rules[one.rule].functions.value_or(0);
    steps.add_note(fmt::format("then {} has {} virtual functions, and their rules follow",
                               one.request.devices.front().str(), count));
  }
}

void add_diffs(const Task& task, const Steps& steps, Answer& out) {
  if (!task.arguments.wants_diff()) return;
  add_binding_diff(out);
  if (task.arguments.is_check()) out.add_plan_text(steps.text());
}

}  // namespace

Answer try_rules(const Task& task, const Wanted& wanted) {
  Answer out;
  Steps steps(task.host().sysfs_root);
  const auto now = judge(task.host(), wanted.spec);
  if (!now) {
    out.fail_with(now.error());
    return out;
  }
  if (const auto error = not_obeyed(wanted, *now)) out.fail_with(*error);
  auto next = next_requests(wanted.spec, *now);
  std::erase_if(next, [&](const RuleRequest& one) {
    return wanted.spec.rules[one.rule].place.file != wanted.file;
  });
  for (const RuleRequest& one : next) {
    Request request = next_step(one.request, *now);
    leave_out_gone(out, request);
    if (request.devices.empty()) continue;
    auto tried = rehearse(task.host(), nullptr, request, steps);
    if (tried && tried->predicted) {
      out.add(*tried->predicted);
    } else {
      add_failure(task, wanted,
                  {.rule = one.rule,
                   .request = request,
                   .error = tried ? tried->predicted.error() : tried.error()},
                  out);
    }
  }
  note_what_follows(wanted, next, steps);
  out.add(steps);
  out.more["devices"] = standings(wanted, *now);
  add_diffs(task, steps, out);
  return out;
}

Answer apply_rules(const Task& task, const Wanted& wanted) {
  Answer out;
  const Host& host = task.host();
  Steps steps(host.sysfs_root);
  const std::uint64_t since = newest(host);
  const Application done = apply_spec(host, wanted.spec, steps, {}, [&](const Standing& standing) {
    return is_ours(wanted, standing);
  });
  for (const Applied& one : done.changes) {
    out.add(one.outcomes);
    if (one.error) add_failure(task, wanted, one, out);
  }
  if (done.error) out.fail_with(*done.error);
  const auto after = judge(host, wanted.spec);
  if (!after) out.fail_with(after.error());
  if (after && !out.error) {
    if (const auto error = unmet(wanted, *after)) out.fail_with(*error);
  }
  if (after) out.more["devices"] = standings(wanted, *after);
  const bool is_half_done = out.error && out.error->kind == ErrorKind::kIncomplete;
  if (out.error) {
    const bool had_changed = out.changed;
    const bool is_back = take_back(host, since, steps, out) && !is_half_done;
    out.changed = !is_back;
    if (is_back && had_changed) out.message = "all that was changed before is as it was";
    out.more["rolled_back"] = is_back;
  }
  out.add(steps);
  if (!out.error) add_diffs(task, steps, out);
  return out;
}

}  // namespace anybind::ansible
