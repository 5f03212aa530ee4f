#include "cli/change.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <exception>
#include <string_view>
#include <system_error>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/try.h"
#include "capture/rehearsal.h"
#include "cli/advice.h"
#include "cli/answer.h"
#include "cli/narrator.h"
#include "cli/say.h"
#include "cli/service.h"
#include "cli/signals.h"
#include "cli/table.h"
#include "engine/engine.h"
#include "users/guards.h"
#include "wire/dry_run.h"
#include "wire/outcome.h"

namespace anybind::cli {
namespace {

/// Prints each step as a line of a shell script.
class Script final : public Listener {
 public:
  explicit Script(const Context& context) : context_(context) {}

  void on_plan(const Plan& plan) override {
    for (const Remark& warning : plan.warnings) print_warning(context_, text_of(warning));
    if (context_.verbosity < 0) return;
    for (const Remark& note : plan.notes) say(context_.out, "# {}\n", printable(text_of(note)));
  }
  void on_module(const ModuleLoad& load) override {
    say(context_.out, "{}  # {}\n", printable(shell_line(load), 1024), printable(load.reason));
  }
  void on_step(const DeviceId& device, const Step& step) override {
    say(context_.out, "{}  # {}\n", printable(shell_line(device, step, context_.sysfs_root), 1024),
        printable(step.reason));
  }
  void on_setting(const Setting& setting) override {
    say(context_.out, "{}  # {}\n", printable(shell_line(setting, context_.sysfs_root), 1024),
        printable(setting.reason));
  }
  void on_warning(const std::string& text) override {
    say(context_.out, "# {}\n", printable(text, 1024));
  }
  void on_rollback(const Error& cause, std::size_t /*devices*/) override {
    say(context_.out, "# that failed: {}; what follows puts things back\n", cause.message());
  }
  [[nodiscard]] bool stop_requested() const override { return false; }

 private:
  const Context& context_;
};

std::string driver_words(const std::optional<DriverName>& driver) {
  return driver ? printable(driver->str()) : "no driver";
}

std::string outcome_line(const Outcome& outcome) {
  const std::string device = printable(outcome.device.str());
  if (outcome.gone)
    return fmt::format("{}  {} -> removed", device, driver_words(outcome.before.driver));
  if (!outcome.changed || !wire::is_different(outcome)) {
    return fmt::format("{}  {}: {}", device, driver_words(outcome.after.driver),
                       outcome.changed ? "as it was" : "nothing to do");
  }
  if (!outcome.after.driver && outcome.after.driver_override == "none" && !outcome.before.driver)
    return fmt::format("{}  no driver, and kept so", device);
  if (outcome.before.driver == outcome.after.driver) {
    return fmt::format("{}  {}: driver_override now {}", device, driver_words(outcome.after.driver),
                       printable(outcome.after.driver_override.value_or("unset")));
  }
  return fmt::format("{}  {} -> {}", device, driver_words(outcome.before.driver),
                     driver_words(outcome.after.driver));
}

/// The records of an answer in JSON, whose warnings go to standard error.
class QuietScript final : public Listener {
 public:
  QuietScript(const Context& context, wire::DryRun& script) : context_(context), script_(script) {}
  void on_plan(const Plan& plan) override {
    for (const Remark& warning : plan.warnings) print_warning(context_, text_of(warning));
  }
  void on_module(const ModuleLoad& load) override { script_.on_module(load); }
  void on_step(const DeviceId& device, const Step& step) override { script_.on_step(device, step); }
  void on_setting(const Setting& setting) override { script_.on_setting(setting); }
  void on_warning(const std::string& text) override { script_.on_warning(text); }
  void on_rollback(const Error& cause, std::size_t devices) override {
    script_.on_rollback(cause, devices);
  }

