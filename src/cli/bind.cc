// bind, unbind and restore: three goals for one plan.
#include <csignal>
#include <functional>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "binding/planner.h"
#include "binding/transaction.h"
#include "cli/model.h"
#include "cli/session.h"
#include "cli/verb.h"
#include "inventory/select.h"

namespace anybind::cli {
namespace {

volatile std::sig_atomic_t interrupted = 0;

extern "C" void on_signal(int /*signal*/) {
  interrupted = 1;
}

/// From now on Ctrl-C and SIGTERM end the plan at the next step, and it is rolled back. System
/// calls go on (SA_RESTART): a write into the kernel is never cut short.
void catch_signals() {
  struct sigaction action{};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
}

struct Options {
  std::vector<std::string> words;
  bool group = false;
  bool dry_run = false;
};

/// Says on standard error what is done, when asked to.
class Narrator final : public Listener {
 public:
  explicit Narrator(const Context& context) : context_(context) {}

  void on_step(const DeviceId& device, const Step& step) override {
    if (context_.verbosity < 1) return;
    fmt::print(context_.err, "{}: {}: {}\n", printable(device.str()), printable(step.reason),
               printable(shell_line(device, step, context_.sysfs_root), 1024));
  }
  void on_rollback(const Error& /*cause*/, std::size_t devices) override {
    if (context_.verbosity < 0) return;
    fmt::print(context_.err, "anybind: putting {} device{} back\n", devices,
               devices == 1 ? "" : "s");
  }
  [[nodiscard]] bool stop_requested() const override { return interrupted != 0; }

 private:
  const Context& context_;
};

/// Prints each step as a line of a shell script.
class Script final : public Listener {
 public:
  explicit Script(const Context& context) : context_(context) {}

