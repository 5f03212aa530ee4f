// The way back: to what devices were before anybind (restore), or before one change of the journal
// (undo). The same steps as on the way there, between other ends; and the same care: what a step
// takes away is not a member of the plan.
//
// Last in, first out. Drivers of one card lean on each other (a graphics driver on the audio
// function of its card), and whoever took them in one order gives them back in the other. For undo
// that is the order of the change; for restore the order in which the devices were first taken,
// whatever order they are named in now.
#include <algorithm>
#include <functional>
#include <map>
#include <ranges>
#include <set>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "inventory/device.h"
#include "inventory/vfio_driver.h"
#include "inventory/virtual_functions.h"
#include "plan/look.h"
#include "plan/module_plan.h"
#include "plan/plan_functions.h"
#include "plan/planner.h"

namespace anybind {
namespace {

/// Lets a physical function have as many virtual ones as it had: late, when its driver is back.
/// Those that are there are taken from their drivers first, before their physical function is. From
/// one number to another the kernel wants 0 in between, and what is undone half way would be lost:
/// so that takes two plans.
Result<> add_functions(const Host& host, const Look& look, const Origin& origin, HeldPlan& plan) {
  if (!origin.had.functions) return {};
  Sysfs& root = host.sysfs;
  const auto dir = TRY(dir_of(root, look));
  const auto has = TRY(read_functions(*dir, look.device));
  const unsigned wanted = *origin.had.functions;
  if (!has) {
    return fail({.kind = ErrorKind::kFailed,
                 .operation = "read sriov_numvfs of",
                 .object = look.device.str(),
                 .why = "it is not there, and was"});
  }
  if (*has == wanted) return {};
  const unsigned next = *has == 0 ? wanted : 0;
  plan.notes.emplace_back(
      fmt::format("{} had {} virtual functions, and has {}{}", look.device.str(), wanted, *has,
                  next == wanted ? "" : ": removed now, and made by the next restore"));
  if (*has != 0) {
    const auto functions = TRY(virtual_functions(root, look.device, *has));
    HeldPlan gone = TRY(plan_unbind(host, functions));
    std::erase_if(plan.devices, [&](const DevicePlan& known) {
      return std::ranges::find(functions, known.device) != functions.end();
    });
    std::ranges::move(plan.devices, std::back_inserter(gone.devices));
    plan.devices = std::move(gone.devices);
    plan.held.join(std::move(gone.held));
  }
  const std::string file = look.device.path() + "/sriov_numvfs";
  plan.settings.push_back({.path = file,
                           .bytes = std::to_string(next),
                           .undo_path = file,
                           .undo_bytes = std::to_string(*has),
                           .reason = "as many virtual functions as it had",
                           .device = look.device,
                           .instance = look.instance,
                           .lasting = true,
                           .late = true});
  return {};
}

/// When each device was first taken; 0 for one that never was.
std::uint64_t order_of(const OriginTable& origins, const Look& look) {
  const auto origin = find_origin(origins, look.device, look.instance);
  return origin ? origin->order : 0;
}

/// Those that were taken at the same time stay as they were named.
void last_taken_first(std::vector<Look>& looks, const OriginTable& origins) {
  std::multimap<std::uint64_t, std::size_t, std::greater<>> order;
  for (std::size_t at = 0; at < looks.size(); ++at) order.emplace(order_of(origins, looks[at]), at);
  std::vector<Look> sorted;
  sorted.reserve(looks.size());
  for (const auto& [when, at] : order) sorted.push_back(std::move(looks[at]));
  looks = std::move(sorted);
}

Goal goal_back(const OriginTable& origins, const Look& look) {
  const auto origin = find_origin(origins, look.device, look.instance);
  return origin ? as_goal(origin->binding)
                : Goal{.driver = {}, .driver_override = {}, .default_match = true};
}

/// Groups of which some members stay with a VFIO driver while others leave theirs.
void note_mixed_groups(Sysfs& root, Groups& groups, const std::vector<Look>& looks, Plan& plan) {
  std::map<DeviceId, const DevicePlan*> members;
  std::map<unsigned, DeviceId> left;
  for (const DevicePlan& of : plan.devices) members.emplace(of.device, &of);
  for (const Look& look : looks) {
    const auto found = members.find(look.device);
    if (!look.group || found == members.end()) continue;
    const DevicePlan& of = *found->second;
    if (of.steps.empty() || !of.before.driver || !is_vfio_driver(of.before.driver->str())) continue;
    if (!of.goal.driver || !is_vfio_driver(of.goal.driver->str()))
      left.emplace(*look.group, look.device);
  }
  for (const auto& [group, device] : left) {
    std::vector<std::string> staying;
    std::set<std::string> drivers;
    const auto all = groups.members(group);
    if (!all) continue;  // it is only told of
    for (const DeviceId& id : **all) {
      if (members.contains(id)) continue;
      const auto driver = root.read_link(id.path() + "/driver");
      if (!driver || !is_vfio_driver(link_name(*driver))) continue;
      staying.push_back(id.str());
      drivers.emplace(link_name(*driver));
    }
    if (staying.empty()) continue;
    plan.notes.push_back(fmt::format("IOMMU group {} is left mixed: {} {} with {}; ", group,
                                     join_words(staying), staying.size() == 1 ? "stays" : "stay",
                                     join_words(std::vector(drivers.begin(), drivers.end()))) +
                         Remark(Action::kRestoreGroup, {device.str()}) +
                         " gives back the others too");
  }
}

/// An override that nobody remembers having set is somebody else's.
void warn_of_override(const Look& look, Plan& plan) {
  if (!look.binding.driver_override) return;
  plan.warnings.emplace_back(fmt::format(
      "{}: it is not remembered what it was; its driver_override \"{}\" may be somebody "
      "else's, and is cleared",
      look.device.str(), printable(*look.binding.driver_override)));
}

/// Whether an override keeps the device with a VFIO driver. After a boot nothing is remembered of
/// what a rule has given away then; and with the rest of its group gone nobody can open it.
bool is_kept_for_user_space(Sysfs& root, const DeviceId& id) {
  const auto dir = root.open_dir(id.path());
  const auto binding = dir ? read_binding(**dir) : Reply<Binding>(std::unexpect, dir.error());
  return binding && binding->driver && binding->driver_override == binding->driver->str() &&
         is_vfio_driver(binding->driver->str());
}

}  // namespace

Result<HeldPlan> plan_restore(const Host& host, const std::vector<DeviceId>& devices,
                              const OriginTable& origins, Reach reach) {
  Sysfs& root = host.sysfs;
  HeldPlan plan;
  plan.restores = true;
  Groups groups(root);
  const bool grouped = reach == Reach::kGroups;
  auto found = TRY(look_at_all(root, devices, grouped ? With::kGroup : With::kGroupForWords));
  if (grouped) {
    TRY(add_groups(root, groups, found, plan, [&](const DeviceId& id) {
      return origins.contains(id) || is_kept_for_user_space(root, id);
    }));
  }
  last_taken_first(found.all, origins);
  const auto going = going_of(
      found.all, [&](const Look& look) { return leaves_for(look, goal_back(origins, look)); });
  const auto looks = TRY(keep_what_stays(root, std::move(found), going, Taken::kLeaveOut, plan));
  for (const Look& look : looks) {
    const auto origin = find_origin(origins, look.device, look.instance);
    Goal goal = goal_back(origins, look);
    if (!origin) warn_of_override(look, plan);
    if (origin && goal.driver && goal.driver != look.binding.driver) {
      TRY(require_driver(root, plan, look.device.bus, *goal.driver, host.modules));
    }
    TRY(keep_driver(root, plan, look, leaves_for(look, goal)));
    plan_device(plan, look, std::move(goal), TRY(plain_mechanism_of(root, look)));
    if (origin && !origin->had.up.empty() && look.binding.driver != origin->binding.driver) {
      plan.notes.emplace_back(
          fmt::format("{} was up, and is set up again", join_words(origin->had.up)));
    }
  }
  for (const Look& look : looks) {
    if (const auto origin = find_origin(origins, look.device, look.instance))
      TRY(add_functions(host, look, *origin, plan));
  }
  note_mixed_groups(root, groups, looks, plan);
  if (host.modules != nullptr) {
    note_side_effects(root, *host.modules, plan);
    note_modules_left(root, *host.modules, plan);
  }
  return plan;
}

namespace {

/// Virtual functions that the change removed are made again, each for what it was, and no driver
/// probes them unasked.
Result<> make_again(const Host& host, const Plan& done, const Setting& number, HeldPlan& plan) {
  Sysfs& root = host.sysfs;
  const auto count = parse_decimal(number.undo_bytes);
  if (!count || *count == 0 || !number.device || plan.makes) return {};
  // Then its own driver goes too, and what was made with it would not stay.
  const auto moves = [&](const DevicePlan& of) {
    return of.device == *number.device && of.before.driver != of.goal.driver;
  };
  if (std::ranges::any_of(done.devices, moves)) return {};
  NewFunctions functions{.pf = *number.device,
                         .count = static_cast<unsigned>(*count),
                         .driver = DriverName::literal("none")};
  for (const DevicePlan& was : done.devices) {
    if (was.before.driver)
      TRY(require_driver(root, plan, was.device.bus, *was.before.driver, host.modules));
    functions.goals.emplace(was.device, as_goal(was.before));
  }
  if (auto flag = TRY(hold_functions_back(root, functions.pf, number.instance)))
    plan.settings.push_back(*std::move(flag));
  plan.makes = std::move(functions);
  return {};
}

}  // namespace

Result<HeldPlan> plan_undo(const Host& host, const Plan& done, std::uint64_t id) {
  Sysfs& root = host.sysfs;
  HeldPlan plan;
  plan.undoes = id;
  Groups groups(root);
  Looks found;
  std::map<DeviceId, Goal> goals;
  const bool removed = std::ranges::any_of(done.settings, [](const Setting& setting) {
    return setting.lasting && setting.late && setting.path.ends_with("/sriov_numvfs");
  });
  for (const DevicePlan& was : std::views::reverse(done.devices)) {
    auto look = look_at(root, was.device, With::kGroupForWords);
    if (!look && look.error().kind != ErrorKind::kNotFound) return fail(look.error());
    if (!look || look->instance != was.instance) {
      if (!removed)
        plan.notes.emplace_back(fmt::format("{} is no longer there: left out", was.device.str()));
      continue;
    }
    goals.emplace(was.device, as_goal(was.before));
    found.all.push_back(*std::move(look));
    if (found.all.size() > Handles::kMost) found.all.back().dir.reset();
  }
  const auto going = going_of(
      found.all, [&](const Look& look) { return leaves_for(look, goals.at(look.device)); });
  const auto looks = TRY(keep_what_stays(root, std::move(found), going, Taken::kLeaveOut, plan));
  for (const Look& look : looks) {
    Goal goal = goals.at(look.device);
    if (goal.driver) TRY(require_driver(root, plan, look.device.bus, *goal.driver, host.modules));
    TRY(keep_driver(root, plan, look, leaves_for(look, goal)));
    plan_device(plan, look, std::move(goal), TRY(plain_mechanism_of(root, look)));
  }
  note_mixed_groups(root, groups, looks, plan);
  if (host.modules != nullptr) note_side_effects(root, *host.modules, plan);
  for (const Setting& setting : std::views::reverse(done.settings)) {
    if (!setting.lasting) continue;
    const bool makes = setting.late && setting.path.ends_with("/sriov_numvfs");
    if (makes) TRY(make_again(host, done, setting, plan));
    plan.settings.push_back({.path = setting.undo_path,
                             .bytes = setting.undo_bytes,
                             .undo_path = setting.path,
                             .undo_bytes = setting.bytes,
                             .reason = "as it was before",
                             .device = setting.device,
                             .instance = setting.instance,
                             .lasting = true,
                             .late = !setting.late});
  }
  return plan;
}

}  // namespace anybind