 private:
  const Context& context_;
  wire::DryRun& script_;
};

/// What Request::owner will get, as lines for a shell: the nodes are not there yet.
std::vector<wire::Afterwards> chown_lines(const Context& context, const Plan& plan,
                                          const Request& request) {
  std::vector<wire::Afterwards> out;
  if (request.owner.empty()) return out;
  for (const std::string& node : nodes_to_give(context.session.host(), plan)) {
    out.push_back(
        {.shell = fmt::format("chown {} {}", shell_quote(request.owner), shell_quote(node)),
         .reason = "so that user space can open the group"});
  }
  return out;
}

/// The same code, run against a model of this machine; only what the model says is printed.
Result<int> try_out(Context& context, const Request& request) {
  const Session& session = context.session;
  if (context.json) {
    wire::DryRun steps(context.sysfs_root);
    QuietScript listener(context, steps);
    const Rehearsal tried = TRY(rehearse(session.host(), session.lab(), request, listener));
    if (tried.predicted) {
      for (const wire::Afterwards& step : chown_lines(context, tried.plan, request))
        steps.add(step);
    }
    wire::Json told =
        steps.value(request, tried.plan, tried.predicted ? &*tried.predicted : nullptr, text_of);
    if (!tried.predicted) told["error"] = error_value(tried.predicted.error());
    answer(context, told);
    if (!tried.predicted) return fail(tried.predicted.error());
    return 0;
  }
  Script script(context);
  const Rehearsal tried = TRY(rehearse(session.host(), session.lab(), request, script));
  if (!tried.predicted) return fail(tried.predicted.error());
  for (const wire::Afterwards& step : chown_lines(context, tried.plan, request))
    say(context.out, "{}  # {}\n", printable(step.shell, 1024), printable(step.reason));
  say(context.out, "# predicted{}:\n", tried.plan.empty() ? " (nothing to do)" : "");
  for (const Outcome& outcome : *tried.predicted)
    say(context.out, "#   {}\n", outcome_line(outcome));
  return 0;
}

/// By the service, unless rules go to a directory that it does not know.
Result<std::vector<Outcome>> change_here(const Context& context, const ChangeOptions& options,
                                         const Wanted& wanted) {
  if (options.rules.empty()) {
    if (auto served = change_by_service(context, wanted)) return *std::move(served);
  }
  const Host& host = context.session.host();
  RuleFolder folder;
  if (wanted.persist) folder = TRY(open_rule_folder(host, options.rules));
  Narrator listener(context, "anybind: stopping as soon as the kernel lets go\n");
  listener.give_to(wanted.request.owner);
  return change_as_wanted(host, wanted, wanted.persist ? &folder : nullptr, listener);
}

}  // namespace

void print_outcomes(const Context& context, const std::vector<Outcome>& outcomes) {
  if (context.json) return answer(context, wire::to_json(outcomes));
  if (context.verbosity < 0) return;
  std::string text;
  for (const Outcome& outcome : outcomes) text += outcome_line(outcome) + "\n";
  put(context.out, text);
}

void add_timeout(CLI::App& app, ChangeOptions& options) {
  auto* timeout =
      app.add_option(
             "--timeout", options.timeout,
             "seconds to wait for another anybind, and, at least 1, for a write that does not "
             "return "
             "and is then left behind; without it: as long as the other runs, 10 for an unbind "
             "from a VFIO driver, 120 for any other write")
          ->type_name("S");
  allow_seconds(*timeout, 1e6);
}

void allow_seconds(CLI::Option& option, double most) {
  const auto check = [most](const std::string& text) -> std::string {
    double seconds = -1;
    const auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    const bool is_number = err == std::errc() && end == text.data() + text.size();
    if (is_number && seconds >= 0 && seconds <= most) return "";
    return fmt::format("not a number of seconds from 0 to {:.0f}: {}", most, printable(text));
  };
  option.check(CLI::Validator(check, ""));
}

void allow_only(CLI::Option& option, std::vector<std::string> names, const char* what) {
  option.description(option.get_description() + "; one of " + join_words(names, "and"));
  const auto check = [names = std::move(names), what](const std::string& word) -> std::string {
    if (std::ranges::find(names, word) != names.end()) return "";
    const auto near = nearest(word, names);
    return fmt::format("no such {}: {}{}", what, printable(word),
                       near.empty() ? "" : "; did you mean " + join_words(near, "or") + "?");
  };
  option.check(CLI::Validator(check, ""));
}

void add_ignore(CLI::App& app, ChangeOptions& options) {
  auto names = guard_names();
  names.emplace_back(kSameId);
  auto* option = app.add_option("--ignore", options.ignored,
                                "a guard that shall not stop it; several with commas, or repeated")
                     ->type_name("GUARD")
                     ->allow_extra_args(false)  // what follows is a device
                     ->delimiter(',');
  allow_only(*option, std::move(names), "guard");
}

Request request_of(const ChangeOptions& options) {
  Request out{.ignored = options.ignored};
  if (options.timeout) {
    out.patience = std::chrono::milliseconds(
        static_cast<std::int64_t>(std::min(*options.timeout, 1e9) * 1000));
  }
  return out;
}

Result<int> carry_out(Context& context, const ChangeOptions& options, const Request& request) {
  return carry_out(context, options, Wanted{.request = request});
}

Result<int> carry_out(Context& context, const ChangeOptions& options, const Wanted& wanted) {
  if (options.dry_run) return try_out(context, wanted.request);
  catch_signals();
  const auto outcomes = change_here(context, options, wanted);
  const auto kept = context.session.kept_after_change();
  if (!outcomes) return fail(outcomes.error());
  TRY(kept);
  try {
    print_outcomes(context, *outcomes);
  } catch (const std::exception&) {  // for want of memory
    put(context.err, "anybind: warning: it is done; there was no memory left to say what\n");
  }
  if (context.session.is_lab() && !context.session.is_kept() && context.verbosity >= 0) {
    put(context.err, "(a lab in memory: nothing is kept; --state DIR keeps it)\n");
  }
  return 0;
}

}  // namespace anybind::cli
