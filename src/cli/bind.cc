// bind, unbind and restore: three goals for one plan.
#include <memory>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>

#include "base/text.h"
#include "base/try.h"
#include "cli/change.h"
#include "inventory/select.h"

namespace anybind::cli {
namespace {

/// The last word of bind: a driver, and not a device by mistake.
Result<DriverName> driver_argument(const std::string& word) {
  if (!looks_like_device(word)) return DriverName::parse(word);
  return fail({.code = Code::kUsage,
               .object = word,
               .why = "this is a device, but the last argument must be a driver",
               .next = fmt::format("anybind bind {} vfio-pci, for instance", shell_quote(word))});
}

Result<int> run_bind(Context& context, const ChangeOptions& options) {
  std::vector<std::string> words = options.words;
  const DriverName driver = TRY(driver_argument(words.back()));
  words.pop_back();
  const auto devices = TRY(select_devices_unchecked(context.sysfs, words, context.sysfs_root));
  const auto aliases = [&] { return context.session.module_aliases(); };
  return plan_and_run(context, options, {.plan = [&](Sysfs& sysfs, const Memory&) {
                        if (driver.str() == "none") return plan_unbind(sysfs, devices);
                        return plan_bind(sysfs, {.devices = devices,
                                                 .driver = driver,
                                                 .whole_group = options.group,
                                                 .rule = context.session.group_rule(),
                                                 .mechanism = mechanism_named(options.mechanism),
                                                 .aliases = aliases,
                                                 .ignores_same_id = is_ignored(options, kSameId),
                                                 .modules = context.session.modules()});
                      }});
}

Result<int> run_unbind(Context& context, const ChangeOptions& options) {
  const auto devices =
      TRY(select_devices_unchecked(context.sysfs, options.words, context.sysfs_root));
  return plan_and_run(context, options, {.plan = [&](Sysfs& sysfs, const Memory&) {
                        return plan_unbind(sysfs, devices);
                      }});
}

Result<int> run_restore(Context& context, const ChangeOptions& options) {
  const auto devices =
      TRY(select_devices_unchecked(context.sysfs, options.words, context.sysfs_root));
  const auto plan = [&](Sysfs& sysfs, const Memory& memory) {
    return plan_restore(sysfs, devices, memory.origins, context.session.modules());
  };
  return plan_and_run(context, options, {.plan = plan, .needs_memory = true});
}

using Verbed = Result<int> (*)(Context&, const ChangeOptions&);

Run bind_like(CLI::App& app, const char* words, int least, Verbed verbed) {
  auto options = std::make_shared<ChangeOptions>();
  app.add_option(words, options->words, "selectors; see anybind --help")
      ->required()
      ->expected(least, -1);
  app.add_flag("--dry-run", options->dry_run,
               "print the plan as shell lines and the predicted result");
  add_ignore(app, *options);
  add_timeout(app, *options);
  if (verbed == run_bind) {
    app.add_flag("--group", options->group, "take the whole IOMMU group, except bridges");
    std::vector<std::string> names;
    for (const MechanismInfo& info : all_mechanisms()) names.emplace_back(info.name);
    app.add_option("--mechanism", options->mechanism, "not the safest way there is, but this one")
        ->type_name("M")
        ->check(CLI::IsMember(std::move(names)));
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
