// rules, status, apply: the declared state, what is so of it, and making it so.
#include <algorithm>
#include <array>
#include <iterator>
#include <memory>
#include <set>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/try.h"
#include "capture/rehearsal.h"
#include "cli/advice.h"
#include "cli/answer.h"
#include "cli/change.h"
#include "cli/early.h"
#include "cli/exit_code.h"
#include "cli/narrator.h"
#include "cli/say.h"
#include "cli/service.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "cli/spec_source.h"
#include "cli/table.h"
#include "policy/apply.h"
#include "policy/judge.h"
#include "policy/promise.h"
#include "policy/since.h"
#include "wire/error.h"
#include "wire/policy.h"

namespace anybind::cli {
namespace {

using State = Standing::State;

struct PolicyOptions : ChangeOptions {
  std::vector<std::string> specs;
  bool early = false;
};

std::string why_words(const LastChange& last) {
  if (last.id == 0) return "no change of anybind has touched it since the machine booted";
  const std::string change =
      fmt::format("change {} ({}: {})", last.id, time_text(last.time), printable(last.command));
  return last.was_declared ? change + " had made it so; somebody else has changed it since"
                           : change + " made it what it is, or tried to";
}

std::string counted(std::size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

Sink to_output(const Context& context) {
  return [&context](std::string_view text) { put(context.out, text); };
}

void tell_no_rules(const Context& context) {
  if (context.verbosity >= 0)
    say(context.err, "there are no rules; {}\n", "anybind bind DEVICE DRIVER --persist writes one");
}

/// Of each device that is not as declared: how, and since when.
void print_differences(const Context& context, const Spec& spec, const Judgement& judgement,
                       const std::map<DeviceId, LastChange>& since) {
  for (const Standing& standing : judgement.devices) {
    if (standing.state == State::kMet) continue;
    const Rule& rule = spec.rules[standing.rule];
    say(context.out, "\n{}: {}\n  rule \"{}\" ({})\n", standing.device.str(), standing.differs,
        printable(rule.name), printable(rule.place.str()));
    if (standing.with_group)
      say(context.out, "  no rule names it: it goes along with IOMMU group {}\n",
          *standing.with_group);
    const auto last = since.find(standing.device);
    if (last != since.end() && standing.state == State::kDrift)
      say(context.out, "  {}\n", why_words(last->second));
  }
  for (const PolicyProblem& problem : judgement.problems) {
    say(context.out, "\n{}{}\n", problem.device ? problem.device->str() + ": " : std::string(),
        printable(problem.what, 1024));
    if (problem.rule && problem.device)
      say(context.out, "  rule \"{}\" ({})\n", printable(spec.rules[*problem.rule].name),
          printable(spec.rules[*problem.rule].place.str()));
    if (!problem.advice.empty()) say(context.out, "  {}\n", text_of(problem.advice));
  }
}

void print_standings(const Context& context, const Spec& spec, const Judgement& judgement) {
  static constexpr Column kColumns[] = {{.title = "DEVICE"},
                                        {.title = "DECLARED"},
                                        {.title = "NOW"},
                                        {.title = "RULE", .shrinks = true}};
  std::vector<std::array<std::string, 3>> rows;
  rows.reserve(judgement.devices.size());
  for (const Standing& standing : judgement.devices) {
    const Rule& rule = spec.rules[standing.rule];
    rows.push_back({standing.device.str(), declared_words(rule), actual_words(standing, rule)});
  }
  const auto fill = [&](std::size_t at, std::span<Cell> cells) {
    const Standing& standing = judgement.devices[at];
    cells[0] = {.text = rows[at][0]};
    cells[1] = {.text = rows[at][1]};
    cells[2] = {.text = rows[at][2],
                .style = standing.state == State::kMet ? Style::kGood : Style::kBad};
    cells[3] = {.text = spec.rules[standing.rule].name, .style = Style::kDim};
  };
  print_table(kColumns, rows.size(), fill, {.color = context.color, .width = context.width},
              to_output(context));
}

std::size_t count_unmet(const Judgement& judgement) {
  return static_cast<std::size_t>(std::ranges::count_if(
      judgement.devices, [](const Standing& one) { return one.state != State::kMet; }));
}

void print_status(const Context& context, const Spec& spec, const Judgement& judgement,
                  const std::map<DeviceId, LastChange>& since,
                  const std::vector<std::string>& words) {
  if (context.verbosity < 0) return;
  if (spec.rules.empty()) return tell_no_rules(context);
  if (judgement.devices.empty() && judgement.problems.empty())
    return say(context.out, "{}, and no device that one of them matches\n",
               counted(spec.rules.size(), "rule"));
  print_standings(context, spec, judgement);
  print_differences(context, spec, judgement, since);
  if (const auto kept = promise_kept(context.session.host(), spec);
      kept != PromiseKept::kNobodyAsks)
    say(context.out, "\n{}\n", words_of(kept));
  const std::size_t unmet = count_unmet(judgement);
  if (unmet == 0) return;
  std::string apply = "anybind apply";
  for (const std::string& word : words) apply += " " + shell_quote(word);
  say(context.out, "\n{} of {} not as declared; to make it so: {}\n", unmet,
      counted(judgement.devices.size(), "device"), apply);
}

/// Whoever may not read the journal is told the rest.
std::map<DeviceId, LastChange> since_of(const Context& context, const Spec& spec,
                                        const Judgement& judgement) {
  auto out = last_changes(context.session.host(), spec, judgement.devices);
  return out ? *std::move(out) : std::map<DeviceId, LastChange>();
}

Result<int> run_status(Context& context, const PolicyOptions& options) {
  const Spec spec = TRY(load_spec(context, options.specs));
  const Judgement judgement = TRY(judge(context.session.host(), spec));
  const auto since = since_of(context, spec, judgement);
  if (context.json) {
    wire::Json value = wire::to_json(spec, judgement, since, text_of);
    value["before_probe"] = wire::to_json(promise_kept(context.session.host(), spec));
    answer(context, value);
  } else {
    print_status(context, spec, judgement, since, options.specs);
  }
  return judgement.holds() ? 0 : 1;
}

std::string devices_words(const Context& context, const std::vector<DeviceId>& devices) {
  if (devices.empty()) return "-";
  std::string out = devices.front().str();
  if (devices.size() > 1 && context.verbosity < 1)
    return out + fmt::format(" and {} more", devices.size() - 1);
  for (std::size_t i = 1; i < devices.size(); ++i) out += " " + devices[i].str();
  return out;
}

void print_rules(const Context& context, const Spec& spec, const Judgement& judgement) {
  if (spec.rules.empty()) return tell_no_rules(context);
  static constexpr Column kColumns[] = {{.title = "RULE", .shrinks = true},
                                        {.title = "DECLARES"},
                                        {.title = "MATCHES NOW"},
                                        {.title = "WHERE", .shrinks = true}};
  std::vector<std::array<std::string, 3>> rows;
  for (std::size_t i = 0; i < spec.rules.size(); ++i) {
    const Rule& rule = spec.rules[i];
    rows.push_back({declared_words(rule), devices_words(context, judgement.matches[i]),
                    rule.place.line == 0 ? rule.place.file
                                         : fmt::format("{}:{}", rule.place.file, rule.place.line)});
  }
  const auto fill = [&](std::size_t at, std::span<Cell> cells) {
    cells[0] = {.text = spec.rules[at].name, .style = Style::kHead};
    cells[1] = {.text = rows[at][0]};
    cells[2] = {.text = rows[at][1],
                .style = judgement.matches[at].empty() ? Style::kDim : Style::kPlain};
    cells[3] = {.text = rows[at][2], .style = Style::kDim};
  };
  print_table(kColumns, rows.size(), fill, {.color = context.color, .width = context.width},
              to_output(context));
}

Result<int> run_rules(Context& context, const PolicyOptions& options) {
  const Spec spec = TRY(load_spec(context, options.specs));
  const Judgement judgement = TRY(judge(context.session.host(), spec));
  if (context.json) {
    answer(context, wire::rules_to_json(spec, judgement));
  } else {
    print_rules(context, spec, judgement);
  }
  return 0;
}

void print_error(const Context& context, const std::string& rule, const Error& error) {
  say(context.err, "anybind: rule \"{}\": {}\n", printable(rule), error.message());
  for (const Remark& line : error.details)
    say(context.err, "  {}\n", printable(text_in_rule(line), 1024));
  if (!error.advice.empty())
    say(context.err, "  {}\n", printable(text_in_rule(error.advice), 1024));
}

/// A device that waits for another one's change is told once.
void print_errors(const Context& context, const Spec& spec, const std::vector<Applied>& applied) {
  for (const Applied& one : applied) {
    if (one.error) print_error(context, spec.rules[one.rule].name, *one.error);
  }
}

/// Worst first: what is half done, what failed, then what was refused.
int code_of(const std::vector<Applied>& applied, const Judgement& after) {
  int out = 0;
  for (const Applied& one : applied) {
    if (!one.error) continue;
    const int code = exit_code(one.error->kind);
    if (one.error->kind == ErrorKind::kIncomplete) return code;
    if (out == 0 || one.error->kind == ErrorKind::kFailed) out = code;
  }
  return out == 0 && !after.holds() ? 1 : out;
}

void print_applied(const Context& context, const Spec& spec, const std::vector<Applied>& applied,
                   const Judgement& after) {
  const auto since = since_of(context, spec, after);
  if (context.json) {
    answer(context, {{"changes", applied_value(spec, applied)},
                     {"status", wire::to_json(spec, after, since, text_of)}});
    print_errors(context, spec, applied);
    return;
  }
  for (const Applied& one : applied) print_outcomes(context, one.outcomes);
  print_errors(context, spec, applied);
  if (context.verbosity < 0) return;
  if (spec.rules.empty()) return tell_no_rules(context);
  print_differences(context, spec, after, {});
  const std::size_t unmet = count_unmet(after);
  const std::string all = counted(after.devices.size(), "device");
  const std::string gap = unmet != 0 || !after.problems.empty() ? "\n" : "";
  const std::string also = after.problems.empty()
                               ? std::string()
                               : ", and " + counted(after.problems.size(), "thing") + " to look at";
  if (unmet != 0) return say(context.out, "{}{} of {} not as declared{}\n", gap, unmet, all, also);
  say(context.out, "{}{} as declared{}\n", gap, all, also);
}

/// What would come of it.
Applied try_one(const Context& context, std::size_t rule, const Request& request) {
  Listener nobody;
  Applied out{.rule = rule, .request = request};
  auto tried = rehearse(context.session.host(), context.session.lab(), request, nobody);
  if (!tried) {
    out.error = std::move(tried).error();
  } else if (!tried->predicted) {
    out.error = std::move(tried->predicted).error();
  } else {
    out.outcomes = *std::move(tried->predicted);
  }
  return out;
}

/// As apply_spec() goes about it: another number of functions leads over none, and what is refused
/// is tried by group.
std::vector<Applied> try_change(const Context& context, const RuleRequest& one,
                                const Judgement& now) {
  Request request = one.request;
  if (request.verb == Request::Verb::kMakeFunctions) {
    const auto standing =
        std::ranges::find(now.devices, request.devices.front(), &Standing::device);
    if (standing != now.devices.end() && standing->functions.value_or(0) != 0) request.count = 0;
    return {try_one(context, one.rule, request)};
  }
  Applied whole = try_one(context, one.rule, request);
  const bool is_split = whole.error && may_be_split(*whole.error);
  const auto parts = is_split ? split_by_group(request, now) : std::vector<Request>{};
  if (parts.size() < 2) return {std::move(whole)};
  std::vector<Applied> out;
  out.reserve(parts.size());
  for (const Request& part : parts) out.push_back(try_one(context, one.rule, part));
  return out;
}

int first_code(const std::vector<Applied>& applied) {
  const auto found =
      std::ranges::find_if(applied, [](const Applied& one) { return one.error.has_value(); });
  return found == applied.end() ? 0 : exit_code(found->error->kind);
}

/// What differs, and for each change that is next the lines of a script; nothing is changed.
Result<int> try_out(Context& context, const Spec& spec, const std::vector<std::string>& words) {
  const Judgement now = TRY(judge(context.session.host(), spec));
  const auto next = next_requests(spec, now);
  const auto since = since_of(context, spec, now);
  std::vector<Applied> changes;
  for (const RuleRequest& one : next)
    std::ranges::move(try_change(context, one, now), std::back_inserter(changes));
  const bool is_obeyed =
      now.problems.empty() && std::ranges::none_of(now.devices, [](const Standing& standing) {
        return standing.state == State::kNotObeyed;
      });
  const int code = first_code(changes) != 0 ? first_code(changes) : is_obeyed ? 0 : 1;
  if (context.json) {
    answer(context, {{"changes", applied_value(spec, changes)},
                     {"status", wire::to_json(spec, now, since, text_of)}});
    print_errors(context, spec, changes);
    return code;
  }
  print_status(context, spec, now, since, words);
  ChangeOptions options;
  options.dry_run = true;
  for (const Applied& one : changes) {
    say(context.out, "\n# rule \"{}\"\n", printable(spec.rules[one.rule].name));
    if (one.error) {
      print_errors(context, spec, {one});
    } else {
      TRY(carry_out(context, options, one.request));
    }
  }
  const bool makes = std::ranges::any_of(next, [](const RuleRequest& one) {
    return one.request.verb == Request::Verb::kMakeFunctions;
  });
  if (makes) say(context.out, "\n# what makes functions, and their rules, come after that\n");
  return code;
}

/// The errors of what the service did for rules: worst first, as code_of() has it.
Result<int> tell_errors(const Context& context, const wire::Json& changes) {
  int out = 0;
  for (const wire::Json& change : changes) {
    if (!change.is_object() || !change.contains("error") || change["error"].is_null()) continue;
    const Error error = TRY(wire::error_from_json(change["error"].dump()));
    const auto rule = change.find("rule");
    const bool is_named = rule != change.end() && rule->is_string();
    print_error(context, is_named ? rule->get<std::string>() : "", error);
    const int code = exit_code(error.kind);
    if (error.kind == ErrorKind::kIncomplete) return code;
    if (out == 0 || error.kind == ErrorKind::kFailed) out = code;
  }
  return out;
}

/// What the service has made of the rules of this machine.
Result<int> tell_served(Context& context, const Spec& spec, const std::string& json) {
  const auto value = wire::Json::parse(json, nullptr, false);
  if (!value.is_object() || !value.contains("changes") || !value["changes"].is_array())
    return fail({.kind = ErrorKind::kIncomplete,
                 .operation = "understand",
                 .object = "the answer of anybindd",
                 .advice = Action::kHistory});
  const Judgement after = TRY(judge(context.session.host(), spec));
  const int code = TRY(tell_errors(context, value["changes"]));
  if (context.json) {
    answer_text(context, json);
  } else {
    print_status(context, spec, after, {}, {});
  }
  return code == 0 && !after.holds() ? 1 : code;
}

Result<int> run_apply(Context& context, const PolicyOptions& options) {
  if (options.early && !options.specs.empty())
    return fail({.kind = ErrorKind::kUsage, .why = "--early goes by the rules of this machine"});
  if (options.early) return run_early(context, options.dry_run);
  const Spec spec = TRY(load_spec(context, options.specs));
  if (options.dry_run) return try_out(context, spec, options.specs);
  if (options.specs.empty()) {
    if (auto served = ask_service(context, "Apply"))
      return tell_served(context, spec, TRY(std::move(*served)));
  }
  catch_signals();
  Application applied = [&] {
    Narrator listener(context, "anybind: stopping as soon as the kernel lets go\n");
    return apply_spec(context.session.host(), spec, listener,
                      [&](const Rule& rule) { listener.give_to(rule.owner); });
  }();
  const auto kept = context.session.kept_after_change();
  auto after = judge(context.session.host(), spec);
  if (!after && !applied.error) applied.error = after.error();
  try {
    print_applied(context, spec, applied.changes, after.value_or(Judgement{}));
  } catch (const std::exception&) {  // for want of memory
    put(context.err, "anybind: warning: it is done; there was no memory left to say what\n");
  }
  const int code = code_of(applied.changes, after.value_or(Judgement{}));
  if (options.specs.empty() && after) keep_list(context, spec, *after);
  if (code == exit_code(ErrorKind::kIncomplete)) return code;
  if (applied.error) return fail(*std::move(applied.error));
  TRY(kept);
  return code;
}

}  // namespace

Run setup_rules(CLI::App& app) {
  auto options = std::make_shared<PolicyOptions>();
  add_spec(app, options->specs);
  return [options](Context& context) { return run_rules(context, *options); };
}

Run setup_status(CLI::App& app) {
  auto options = std::make_shared<PolicyOptions>();
  add_spec(app, options->specs);
  return [options](Context& context) { return run_status(context, *options); };
}

Run setup_apply(CLI::App& app) {
  auto options = std::make_shared<PolicyOptions>();
  add_spec(app, options->specs);
  app.add_flag("--dry-run", options->dry_run, "what differs, and the steps that would make it so");
  app.add_flag("--early", options->early,
               "at boot, before the host's drivers come: only keep devices without one");
  return [options](Context& context) { return run_apply(context, *options); };
}

}  // namespace anybind::cli