  void on_step(const DeviceId& device, const Step& step) override {
    fmt::print(context_.out, "{}  # {}\n",
               printable(shell_line(device, step, context_.sysfs_root), 1024),
               printable(step.reason));
  }
  void on_rollback(const Error& cause, std::size_t /*devices*/) override {
    fmt::print(context_.out, "# that failed: {}; what follows puts things back\n", cause.message());
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
  if (!outcome.changed) {
    return fmt::format("{}  {}: nothing to do", device, driver_words(outcome.after.driver));
  }
  if (outcome.before.driver == outcome.after.driver) {
    return fmt::format("{}  {}: driver_override now {}", device, driver_words(outcome.after.driver),
                       printable(outcome.after.driver_override.value_or("unset")));
  }
  return fmt::format("{}  {} -> {}", device, driver_words(outcome.before.driver),
                     driver_words(outcome.after.driver));
}

nlohmann::json to_json(const Binding& binding) {
  nlohmann::json out;
  out["driver"] = binding.driver ? nlohmann::json(binding.driver->str()) : nlohmann::json(nullptr);
  out["driver_override"] =
      binding.driver_override ? nlohmann::json(*binding.driver_override) : nlohmann::json(nullptr);
  return out;
}

void print_outcomes(const Context& context, const std::vector<Outcome>& outcomes) {
  std::string text;
  if (context.json) {
    nlohmann::json rows = nlohmann::json::array();
    for (const Outcome& outcome : outcomes) {
      rows.push_back({{"bus", outcome.device.bus.str()},
                      {"address", outcome.device.name.str()},
                      {"before", to_json(outcome.before)},
                      {"after", to_json(outcome.after)},
                      {"changed", outcome.changed}});
    }
    text = rows.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  } else if (context.verbosity >= 0) {
    for (const Outcome& outcome : outcomes) text += outcome_line(outcome) + "\n";
  }
  std::fputs(text.c_str(), context.out);
}

void print_notes(const Context& context, const Plan& plan, const char* lead) {
  if (context.verbosity < 0 || context.json) return;
  for (const std::string& note : plan.notes)
    fmt::print(context.out, "{}{}\n", lead, printable(note));
}

/// Plans on this machine; reads, nothing else. Only `restore` asks what there was before.
struct Planning {
  std::function<Result<Plan>(Sysfs&, const Origins*)> plan;
  bool needs_origins = false;
};

/// The same code, run against a model of this machine; only what the model says is printed.
Result<int> try_out(Context& context, const Planning& planning) {
  std::optional<Origins> origins;  // not read without need: another user may not read them
  if (planning.needs_origins) origins.emplace(TRY(context.session.origins(false)));
  const auto model = TRY(context.session.model());
  const Plan here = TRY(planning.plan(context.sysfs, origins ? &*origins : nullptr));
  const Plan there = TRY(on_model(here, model->sysfs()));
  print_notes(context, here, "# ");
  Script script(context);
  const auto outcomes = run(model->sysfs(), there, nullptr, script);
  if (!outcomes) return fail(outcomes.error());
  if (context.json) {
    print_outcomes(context, *outcomes);
    return 0;
  }
  fmt::print(context.out, "# predicted{}:\n", here.empty() ? " (nothing to do)" : "");
  for (const Outcome& outcome : *outcomes)
    fmt::print(context.out, "#   {}\n", outcome_line(outcome));
  return 0;
}

Result<int> plan_and_run(Context& context, const Options& options, const Planning& planning) {
  if (options.dry_run) return try_out(context, planning);
  Origins origins = TRY(context.session.origins(true));
  const Plan plan = TRY(planning.plan(context.sysfs, &origins));
  print_notes(context, plan, "");
  catch_signals();
  Narrator narrator(context);
  const auto outcomes = run(context.sysfs, plan, &origins, narrator);
  TRY(context.session.keep());
  if (!outcomes) return fail(outcomes.error());
  print_outcomes(context, *outcomes);
  if (context.session.is_lab() && !context.session.is_kept() && context.verbosity >= 0) {
    fmt::print(context.err, "(a lab in memory: nothing is kept; --state DIR keeps it)\n");
  }
  return 0;
}

/// The last word of bind: a driver, and not a device by mistake.
Result<DriverName> driver_argument(const std::string& word) {
  if (!looks_like_device(word)) return DriverName::parse(word);
  return fail({.code = Code::kUsage,
               .object = word,
               .why = "this is a device, but the last argument must be a driver",
               .next = fmt::format("anybind bind {} vfio-pci, for instance", shell_quote(word))});
}

Result<int> run_bind(Context& context, const Options& options) {
  std::vector<std::string> words = options.words;
  const DriverName driver = TRY(driver_argument(words.back()));
  words.pop_back();
  const auto devices = TRY(select_devices_unchecked(context.sysfs, words, context.sysfs_root));
  return plan_and_run(context, options, {.plan = [&](Sysfs& sysfs, const Origins*) {
                        if (driver.str() == "none") return plan_unbind(sysfs, devices);
                        return plan_bind(
                            sysfs,
                            {.devices = devices, .driver = driver, .whole_group = options.group});
                      }});
}

Result<int> run_unbind(Context& context, const Options& options) {
  const auto devices =
      TRY(select_devices_unchecked(context.sysfs, options.words, context.sysfs_root));
  return plan_and_run(context, options, {.plan = [&](Sysfs& sysfs, const Origins*) {
                        return plan_unbind(sysfs, devices);
                      }});
}

Result<int> run_restore(Context& context, const Options& options) {
  const auto devices =
      TRY(select_devices_unchecked(context.sysfs, options.words, context.sysfs_root));
  const auto plan = [&](Sysfs& sysfs, const Origins* origins) {
    return plan_restore(sysfs, devices, *origins);
  };
  return plan_and_run(context, options, {.plan = plan, .needs_origins = true});
}

using Verbed = Result<int> (*)(Context&, const Options&);

Run bind_like(CLI::App& app, const char* words, int least, Verbed verbed) {
  auto options = std::make_shared<Options>();
  app.add_option(words, options->words, "selectors; see anybind --help")
      ->required()
      ->expected(least, -1);
  app.add_flag("--dry-run", options->dry_run,
               "print the plan as shell lines and the predicted result");
  if (verbed == run_bind) {
    app.add_flag("--group", options->group, "take the whole IOMMU group, except bridges");
  }
  return [options, verbed](Context& context) { return verbed(context, *options); };
}

}  // namespace

Run setup_bind(CLI::App& app) {
  return bind_like(app, "device_driver", 2, run_bind);
}
Run setup_unbind(CLI::App& app) {
  return bind_like(app, "device", 1, run_unbind);
}
Run setup_restore(CLI::App& app) {
  return bind_like(app, "device", 1, run_restore);
}

}  // namespace anybind::cli
