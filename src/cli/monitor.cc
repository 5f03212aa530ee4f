// monitor: what happens to bindings, as it happens. The kernel's events say when to look, and never
// what there is: the driver that is told is the one that was read afterwards. A binding that
// differs from the rules is told where it happens; what anybind itself does is told from its
// journal.
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/try.h"
#include "cli/answer.h"
#include "cli/change.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/spec_source.h"
#include "cli/table.h"
#include "cli/verb.h"
#include "engine/engine.h"
#include "host/uevents.h"
#include "policy/judge.h"
#include "wire/json.h"

namespace anybind::cli {
namespace {

/// How long a change of the journal may go unseen.
constexpr auto kLook = std::chrono::milliseconds(500);
constexpr std::size_t kMostAtOnce = 1000;  // events

struct MonitorOptions {
  std::vector<std::string> specs;
  std::optional<double> seconds;
};

class Monitor {
 public:
  Monitor(Context& context, const MonitorOptions& options) : context_(context), options_(options) {}

  /// Ctrl-C ends it like any other program.
  Result<int> run() {
    const auto source = listen_to_uevents();
    if (!source) return fail(from_errno(source.error(), "listen to", "the kernel's events"));
    TRY(load_rules());
    remember_changes();
    const auto start = now();
    const auto is_over = [&] {
      return options_.seconds && now() - start >= std::chrono::duration<double>(*options_.seconds);
    };
    while (!is_over()) {
      TRY(tell_next(**source));
      tell_changes();
      std::fflush(context_.out);
      if (std::ferror(context_.out) != 0) return 0;  // nobody reads any more
    }
    return 0;
  }

 private:
  [[nodiscard]] const Host& host() const { return context_.session.host(); }
  [[nodiscard]] Clock::Time now() const { return host().clock->now(); }

  /// What comes together is compared with the rules once.
  Result<> tell_next(UeventSource& source) {
    std::vector<Uevent> batch;
    for (auto wait = kLook; batch.size() < kMostAtOnce; wait = std::chrono::milliseconds(0)) {
      auto event = source.next(wait);
      if (!event && event.error().value != ENOBUFS)
        return fail(from_errno(event.error(), "listen to", "the kernel's events"));
      if (!event) tell_gap();
      if (event && !*event) break;
      if (event) batch.push_back(**std::move(event));
    }
    std::erase_if(batch, [&](const Uevent& event) { return !device_of(event); });
    if (batch.empty()) return {};
    // Rules may have been written meanwhile; broken ones count no more than none.
    if (const auto loaded = load_rules(); !loaded) tell_broken(loaded.error());
    const auto judgement =
        spec_.rules.empty() ? Result<Judgement>(Judgement{}) : judge(host(), spec_);
    if (!judgement) tell_broken(judgement.error());
    for (const Uevent& event : batch)
      tell(event, *device_of(event), judgement ? *judgement : Judgement{});
    return {};
  }

  /// Without rules nothing is compared; broken ones are an error at once, and not while it runs.
  Result<> load_rules() {
    if (options_.specs.empty() && host().rules_dir.empty()) return {};
    auto loaded = load_spec(context_, options_.specs);
    if (!loaded) {
      spec_ = {};
      return fail(std::move(loaded).error());
    }
    spec_ = *std::move(loaded);
    return {};
  }

  /// Once for each thing that is wrong.
  void tell_broken(const Error& error) {
    if (std::exchange(broken_, error.message()) != error.message())
      say(context_.err, "anybind: warning: not compared with the rules: {}\n", error.message());
  }

  void print(const wire::Json& value, const std::string& words) {
    if (context_.json) return put(context_.out, wire::line_of(value));
    say(context_.out, "{}  {}\n", time_text(host().clock->date()).substr(11), words);
  }

  void tell_gap() {
    print({{"event", "gap"}, {"time", host().clock->date()}},
          "the kernel has dropped events: what they told is not known");
  }

  static constexpr std::array<std::string_view, 6> kActions = {"add",    "remove", "bind",
                                                               "unbind", "move",   "change"};

