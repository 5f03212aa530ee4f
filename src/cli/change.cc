#include "cli/change.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <set>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>

#include "base/text.h"
#include "base/try.h"
#include "binding/in_use.h"
#include "cli/model.h"
#include "cli/say.h"
#include "cli/table.h"
#include "inventory/group.h"
#include "inventory/guards.h"
#include "lab/inside.h"

namespace anybind::cli {
namespace {

using Clock = std::chrono::steady_clock;

/// Seconds. Most writes return sooner, also on a busy machine: who does not want to wait for
/// another anybind does not mean that they be left behind.
constexpr double kLeastPatience = 1;

std::atomic<bool> interrupted = false;  // read by several threads
std::atomic<bool> changing = false;
std::atomic<const char*> words_of_stop = nullptr;  // what Ctrl-C is answered with at once
std::atomic<bool> progress_is_shown = false;
static_assert(std::atomic<bool>::is_always_lock_free &&
              std::atomic<const char*>::is_always_lock_free);

constexpr const char* kBackAnyway = "anybind: things are being put back; that goes on to its end\n";

extern "C" void on_stop(int /*signal*/) {
  const int kept = errno;
  interrupted = true;
  const char* words = words_of_stop;
  pollfd file{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (words != nullptr && ::poll(&file, 1, 0) > 0) {
    constexpr std::string_view kClear = "\r\x1b[K";
    if (progress_is_shown.exchange(false)) (void)::write(file.fd, kClear.data(), kClear.size());
    (void)::write(file.fd, words, std::strlen(words));
  }
  errno = kept;
}

extern "C" void on_other(int /*signal*/) {}

std::string warning_line(const std::string& text) {
  return fmt::format("anybind: warning: {}\n", printable(text, 1024));
}

void print_warning(const Context& context, const std::string& text) {
  if (context.verbosity >= 0) put(context.err, warning_line(text));
}

/// Says on standard error what is done, when asked to, or on a terminal when it takes long.
class Narrator final : public Listener {
 public:
  Narrator(const Context& context, std::size_t devices, const char* on_stop)
      : context_(context),
        devices_(devices),
        shows_progress_(context.verbosity == 0 && ::isatty(::fileno(context.err)) == 1) {
    if (context.verbosity >= 0) words_of_stop = on_stop;
  }
  ~Narrator() override {
    words_of_stop = nullptr;
    clear();
  }

  void on_module(const ModuleLoad& load) override {
    if (context_.verbosity < 1) return;
    say_soon(context_.err, "{}: {}\n", printable(load.reason), printable(shell_line(load), 1024));
  }
  void on_step(const DeviceId& device, const Step& step) override {
    if (context_.verbosity >= 1) {
      say_soon(context_.err, "{}: {}: {}\n", printable(device.str()), printable(step.reason),
               printable(shell_line(device, step, context_.sysfs_root), 1024));
    }
    if (shows_progress_) show_progress(device);
  }
  void on_setting(const Setting& setting) override {
    if (context_.verbosity < 1) return;
    say_soon(context_.err, "{}: {}\n", printable(setting.reason),
             printable(shell_line(setting, context_.sysfs_root), 1024));
  }
  void on_warning(const std::string& text) override {
    clear();
    if (context_.verbosity >= 0) put_soon(context_.err, warning_line(text));
  }
  void on_rollback(const Error& /*cause*/, std::size_t devices) override {
    if (context_.verbosity < 0) return;
    clear();
    words_of_stop = kBackAnyway;
    say_soon(context_.err, "anybind: putting {} device{} back\n", devices, devices == 1 ? "" : "s");
    seen_.clear();
    devices_ = devices;
  }
  [[nodiscard]] bool stop_requested() const override { return interrupted; }

 private:
  void show_progress(const DeviceId& device) {
    seen_.insert(device);
    const auto now = Clock::now();
    if (now - start_ < kSilence || now - shown_at_ < kRefresh) return;
    shown_at_ = now;
    progress_is_shown = true;
    const std::string text =
        fmt::format("{} of {}: {}", seen_.size(), devices_, printable(device.str()));
    // One that wraps could not be taken away again.
    const std::size_t room = context_.width > 1 ? context_.width - 1 : kUsualWidth;
    say_soon(context_.err, "\r{}\x1b[K", cut_to_width(text, room));
  }
  void clear() {
    if (progress_is_shown.exchange(false)) put_soon(context_.err, "\r\x1b[K");
  }

  static constexpr std::size_t kUsualWidth = 79;
  static constexpr auto kSilence = std::chrono::seconds(1);
  static constexpr auto kRefresh = std::chrono::milliseconds(100);
  const Context& context_;
  std::size_t devices_;
  bool shows_progress_;
  std::set<DeviceId> seen_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point shown_at_{};
};

/// Prints each step as a line of a shell script.
class Script final : public Listener {
 public:
  explicit Script(const Context& context) : context_(context) {}

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
  if (!outcome.changed || !is_different(outcome)) {
    return fmt::format("{}  {}: {}", device, driver_words(outcome.after.driver),
                       outcome.changed ? "as it was" : "nothing to do");
  }
  if (outcome.before.driver == outcome.after.driver) {
    return fmt::format("{}  {}: driver_override now {}", device, driver_words(outcome.after.driver),
                       printable(outcome.after.driver_override.value_or("unset")));
  }
  return fmt::format("{}  {} -> {}", device, driver_words(outcome.before.driver),
                     driver_words(outcome.after.driver));
}

void print_notes(const Context& context, const Plan& plan, const char* lead) {
  for (const std::string& warning : plan.warnings) print_warning(context, warning);
  if (context.verbosity < 0 || context.json) return;
  for (const std::string& note : plan.notes) say(context.out, "{}{}\n", lead, printable(note));
}

/// The same code, run against a model of this machine; only what the model says is printed.
Result<int> try_out(Context& context, const ChangeOptions& options, const Planning& planning) {
  // Not read without need: another user may not read it.
  const Memory memory =
      planning.needs_memory ? TRY(context.session.memory()) : TRY(context.session.no_memory());
  const Plan here = TRY(planning.plan(context.sysfs, memory));
  const auto model = TRY(context.session.model(here.modules));
  TRY(check_guards(context, losing_drivers(here), options));
  const Plan there = TRY(on_model(here, model->sysfs()));
  const RunOptions how{.modules = &model->modules()};
  const std::vector<Afterwards> last =
      planning.afterwards ? planning.afterwards() : std::vector<Afterwards>();
  if (context.json) {
    for (const std::string& warning : here.warnings) print_warning(context, warning);
    JsonScript steps(context.sysfs_root);
    const auto outcomes = run(model->sysfs(), there, nullptr, steps, how);
    if (outcomes) {
      for (const Afterwards& step : last) steps.add(step);
    }
    std::fputs(steps.text(here, outcomes).c_str(), context.out);
    context.answered = true;
    if (!outcomes) return fail(outcomes.error());
    return 0;
  }
  print_notes(context, here, "# ");
  Script script(context);
  const auto outcomes = run(model->sysfs(), there, nullptr, script, how);
  if (!outcomes) return fail(outcomes.error());
  for (const Afterwards& step : last) {
    say(context.out, "{}  # {}\n", printable(step.shell, 1024), printable(step.reason));
  }
  say(context.out, "# predicted{}:\n", here.empty() ? " (nothing to do)" : "");
  for (const Outcome& outcome : *outcomes) say(context.out, "#   {}\n", outcome_line(outcome));
  return 0;
}

/// Of a device that planning found busy. When anybind itself has left a write behind, that change
/// is still open.
void tell_busy(Context& context, Error& error) {
  error.why = "it is busy: " + context.session.why_busy(error.object);
  if (context.session.left_in(error.object).empty()) return;
  error.code = Code::kIncomplete;
  error.next = "anybind recover, once that process has ended";
}

}  // namespace

void print_outcomes(const Context& context, const std::vector<Outcome>& outcomes) {
  std::string text;
  if (context.json) {
    text = outcomes_json(outcomes);
  } else if (context.verbosity >= 0) {
    for (const Outcome& outcome : outcomes) text += outcome_line(outcome) + "\n";
  }
  std::fputs(text.c_str(), context.out);
}

void catch_signals() {
  changing = true;
  struct sigaction action{};
  action.sa_flags = SA_RESTART;
  action.sa_handler = on_stop;
  for (const int signal : {SIGINT, SIGTERM}) ::sigaction(signal, &action, nullptr);
  // Not ignored: the programs that we start would inherit that.
  action.sa_handler = on_other;
  for (const int signal : {SIGHUP, SIGPIPE}) ::sigaction(signal, &action, nullptr);
  // But this one: a handler would have the write to the terminal begin again for ever.
  action.sa_handler = SIG_IGN;
  ::sigaction(SIGTTOU, &action, nullptr);
}

bool is_change() {
  return changing;
}

void add_timeout(CLI::App& app, ChangeOptions& options) {
  app.add_option(
         "--timeout", options.timeout,
         "seconds to wait for another anybind, and, at least 1, for a write that does not return "
         "and is then left behind; without it: as long as the other runs, 10 for an unbind "
         "from a VFIO driver, 120 for any other write")
      ->type_name("S")
      ->check(CLI::Range(0.0, 1e6))
      ->check([](const std::string& text) {  // which is in every range
        return std::ranges::search(text, std::string_view("nan")).empty() ? "" : "not a number";
      });
}

bool is_ignored(const ChangeOptions& options, std::string_view guard) {
  return std::ranges::find(options.ignored, guard) != options.ignored.end();
}

void allow_only(CLI::Option& option, std::vector<std::string> names, const char* what) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "{" : ",") + name;
  const auto check = [names = std::move(names), what](const std::string& word) -> std::string {
    if (std::ranges::find(names, word) != names.end()) return "";
    const auto near = nearest(word, names);
    return fmt::format("no such {}: {}{}", what, printable(word),
                       near.empty() ? "" : "; did you mean " + join_words(near, "or") + "?");
  };
  option.check(CLI::Validator(check, list + "}"));
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

Result<Memory> lock_memory(Context& context, const ChangeOptions& options,
                           Memory::OnDamage on_damage) {
  const auto start = Clock::now();
  bool told = false;
  const auto wait = [&](const std::string& owner) {
    const auto waited = Clock::now() - start;
    if (interrupted ||
        (options.timeout && waited > std::chrono::duration<double>(*options.timeout)))
      return false;
    if (!told && waited > std::chrono::seconds(1) && context.verbosity >= 0) {
      told = true;
      say(context.err, "anybind: waiting for process {}\n", printable(owner));
    }
    return true;
  };
  return context.session.lock_memory(wait, on_damage);
}

Result<> check_guards(Context& context, const std::vector<Asked>& devices,
                      const ChangeOptions& options) {
  if (context.session.is_lab()) return {};
  return refuse_if_in_use(context.sysfs, Proc(context.session.proc_root()), devices,
                          options.ignored);
}

RunOptions run_options(Context& context, const ChangeOptions& options) {
  // Only this machine's groups have users among this machine's processes; the processes that
  // anybind starts itself are here whatever tree it writes to, and a model needs none.
  const bool is_machine = !context.session.proc_root().empty() && !lab::is_inside();
  RunOptions out{.proc = context.session.is_lab() ? "" : "/proc",
                 .vfio = is_machine ? "/dev/vfio" : "",
                 .concurrent = !context.session.is_lab(),
                 .log = context.session.kernel_log(),
                 .modules = context.session.modules()};
  if (!context.session.is_lab()) out.interface_patience = std::chrono::seconds(2);
  out.check_users = [&context, &options](const std::vector<Asked>& devices) {
    return check_guards(context, devices, options);
  };
  if (options.timeout) {
    const double seconds = std::max(*options.timeout, kLeastPatience);
    out.patience = std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
    out.long_patience = out.patience;
  }
  return out;
}

std::unique_ptr<Listener> narrator(const Context& context, std::size_t devices,
                                   const char* on_stop) {
  return std::make_unique<Narrator>(context, devices, on_stop);
}

std::unique_ptr<Listener> script(const Context& context) {
  return std::make_unique<Script>(context);
}

Result<int> plan_and_run(Context& context, const ChangeOptions& options, const Planning& planning) {
  if (options.dry_run) return try_out(context, options, planning);
  catch_signals();
  Memory memory = TRY(lock_memory(context, options));
  auto planned = planning.plan(context.sysfs, memory);
  if (!planned && planned.error().err.value == ETIMEDOUT) tell_busy(context, planned.error());
  const Plan plan = TRY(std::move(planned));
  print_notes(context, plan, "");
  TRY(check_guards(context, losing_drivers(plan), options));
  auto listener = narrator(context, plan.devices.size() + (plan.makes ? plan.makes->count : 0),
                           "anybind: stopping as soon as the kernel lets go\n");
  RunOptions how = run_options(context, options);
  how.finish = planning.finish;
  const auto outcomes =
      run(context.sysfs, plan, {&memory.origins, &memory.journal}, *listener, how);
  listener.reset();
  const auto kept = context.session.keep();
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
