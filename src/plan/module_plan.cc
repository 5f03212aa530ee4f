#include "plan/module_plan.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "inventory/device.h"
#include "inventory/match.h"
#include "inventory/not_there.h"

namespace anybind {
namespace {

constexpr std::size_t kMostNamed = 8;  // other devices, in one note

/// "vfio-pci (on pci), ..." of a loaded module.
std::vector<std::string> drivers_of(Sysfs& root, const std::string& module) {
  auto links = root.list("module/" + module_key(module) + "/drivers");
  std::vector<std::string> out = links.value_or(std::vector<std::string>());
  std::ranges::sort(out);
  return out;
}

bool plans_driver(const Plan& plan, const DeviceId& device) {
  return std::ranges::find(plan.devices, device, &DevicePlan::device) != plan.devices.end();
}

/// Lines of one module, and their module, of modules.alias.
std::string aliases_of(std::string_view all, const std::string& module) {
  const std::string key = module_key(module);
  std::string out;
  while (!all.empty()) {
    const std::string_view line = all.substr(0, all.find('\n'));
    all.remove_prefix(std::min(line.size() + 1, all.size()));
    const auto blank = line.rfind(' ');
    if (blank == std::string_view::npos || line.size() - blank - 1 != key.size()) continue;
    if (module_key(line.substr(blank + 1)) == key) out.append(line).append("\n");
  }
  return out;
}

bool would_be_taken(Sysfs& root, const DeviceId& id, const DriverName& driver,
                    const std::string& aliases) {
  const auto dir = root.open_dir(id.path());
  const auto device = dir ? read_device(**dir, id) : Result<Device>(fail(Error{}));
  if (!device || device->driver) return false;
  if (device->driver_override) return *device->driver_override == driver.str();
  return std::ranges::any_of(match_aliases(aliases, device->modalias),
                             [](const Candidate& candidate) { return !candidate.is_vfio; });
}

}  // namespace

Error brings_another(Sysfs& root, const std::string& module, const BusName& bus,
                     const DriverName& driver, std::string_view how) {
  const auto drivers = drivers_of(root, module);
  Error out{.kind = ErrorKind::kNotFound,
            .object = driver.str(),
            .why = fmt::format("the module {} {}, but brings no driver of this name on the {} bus",
                               module, how, bus.str())};
  if (!drivers.empty()) out.why += "; it has " + join_words(drivers);
  const std::string prefix = bus.str() + ":";
  for (const std::string& name : drivers) {
    if (!name.starts_with(prefix)) continue;
    out.advice = "did you mean " + shell_quote(name.substr(prefix.size())) + "?";
    break;
  }
  return out;
}

Result<> plan_load(Sysfs& root, ModuleLoader& modules, Plan& plan, const BusName& bus,
                   const DriverName& driver) {
  const auto same = [&](const ModuleLoad& load) {
    return load.bus == bus && load.driver == driver;
  };
  if (std::ranges::any_of(plan.modules, same)) return {};
  const auto facts = modules.find(driver.str());
  if (!facts) return fail(no_such_driver(root, bus, driver, modules.names()));
  if (facts->built_in)
    return fail(brings_another(root, facts->name, bus, driver, "is built into this kernel"));
  if (root.open_dir("module/" + module_key(facts->name)))
    return fail(brings_another(root, facts->name, bus, driver, "is loaded"));
  if (!facts->forbidden.empty()) {
    return fail({.kind = ErrorKind::kRefused,
                 .operation = "load",
                 .object = facts->name,
                 .why = "it shall never be loaded: " + facts->forbidden,
                 .advice = facts->forbidden.starts_with("the kernel")
                               ? "take it from the kernel command line, and boot again"
                               // not advice: modprobe's option
                               : "remove that line, or: modprobe --ignore-install " +
                                     shell_quote(facts->name)});
  }
  plan.modules.push_back({.module = facts->name,
                          .bus = bus,
                          .driver = driver,
                          .reason = "there is no driver " + driver.str() + " yet"});
  plan.notes.emplace_back(fmt::format("the module {} is loaded first: there is no driver {} yet",
                                      facts->name, driver.str()));
  if (!facts->blacklisted.empty()) {
    plan.notes.emplace_back(
        fmt::format("{} is on the blacklist of {}, which keeps it from being loaded by itself; it "
                    "is loaded since it was asked for by name",
                    facts->name, facts->blacklisted));
  }
  return {};
}

void note_side_effects(Sysfs& root, ModuleLoader& modules, Plan& plan) {
  for (const ModuleLoad& load : plan.modules) {
    const auto devices = read_device_ids(root, load.bus);
    const std::string aliases = aliases_of(modules.aliases(), load.module);
    std::vector<std::string> taken;
    std::size_t more = 0;
    for (const DeviceId& id : devices ? *devices : std::vector<DeviceId>()) {
      if (plans_driver(plan, id) || !would_be_taken(root, id, load.driver, aliases)) continue;
      if (taken.size() < kMostNamed) {
        taken.push_back(id.str());
      } else {
        ++more;
      }
    }
    if (more != 0) taken.push_back(fmt::format("{} more", more));
    if (taken.empty()) continue;
    plan.notes.emplace_back(fmt::format(
        "loading {} gives its drivers also what they match and nobody has: {}; that is not taken "
        "back",
        load.module, join_words(taken)));
  }
}

void note_modules_left(Sysfs& root, ModuleLoader& modules, Plan& plan) {
  std::map<std::string, std::vector<Candidate>> of_type;  // a million bytes are read for each
  for (const DevicePlan& of : plan.devices) {
    // Whether a driver that is there takes it by the default match, the bus decides.
    if (of.goal.driver || of.goal.driver_override) continue;
    const auto modalias = root.read(of.device.path() + "/modalias");
    if (!modalias) continue;
    std::vector<std::string> names;
    bool is_loaded = false;
    const auto [type, is_new] = of_type.try_emplace(std::string(trim_newline(*modalias)));
    if (is_new) type->second = match_aliases(modules.aliases(), type->first);
    for (const Candidate& candidate : type->second) {
      if (candidate.is_vfio || candidate.module.empty()) continue;
      is_loaded = is_loaded || root.open_dir("module/" + module_key(candidate.module)).has_value();
      if (names.size() < kMostNamed) names.push_back(candidate.module);
    }
    if (names.empty() || (is_loaded && of.goal.default_match)) continue;
    const std::string id = of.device.str();
    if (is_loaded) {
      plan.notes.push_back(fmt::format("{} had no driver, and ends without one; once more: ", id) +
                           Remark(Action::kRestore, {id}) + " lets the bus choose one");
      continue;
    }
    const bool is_one = names.size() == 1;
    plan.notes.emplace_back(
        fmt::format("{} ends without a driver: by modules.alias it is for {}, which {} not loaded; "
                    "once loaded, {} takes the device: modprobe {}",
                    id, join_words(names, "or"), is_one ? "is" : "are", is_one ? "it" : "one",
                    is_one ? shell_quote(names.front()) : "NAME"));
  }
}

void note_variants(Sysfs& root, ModuleLoader& modules, Plan& plan) {
  const std::string aliases = vfio_variant_aliases(modules.aliases());
  if (aliases.empty()) return;
  for (const DevicePlan& device : plan.devices) {
    if (!device.goal.driver || device.goal.driver->str() != "vfio-pci" || device.steps.empty())
      continue;
    const auto modalias = root.read(device.device.path() + "/modalias");
    if (!modalias) continue;
    for (const Candidate& variant :
         vfio_variants(root, device.device.bus, std::string(trim_newline(*modalias)), aliases)) {
      const std::string id = device.device.str();
      plan.notes.push_back(fmt::format("a variant driver for {} exists: {} (module {}); ", id,
                                       variant.driver, variant.module) +
                           Remark(Action::kBind, {id, variant.driver}));
    }
  }
}

}  // namespace anybind