  /// nullopt: it is about something else than the binding of a device.
  std::optional<DeviceId> device_of(const Uevent& event) {
    const auto bus = BusName::parse(event.subsystem);
    const auto name = DeviceName::parse(link_name(event.devpath));
    const bool is_known = std::ranges::find(kActions, event.action) != kActions.end() &&
                          (event.action != "change" || context_.verbosity >= 1);
    if (!bus || !name || event.is_synthetic || !is_known || !is_bus(*bus)) return std::nullopt;
    return DeviceId{.bus = *bus, .name = *name};
  }

  void tell(const Uevent& event, const DeviceId& id, const Judgement& judgement) {
    const auto dir = open_device(host().sysfs, id);
    const bool is_there = dir && *dir != nullptr;
    const auto driver = is_there ? read_driver(**dir) : std::optional<DriverName>();
    const std::string text = driver && *driver ? (*driver)->str() : "";
    std::string words = fmt::format("{:<8}{}", event.action, printable(id.str()));
    if (is_there) words += "  " + (text.empty() ? "no driver" : printable(text));
    const std::string differs = is_there ? difference(judgement, id) : "";
    if (!differs.empty()) words += "  (" + printable(differs) + ")";
    print({{"event", "device"},
           {"time", host().clock->date()},
           {"action", event.action},
           {"bus", id.bus.str()},
           {"address", id.name.str()},
           {"driver", text.empty() ? wire::Json(nullptr) : wire::Json(text)},
           {"differs", differs.empty() ? wire::Json(nullptr) : wire::Json(differs)}},
          words);
  }

  bool is_bus(const BusName& bus) {
    const auto [known, is_new] = buses_.try_emplace(bus, false);
    if (is_new) known->second = host().sysfs.open_dir("bus/" + bus.str()).has_value();
    return known->second;
  }

  /// How it differs from the rules; empty: it does not, or no rule counts for it.
  std::string difference(const Judgement& judgement, const DeviceId& id) const {
    const auto standing = std::ranges::find(judgement.devices, id, &Standing::device);
    const auto problem =
        std::ranges::find(judgement.problems, std::optional(id), &PolicyProblem::device);
    if (problem != judgement.problems.end()) return problem->what;
    if (standing == judgement.devices.end() || standing->state == Standing::State::kMet) return "";
    return fmt::format("{}: rule \"{}\"", standing->differs, spec_.rules[standing->rule].name);
  }

  void remember_changes() {
    const auto memory = read_memory(host());
    if (!memory) {
      say(context_.err, "anybind: warning: changes of anybind are not told: {}\n",
          memory.error().message());
      return;
    }
    for (const std::uint64_t id : memory->journal.closed()) known_.insert(id);
  }

  void tell_changes() {
    const auto memory = read_memory(host());
    if (!memory) return;
    for (const std::uint64_t id : memory->journal.closed()) {
      if (!known_.insert(id).second) continue;
      const auto entry = memory->journal.read(id);
      if (!entry || !*entry) continue;
      const bool is_done = (*entry)->ending == Ending::kDone;
      print({{"event", "change"},
             {"time", host().clock->date()},
             {"id", id},
             {"result", is_done ? "done" : "failed"},
             {"command", (*entry)->command}},
            fmt::format("anybind change {} {}: {}", id, is_done ? "done" : "failed",
                        printable((*entry)->command)));
    }
  }

  Context& context_;
  const MonitorOptions& options_;
  Spec spec_;
  std::string broken_;
  std::map<BusName, bool> buses_;
  std::set<std::uint64_t> known_;
};

Result<int> run_monitor(Context& context, const MonitorOptions& options) {
  if (!context.session.host().has_uevents) {
    return fail({.kind = ErrorKind::kUsage,
                 .why = "a lab in memory and a made-up tree have no events",
                 .advice = "anybind lab shell FILE, and monitor in there"});
  }
  return Monitor(context, options).run();
}

}  // namespace

Run setup_monitor(CLI::App& app) {
  auto options = std::make_shared<MonitorOptions>();
  add_spec(app, options->specs);
  auto* seconds =
      app.add_option("--for", options->seconds, "seconds after which it ends; else with Ctrl-C")
          ->type_name("S");
  allow_seconds(*seconds, 1e9);
  return [options](Context& context) { return run_monitor(context, *options); };
}

}  // namespace anybind::cli
