// bind, unbind and restore: three goals for one plan.
#include <memory>
#include <set>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>

#include "base/text.h"
#include "base/try.h"
#include "binding/node_owner.h"
#include "cli/change.h"
#include "cli/say.h"
#include "inventory/accounts.h"
#include "inventory/interface.h"
#include "inventory/select.h"
#include "lab/inside.h"

namespace anybind::cli {
namespace {

/// The last word of bind: a driver, and not a device by mistake.
Result<DriverName> driver_argument(Sysfs& root, const std::string& word) {
  const bool is_interface =
      !root.open_dir("bus/pci/drivers/" + word) && !devices_behind(root, word).empty();
  if (!looks_like_device(word) && !is_interface) return DriverName::parse(word);
  return fail({.code = Code::kUsage,
               .object = word,
               .why = "this is a device, but the last argument must be a driver",
               .next = fmt::format("anybind bind {} vfio-pci, for instance", shell_quote(word))});
}

/// --owner, before anything is done.
Result<std::optional<Owner>> owner_option(const Context& context, const ChangeOptions& options,
                                          const DriverName& driver) {
  if (options.owner.empty()) return std::optional<Owner>();
  const auto refuse = [&](const char* why) {
    return fail(
        {.code = Code::kUsage, .operation = "--owner", .object = options.owner, .why = why});
  };
  if (!is_vfio_driver(driver.str())) return refuse("only a VFIO driver has nodes to give away");
  if (context.session.proc_root().empty() || lab::is_inside())
    return refuse("only this machine itself has device nodes");
  return std::optional(TRY(Accounts(context.session.files()).parse(options.owner)));
}

Result<> give_nodes(const Context& context, const Plan& plan, const Owner& owner,
                    const std::string& words) {
  std::vector<DeviceId> devices;
  devices.reserve(plan.devices.size());
  for (const DevicePlan& device : plan.devices) devices.push_back(device.device);
  for (const std::string& path :
       TRY(give_vfio_nodes(context.session.sysfs(), "/dev", devices, owner))) {
    if (context.verbosity >= 0 && !context.json)
      say(context.out, "{}  owner now {}\n", printable(path), printable(words));
  }
  return {};
}

/// What --owner will do, for --dry-run: the nodes are not there yet.
std::vector<Afterwards> chown_lines(const Context& context, const Plan& plan,
                                    const std::string& words) {
  std::set<std::string> groups;
  for (const DevicePlan& device : plan.devices) {
    const auto link = context.session.sysfs().read_link(device.device.path() + "/iommu_group");
    if (link) groups.emplace(link_name(*link));
  }
  std::vector<Afterwards> out;
  out.reserve(groups.size());
  for (const std::string& group : groups) {
    out.push_back(
        {.shell = fmt::format("chown {} {}", shell_quote(words), shell_quote("/dev/vfio/" + group)),
         .reason = "so that user space can open the group"});
  }
  return out;
}

Result<int> run_bind(Context& context, const ChangeOptions& options) {
  std::vector<std::string> words = options.words;
  const DriverName driver = TRY(driver_argument(context.sysfs, words.back()));
  words.pop_back();
  const auto devices = TRY(select_devices_unchecked(context.sysfs, words, context.sysfs_root));
  const auto owner = TRY(owner_option(context, options, driver));
  const auto aliases = [&] { return context.session.module_aliases(); };
  Plan made;  // as it was planned, for --owner
  Planning planning{.plan = [&](Sysfs& sysfs, const Memory&) -> Result<Plan> {
    if (driver.str() == "none") return plan_unbind(sysfs, devices);
    Plan plan = TRY(plan_bind(sysfs, {.devices = devices,
                                      .driver = driver,
                                      .whole_group = options.group,
                                      .rule = context.session.group_rule(),
                                      .mechanism = mechanism_named(options.mechanism),
                                      .aliases = aliases,
                                      .no_iommu = options.no_iommu,
                                      .ignores_same_id = is_ignored(options, kSameId),
                                      .modules = context.session.modules()}));
    if (owner) made = plan;
    return plan;
  }};
  if (owner) {
    planning.finish = [&] { return give_nodes(context, made, *owner, options.owner); };
    planning.afterwards = [&] { return chown_lines(context, made, options.owner); };
  }
  return plan_and_run(context, options, planning);
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
    auto* mechanism = app.add_option("--mechanism", options->mechanism,
                                     "not the safest way there is, but this one")
                          ->type_name("M");
    allow_only(*mechanism, std::move(names), "mechanism");
    app.add_option("--owner", options->owner,
                   "who shall have the files in /dev/vfio by which user space opens the devices")
        ->type_name("USER[:GROUP]");
    app.add_flag("--no-iommu", options->no_iommu,
                 "a VFIO driver may have a device that no IOMMU isolates: unsafe")
        ->excludes("--dry-run");
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
