#include "binding/planner.h"

#include <algorithm>
#include <memory>
#include <set>

#include <fmt/format.h>

#include "base/text.h"
#include "inventory/group.h"

namespace anybind {
namespace {

/// A device as the planner looked at it.
struct Look {
  DeviceId device;
  Instance instance;
  Binding binding;
  std::optional<unsigned> group;
};

Error no_such_device(const DeviceId& device) {
  return {.code = Code::kNotFound,
          .object = device.str(),
          .why = "no such device",
          .next = "anybind list"};
}

Result<Look> look_at(Sysfs& root, const DeviceId& device) {
  const auto dir = root.open_dir(device.path());
  if (!dir) return fail(no_such_device(device));
  const auto instance = (*dir)->instance();
  auto binding = read_binding(**dir);
  const auto group = read_iommu_group(**dir);
  if (!instance || !binding || !group) {
    const Errno err = !instance ? instance.error() : !binding ? binding.error() : group.error();
    return fail(from_errno(err, "read the state of", device.str()));
  }
  return Look{
      .device = device, .instance = *instance, .binding = *std::move(binding), .group = *group};
}

Result<std::vector<Look>> look_at_all(Sysfs& root, const std::vector<DeviceId>& devices) {
  std::vector<Look> out;
  out.reserve(devices.size());
  for (const DeviceId& device : devices) out.push_back(TRY(look_at(root, device)));
  return out;
}

Result<> require_driver(Sysfs& root, const BusName& bus, const DriverName& driver) {
  if (root.open_dir(driver_path(bus, driver))) return {};
  Error error{.code = Code::kNotFound,
              .object = driver.str(),
              .why = "no such driver on the " + bus.str() + " bus",
              .next = "modprobe " + shell_quote(driver.str()) +
                      ", if that is its module; anybind list drivers"};
  const auto names = read_driver_names(root, bus);
  const auto near = names ? nearest(driver.str(), *names) : std::vector<std::string>{};
  error.next = near.empty() ? "modprobe its module, or look into /sys/bus/" + bus.str() + "/drivers"
                            : "did you mean " + join_words(near, "or") + "?";
  return fail(std::move(error));
}

Error no_override(const DeviceId& device) {
  return {.code = Code::kRefused,
          .object = device.str(),
          .why = "the " + device.bus.str() + " bus has no driver_override for it"};
}

/// Why the rest of the group keeps a VFIO driver's user away; nullopt when it does not.
std::optional<Error> group_refusal(const GroupView& group, const std::set<DeviceId>& going,
                                   const DriverName& driver) {
  std::vector<std::string> in_the_way;
  for (const GroupMember& member : group.members) {
    if (member.blocks_user_space() && !going.contains(member.id)) {
      in_the_way.push_back(fmt::format("{} ({})", member.id.str(), member.driver->str()));
    }
  }
  if (in_the_way.empty()) return std::nullopt;
  return Error{.code = Code::kRefused,
               .object = fmt::format("IOMMU group {}", group.number),
               .why = fmt::format(
                   "{} {} on a host driver; as long as that is so, no user of {} can open "
                   "the group",
                   join_words(in_the_way), in_the_way.size() == 1 ? "is" : "are", driver.str()),
               .next = "add --group to take the whole group, or name those devices too"};
}

/// The requested devices, each once, and with `whole_group` every member of their groups but
/// bridges.
Result<std::vector<DeviceId>> complete(Sysfs& root, const BindRequest& request, Plan& plan) {
  std::vector<DeviceId> out;
  std::set<DeviceId> seen;
  std::set<unsigned> groups;
  for (const DeviceId& device : request.devices) {
    if (!seen.insert(device).second) continue;
    out.push_back(device);
    if (!request.whole_group) continue;
    const Look look = TRY(look_at(root, device));
    if (!look.group || !groups.insert(*look.group).second) continue;
    for (const GroupMember& member : TRY(read_group_view(root, *look.group)).members) {
      if (member.is_bridge) {
        plan.notes.push_back(fmt::format("{} is a bridge: left alone", member.id.str()));
      } else if (seen.insert(member.id).second) {
        out.push_back(member.id);
        plan.notes.push_back(
            fmt::format("{} is in the same IOMMU group ({})", member.id.str(), *look.group));
      }
    }
  }
  return out;
}

Result<> check_groups(Sysfs& root, const std::vector<Look>& looks, const DriverName& driver) {
  std::set<DeviceId> going;
  for (const Look& look : looks) going.insert(look.device);
  std::set<unsigned> seen;
  for (const Look& look : looks) {
    if (!look.group || !seen.insert(*look.group).second) continue;
    const GroupView group = TRY(read_group_view(root, *look.group));
    for (const GroupMember& member : group.members) {
      if (member.is_bridge && going.contains(member.id)) {
        return fail({.code = Code::kRefused,
                     .object = member.id.str(),
                     .why = "it is a bridge; binding it would cut off everything behind it",
                     .next = "leave it out: bridges do not hinder the other members of a group"});
      }
    }
    if (auto refusal = group_refusal(group, going, driver)) return fail(*std::move(refusal));
  }
  return {};
}

DevicePlan plan_device(const Look& look, Goal goal) {
  std::vector<Step> steps = steps_between(look.binding, goal);
  return {.device = look.device,
          .instance = look.instance,
          .before = look.binding,
          .goal = std::move(goal),
          .steps = std::move(steps)};
}

/// Bound there already, and nothing says otherwise: not to be disturbed, also not its override.
bool is_there(const Binding& now, const DriverName& driver) {
  return now.driver == driver && (!now.driver_override || now.driver_override == driver.str());
}

}  // namespace

bool is_vfio_driver(const DriverName& driver) {
  return driver.str().contains("vfio");
}

Result<Plan> plan_bind(Sysfs& root, const BindRequest& request) {
  Plan plan;
  const auto devices = TRY(complete(root, request, plan));
  const auto looks = TRY(look_at_all(root, devices));
  std::set<BusName> buses;
  for (const Look& look : looks) {
    if (buses.insert(look.device.bus).second)
      TRY(require_driver(root, look.device.bus, request.driver));
    if (!look.binding.has_override) return fail(no_override(look.device));
  }
  if (is_vfio_driver(request.driver)) TRY(check_groups(root, looks, request.driver));
  for (const Look& look : looks) {
    Goal goal{.driver = request.driver, .driver_override = request.driver.str()};
    if (is_there(look.binding, request.driver)) goal = as_goal(look.binding);
    plan.devices.push_back(plan_device(look, std::move(goal)));
  }
  return plan;
}

Result<Plan> plan_unbind(Sysfs& root, const std::vector<DeviceId>& devices) {
  Plan plan;
  for (const Look& look : TRY(look_at_all(root, devices))) {
    if (!look.binding.has_override) return fail(no_override(look.device));
    plan.devices.push_back(plan_device(look, {.driver = std::nullopt, .driver_override = "none"}));
  }
  return plan;
}

Result<Plan> plan_restore(Sysfs& root, const std::vector<DeviceId>& devices,
                          const Origins& origins) {
  Plan plan{.devices = {}, .restores = true, .notes = {}};
  for (const Look& look : TRY(look_at_all(root, devices))) {
    const auto origin = origins.find(look.device, look.instance);
    Goal goal = origin ? as_goal(origin->binding)
                       : Goal{.driver = {}, .driver_override = {}, .default_match = true};
    if (origin && goal.driver && goal.driver != look.binding.driver) {
      TRY(require_driver(root, look.device.bus, *goal.driver));
    }
    plan.devices.push_back(plan_device(look, std::move(goal)));
  }
  return plan;
}

}  // namespace anybind
