// bind, unbind and restore: three goals for one plan.
#include <algorithm>
#include <iterator>
#include <memory>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>

#include "base/text.h"
#include "base/try.h"
#include "cli/change.h"
#include "cli/choose.h"
#include "cli/left_out.h"
#include "cli/persist.h"
#include "cli/say.h"
#include "engine/engine.h"
#include "inventory/device.h"
#include "inventory/net_interface.h"
#include "inventory/select.h"

namespace anybind::cli {
namespace {

bool is_device(Sysfs& root, const std::string& typed) {
  const std::string word = without_dev(typed);
  if (looks_like_device(word)) return true;
  return !root.open_dir("bus/pci/drivers/" + word) && !devices_behind(root, word).empty();
}

/// The last word of bind: a driver, and not a device by mistake. Other tools have the driver first.
Result<DriverName> driver_argument(Sysfs& root, std::vector<std::string> words) {
  if (!is_device(root, words.back())) return DriverName::parse(without_dev(words.back()));
  Error error{.kind = ErrorKind::kUsage,
              .object = words.back(),
              .why = "this is a device, but the last argument must be a driver"};
  const bool is_turned = !is_device(root, words.front());
  if (is_turned) std::ranges::rotate(words, std::next(words.begin()));
  std::string line = "anybind bind";
  for (const std::string& word : words) line += " " + shell_quote(word);
  error.advice = is_turned ? line : line + " vfio-pci, for instance";
  return fail(std::move(error));
}

/// Everything was in use, and left out: that is what was asked for.
Result<int> nothing_left(const Context& context) {
  if (context.json) {
    print_outcomes(context, {});
  } else if (context.verbosity >= 0) {
    say(context.out, "nothing is left to do\n");
  }
  return 0;
}

/// What `restore --all` gives back, device by device.
Result<std::vector<DeviceId>> all_taken(const Context& context) {
  const Memory memory = TRY(read_memory(context.session.host()));
  std::vector<DeviceId> out;
  for (const auto& [id, origin] : memory.origins.table()) {
    const auto dir = TRY(open_device(context.sysfs, id));
    if (dir != nullptr && dir->instance() == origin.instance) out.push_back(id);
  }
  return out;
}

Result<int> run_bind(Context& context, const ChangeOptions& options) {
  std::vector<std::string> words = options.words;
  Request request = request_of(options);
  request.driver = TRY(driver_argument(context.sysfs, words));
  words.pop_back();
  Chosen chosen = TRY(choose(context, words));
  TRY(leave_out(context, options, Bridges::kLeaveAlone, chosen));
  if (chosen.devices.empty()) return nothing_left(context);
  request.devices = std::move(chosen.devices);
  request.names = std::move(chosen.names);
  request.whole_group = options.group;
  request.mechanism = mechanism_named(options.mechanism);
  request.no_iommu = options.no_iommu;
  request.owner = options.owner;
  return carry_out_for_good(context, options, {.request = std::move(request)});
}

Result<int> run_on_devices(Context& context, const ChangeOptions& options, Request::Verb verb) {
  Request request = request_of(options);
  request.verb = verb;
  const bool back = verb == Request::Verb::kRestore;
  Chosen chosen =
      TRY(choose(context, options.words, back ? Means::kMustBeSaid : Means::kWhatIsThere));
  request.everything = options.everything;
  if (options.everything && (options.skip_in_use || !options.except.empty())) {
    chosen.devices = TRY(all_taken(context));
    request.everything = chosen.devices.empty();
  }
  if (!request.everything) {
    TRY(leave_out(context, options, back ? Bridges::kTake : Bridges::kLeaveAlone, chosen));
    if (chosen.devices.empty()) return nothing_left(context);
  }
  request.devices = std::move(chosen.devices);
  request.names = std::move(chosen.names);
  request.whole_group = options.group;
  return carry_out_for_good(context, options, {.request = std::move(request)});
}

Result<int> run_unbind(Context& context, const ChangeOptions& options) {
  return run_on_devices(context, options, Request::Verb::kUnbind);
}

Result<int> run_restore(Context& context, const ChangeOptions& options) {
  if (options.words.empty() != options.everything) {
    return fail({.kind = ErrorKind::kUsage,
                 .why = options.everything ? "devices, or --all of them, but not both"
                                           : "no device was named",
                 .advice = "--all gives back everything that anybind has changed"});
  }
  return run_on_devices(context, options, Request::Verb::kRestore);
}

using Verbed = Result<int> (*)(Context&, const ChangeOptions&);

Run bind_like(CLI::App& app, const char* words, int least, Verbed verbed) {
  auto options = std::make_shared<ChangeOptions>();
  auto* devices = app.add_option(words, options->words, "selectors; see anybind --help");
  if (least != 0) devices->required()->expected(least, -1);
  const char* group = "take the whole IOMMU group, except bridges";
  if (verbed == run_restore)
    group =
        "also the others of the IOMMU groups that anybind has changed, or that an override keeps "
        "with a VFIO driver";
  app.add_flag("--group", options->group, group);
  add_except(app, options->except);
  add_skip_in_use(app, *options);
  app.add_flag("--dry-run", options->dry_run,
               "print the plan as shell lines and the predicted result");
  add_persist(app, *options,
              verbed == run_restore ? "also remove the rules that --persist has written"
                                    : "also write a rule, which holds after a boot");
  add_ignore(app, *options);
  add_timeout(app, *options);
  if (verbed == run_bind) {
    std::vector<std::string> names;
    for (const MechanismInfo& info : all_mechanisms()) names.emplace_back(info.name);
    auto* mechanism = app.add_option("--mechanism", options->mechanism,
                                     "use this mechanism instead of choosing the safest one")
                          ->type_name("M");
    allow_only(*mechanism, std::move(names), "mechanism");
    app.add_option("--owner", options->owner,
                   "give the /dev/vfio nodes to this user, and with :GROUP to this group")
        ->type_name("USER[:GROUP]");
    app.add_flag(
           "--no-iommu", options->no_iommu,
           "a VFIO driver may have a device that no IOMMU isolates: unsafe; not with --dry-run")
        ->excludes("--dry-run");
  }
  if (verbed == run_restore)
    app.add_flag("--all", options->everything, "everything that anybind has changed");
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
  return bind_like(app, "device", 0, run_restore);
}

}  // namespace anybind::cli
