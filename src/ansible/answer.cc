#include "ansible/answer.h"

#include <algorithm>
#include <chrono>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/try.h"
#include "capture/rehearsal.h"
#include "change/losing_drivers.h"
#include "cli/advice.h"
#include "cli/answer.h"
#include "cli/session.h"
#include "engine/engine.h"
#include "users/guards.h"
#include "wire/outcome.h"

namespace anybind::ansible {
namespace {

constexpr std::uint64_t kMostSeconds = 1'000'000;

wire::Json to_json(const Blocker& blocker) {
  return {{"device", blocker.device.str()},
          {"guard", blocker.name},
          {"who", printable(blocker.who, 1024)},
          {"next", cli::text_of(blocker.way_out())}};
}

std::string line_of(const DeviceId& device, const Binding& binding) {
  const std::string driver = binding.driver ? binding.driver->str() : "no driver";
  const std::string kept =
      binding.driver_override ? fmt::format(" (driver_override {})", *binding.driver_override) : "";
  return fmt::format("{}  {}{}\n", device.str(), printable(driver), printable(kept));
}

}  // namespace

const Host& Task::host() const {
  return context.session.host();
}

void Answer::fail_with(const Error& cause) {
  if (cause.kind == ErrorKind::kRefused) refusals.push_back(cause);
  if (cause.kind == ErrorKind::kIncomplete) changed = true;
  if (error && error->kind == ErrorKind::kIncomplete) return;
  if (!error || cause.kind == ErrorKind::kIncomplete) error = cause;
}

void Answer::add(const Steps& steps) {
  for (const auto& step : steps.plan()) plan.push_back(step);
  std::ranges::copy(steps.warnings(), std::back_inserter(warnings));
  std::ranges::copy(steps.notes(), std::back_inserter(notes));
}

void Answer::add(const std::vector<Outcome>& devices) {
  for (const Outcome& outcome : devices) {
    if (outcome.changed && wire::is_different(outcome)) changed = true;
    outcomes.push_back(outcome);
  }
}

void Answer::add_diff(const std::string& header, const std::string& before,
                      const std::string& after) {
  if (before == after) return;
  diffs.push_back(
      {{"before_header", header}, {"after_header", header}, {"before", before}, {"after", after}});
}

void Answer::add_plan_text(const std::string& text) {
  if (!text.empty()) diffs.push_back({{"prepared", "plan:\n" + text}});
}

void add_binding_diff(Answer& answer) {
  std::string before;
  std::string after;
  for (const Outcome& outcome : answer.outcomes) {
    before += line_of(outcome.device, outcome.before);
    if (!outcome.gone) after += line_of(outcome.device, outcome.after);
  }
  answer.add_diff("bindings", before, after);
}

wire::Json to_json(const Answer& answer) {
  wire::Json out;
  out["changed"] = answer.changed;
  out["failed"] = answer.error.has_value();
  wire::Json refusals = wire::Json::array();
  for (const Error& refusal : answer.refusals) refusals.push_back(cli::error_value(refusal));
  wire::Json users = wire::Json::array();
  for (const Blocker& blocker : answer.in_use_by) users.push_back(to_json(blocker));
  if (answer.error) {
    std::string message = answer.error->message();
    if (!answer.message.empty()) message += "; " + answer.message;
    const std::string next = cli::text_of(answer.error->advice);
    if (!next.empty()) message += "; next: " + next;
    out["msg"] = message;
    out["error"] = cli::error_value(*answer.error);
  } else {
    out["msg"] = answer.message;
  }
  out["plan"] = answer.plan;
  out["outcomes"] = wire::to_json(answer.outcomes);
  out["refusals"] = std::move(refusals);
  out["in_use_by"] = std::move(users);
  if (!answer.notes.empty()) out["notes"] = answer.notes;
  if (!answer.warnings.empty()) out["warnings"] = answer.warnings;
  if (!answer.diffs.empty()) out["diff"] = answer.diffs;
  for (const auto& [key, value] : answer.more.items()) out[key] = value;
  return out;
}

std::vector<Blocker> users_of(const Host& host, const Request& request) {
  const auto memory = read_memory(host);
  if (!memory) return {};
  const auto plan = plan_change(host, request, *memory);
  if (!plan) return {};
  auto out = find_blockers(host, losing_drivers(*plan)).blockers;
  std::erase_if(out, [&](const Blocker& blocker) {
    return std::ranges::find(request.ignored, blocker.name) != request.ignored.end();
  });
  return out;
}

Answer carry_out(const Task& task, const Request& request) {
  Answer out;
  Steps steps(task.host().sysfs_root);
  Result<std::vector<Outcome>> came;
  if (task.arguments.is_check()) {
    auto tried = rehearse(task.host(), nullptr, request, steps);
    came = tried ? std::move(tried->predicted) : fail(std::move(tried).error());
  } else {
    came = change(task.host(), request, steps);
  }
  out.add(steps);
  if (came) {
    out.add(*came);
  } else {
    if (came.error().kind == ErrorKind::kRefused) out.in_use_by = users_of(task.host(), request);
    out.fail_with(came.error());
  }
  if (!task.arguments.wants_diff()) return out;
  add_binding_diff(out);
  if (task.arguments.is_check()) out.add_plan_text(steps.text());
  return out;
}

Result<Request> request_of(const Arguments& arguments) {
  Request out{.ignored = TRY(arguments.texts("ignore"))};
  auto known = guard_names();
  known.emplace_back(kSameId);
  for (const std::string& name : out.ignored) {
    if (std::ranges::find(known, name) == known.end())
      return wrong("ignore", fmt::format("no such guard: {}", printable(name)),
                   "there are " + join_words(known));
  }
  if (const auto seconds = TRY(arguments.number("timeout", kMostSeconds)))
    out.patience = std::chrono::seconds(*seconds);
  return out;
}

}  // namespace anybind::ansible
