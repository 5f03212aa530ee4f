// From a request to a plan. Only looks; whatever can be refused is refused here, before anything is
// written, and with every reason at once.
//
// What can go wrong is that the machine changes after the look. So a plan does not say "do this"
// but "it was so, and shall be so": each device with its instance, what it was, and its goal. Steps
// follow from these two (steps_between() in plan.cc) and are worked out again from a fresh look on
// the way back and in recover(). The planner also holds open what it looked at: a held directory
// reaches that card or nothing, while a name may come to mean another (kernel-facts: E4d).
//
// A VFIO driver is given a device only when its user can open it afterwards. That is a question
// about the whole IOMMU group: any member on a driver that takes the group's DMA for the host keeps
// user space out (linux drivers/iommu/iommu.c:iommu_device_use_default_domain; before 5.19
// drivers/vfio/vfio.c:vfio_dev_viable). And the bind itself would succeed, so nobody else would say
// so. Bridges are never taken along: what is behind them would be cut off.
//
// Which way a device goes to its driver is chosen by what the device has (choose_mechanism.cc). The
// override is the only one that names one device and no other: new_id re-offers every device
// without a driver that the driver matches, whatever drivers_autoprobe says (kernel-facts: findings
// 2 and 3). A device that is where it shall be is not touched, not even its override.
//
// Each device is read once and by few attributes, as a group can have hundreds of members and a
// plan is made while somebody waits.
#include "plan/planner.h"
#include "plan/choose_mechanism.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <map>
#include <memory>
#include <ranges>
#include <set>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "inventory/group.h"
#include "inventory/not_there.h"
#include "inventory/vfio_driver.h"
#include "inventory/vfio_refusal.h"
#include "inventory/viability.h"
#include "inventory/virtual_functions.h"
#include "plan/module_plan.h"
#include "plan/plan_settings.h"
#include "plan/vfio_check.h"

namespace anybind {
namespace {

constexpr std::size_t kLongestLine = 512;

/// A device as the planner looked at it.
struct Look {
  DeviceId device;
  std::shared_ptr<Sysfs> dir;
  Instance instance;
  Binding binding;
  std::optional<unsigned> group;
  bool parked = false;
};

enum class With : std::uint8_t { kGroup, kBindingOnly };

/// Its VFIO driver lets it sleep while nobody uses it.
bool is_parked(Sysfs& dir, const Binding& binding) {
  if (!binding.driver || !is_vfio_driver(binding.driver->str())) return false;
  const auto state = dir.read("power_state");
  return state && state->starts_with("D3");
}

Result<Look> look_at(Sysfs& root, const DeviceId& device, With with) {
  auto dir = TRY(open_device(root, device));
  if (dir == nullptr) return fail(no_such_device(root, device, device.str()));
  const auto instance = dir->instance();
  auto binding = read_binding(*dir);
  const auto group = with == With::kGroup ? read_iommu_group(*dir) : std::nullopt;
  if (!instance || !binding || !group) {
    const Errno err = !instance ? instance.error() : !binding ? binding.error() : group.error();
    return fail(read_error(err, "read the state of", device));
  }
  const bool parked = is_parked(*dir, *binding);
  return Look{.device = device,
              .dir = std::move(dir),
              .instance = *instance,
              .binding = *std::move(binding),
              .group = *group,
              .parked = parked};
}

Result<std::vector<Look>> look_at_all(Sysfs& root, const std::vector<DeviceId>& devices,
                                      With with) {
  std::vector<Look> out;
  out.reserve(devices.size());
  for (const DeviceId& device : devices) {
    out.push_back(TRY(look_at(root, device, with)));
    if (out.size() > Handles::kMost) out.back().dir.reset();
  }
  return out;
}

/// Looks the driver's directory up, once a plan; plans the load of its module when it is missing.
Result<> require_driver(Sysfs& root, HeldPlan& plan, const BusName& bus, const DriverName& driver,
                        ModuleLoader* modules = nullptr) {
  const std::string path = driver_path(bus, driver);
  if (plan.held.driver(path) != nullptr) return {};
  auto dir = root.open_dir(path);
  if (!dir && dir.error().value != ENOENT) return fail(from_errno(dir.error(), "open", path));
  if (!dir && modules != nullptr) return plan_load(root, *modules, plan, bus, driver);
  if (!dir) return fail(no_such_driver(root, bus, driver));
  plan.held.hold_driver(path, *std::move(dir));
  return {};
}

Result<bool> is_bridge(Sysfs& dir, const DeviceId& device) {
  if (device.bus.str() != "pci") return false;
  const auto code = read_pci_class(dir);
  if (!code) return fail(from_errno(code.error(), "read the class of", device.str()));
  if (*code) return is_bridge_class(**code);
  return fail({.kind = ErrorKind::kFailed,
               .operation = "read the class of",
               .object = device.str(),
               .why = "it says none, so it may be a bridge",
               .advice = {Action::kShow, {device.str()}}});
}

/// The IOMMU groups that a plan touches, each listed once.
class Groups {
 public:
  explicit Groups(Sysfs& root) : root_(root) {}
  Result<const std::vector<DeviceId>*> members(unsigned group) {
    const auto found = members_.find(group);
    if (found != members_.end()) return &found->second;
    auto read = TRY(read_group(root_, group));
    return &members_.emplace(group, std::move(read)).first->second;
  }

 private:
  Sysfs& root_;
  std::map<unsigned, std::vector<DeviceId>> members_;
};

/// Somebody keeps a VFIO driver's user away although all of `going` go: another member of the group
/// on a host driver. Only their drivers and classes are looked at.
Result<bool> is_hindered(Sysfs& root, const std::vector<DeviceId>& group,
                         const std::set<DeviceId>& going, GroupRule rule) {
  for (const DeviceId& id : group) {
    if (going.contains(id)) continue;
    const auto dir = TRY(open_device(root, id));
    if (dir == nullptr) continue;  // unplugged meanwhile
    const auto driver = read_driver(*dir);
    if (!driver) return fail(from_errno(driver.error(), "read the driver of", id.str()));
    GroupMember member{.id = id, .driver = *driver};
    if (!member.blocks_user_space()) continue;
    if (const auto code = read_pci_class(*dir); code && *code)
      member.pci = PciIds{.class_code = **code};
    if (member.blocks_user_space(rule)) return true;
  }
  return false;
}

Result<> refuse_group(const Host& host, unsigned group, const std::set<DeviceId>& going,
                      const BindRequest& request) {
  Sysfs& root = host.sysfs;
  const GroupView view = TRY(read_group_view(root, group));
  std::vector<DeviceId> members;
  for (const GroupMember& member : view.members) {
    if (going.contains(member.id)) members.push_back(member.id);
  }
  const Viability viability = judge_group(root, view, members, host.rule);
  std::vector<std::string> in_the_way;
  Error error{.kind = ErrorKind::kRefused, .object = fmt::format("IOMMU group {}", group)};
  for (const MemberRole& role : viability.members) {
    const std::string driver = role.member.driver ? role.member.driver->str() : "no driver";
    const std::string who = fmt::format("{} ({})", role.member.id.str(), driver);
    if (role.blocks) in_the_way.push_back(who);
    error.details.emplace_back(printable(who + ": " + role.why, kLongestLine));
  }
  for (const std::string& line : viability.isolation)
    error.details.emplace_back(printable("not isolated: " + line, kLongestLine));
  error.why = fmt::format(
      "{} {} on a host driver; as long as that is so, no user of {} can open "
      "the group",
      join_words(in_the_way), in_the_way.size() == 1 ? "is" : "are", request.driver.str());
  error.advice = Remark(Action::kTakeGroup) + ", or name those devices too";
  // Then only bridges are left in the way.
  if (request.whole_group && !viability.changes.empty()) error.advice = viability.changes.front();
  return fail(std::move(error));
}

/// The rest of the group of `look`, but bridges.
Result<std::vector<DeviceId>> companions(Sysfs& root, Groups& groups, unsigned group,
                                         const std::set<DeviceId>& seen, Plan& plan) {
  std::vector<DeviceId> out;
  const auto* members = TRY(groups.members(group));
  for (const DeviceId& id : *members) {
    if (seen.contains(id)) continue;
    const auto dir = TRY(open_device(root, id));
    if (dir == nullptr) continue;  // unplugged meanwhile
    if (TRY(is_bridge(*dir, id))) {
      plan.notes.emplace_back(fmt::format("{} is a bridge: left alone", id.str()));
    } else {
      plan.notes.emplace_back(fmt::format("{} is in the same IOMMU group ({})", id.str(), group));
      out.push_back(id);
    }
  }
  return out;
}

/// The requested devices, each once, and with `whole_group` every member of their groups but
/// bridges.
Result<std::vector<Look>> complete(Sysfs& root, const BindRequest& request, Groups& groups,
                                   Plan& plan) {
  std::vector<DeviceId> devices;
  std::set<DeviceId> seen;
  for (const DeviceId& device : request.devices) {
    if (seen.insert(device).second) devices.push_back(device);
  }
  std::vector<Look> looks = TRY(look_at_all(root, devices, With::kGroup));
  if (!request.whole_group) return looks;
  std::set<unsigned> done;
  std::vector<DeviceId> more;
  for (const Look& look : looks) {
    if (!look.group || !done.insert(*look.group).second) continue;
    for (DeviceId& id : TRY(companions(root, groups, *look.group, seen, plan))) {
      seen.insert(id);
      more.push_back(std::move(id));
    }
  }
  for (Look& look : TRY(look_at_all(root, more, With::kGroup))) looks.push_back(std::move(look));
  return looks;
}

/// The directory that the planner holds, or else holds now.
Result<std::shared_ptr<Sysfs>> dir_of(Sysfs& root, const Look& look) {
  std::shared_ptr<Sysfs> dir = look.dir;
  if (dir == nullptr) dir = TRY(open_device(root, look.device));
  if (dir == nullptr) return fail(no_such_device(root, look.device, look.device.str()));
  return dir;
}

Result<> check_groups(const Host& host, const std::vector<Look>& looks, Groups& groups,
                      const BindRequest& request) {
  Sysfs& root = host.sysfs;
  std::set<DeviceId> going;
  for (const Look& look : looks) going.insert(look.device);
  std::set<unsigned> seen;
  for (const Look& look : looks) {
    if (!look.group) continue;
    const auto dir = TRY(dir_of(root, look));
    if (TRY(is_bridge(*dir, look.device))) {
      return fail({.kind = ErrorKind::kRefused,
                   .object = look.device.str(),
                   .why = "it is a bridge; binding it would cut off everything behind it",
                   .advice = "leave it out: bridges do not hinder the other members of a group"});
    }
    if (!seen.insert(*look.group).second) continue;
    const auto* group = TRY(groups.members(*look.group));
    if (TRY(is_hindered(root, *group, going, host.rule)))
      return refuse_group(host, *look.group, going, request);
  }
  return {};
}

/// Holds the directory of a driver that devices leave: the plan does not need it, but the write.
void keep_driver(Sysfs& root, HeldPlan& plan, const Look& look) {
  if (look.binding.driver) (void)require_driver(root, plan, look.device.bus, *look.binding.driver);
}

void plan_device(HeldPlan& plan, const Look& look, Goal goal, Mechanism mechanism) {
  std::vector<Step> steps = steps_between(look.binding, goal, mechanism);
  const bool unbinds = std::ranges::find(steps, Step::Kind::kUnbind, &Step::kind) != steps.end();
  plan.held.hold_device(look.device, look.dir);
  plan.devices.push_back({.device = look.device,
                          .instance = look.instance,
                          .before = look.binding,
                          .goal = std::move(goal),
                          .steps = std::move(steps),
                          .parked = look.parked && unbinds,
                          .mechanism = mechanism});
}

Result<Mechanism> plain_mechanism_of(Sysfs& root, const Look& look) {
  if (look.binding.has_override) return plain_mechanism(look.binding);
  const auto dir = TRY(dir_of(root, look));
  return plain_mechanism(look.binding, *dir);
}

Result<Mechanism> mechanism_for(const Host& host, const Look& look, const BindRequest& request) {
  Sysfs& root = host.sysfs;
  if (look.binding.has_override && !request.mechanism) return plain_mechanism_of(root, look);
  const auto dir = TRY(dir_of(root, look));
  const Mechanism mechanism = TRY(
      choose_mechanism(root, look.device, *dir, request.driver, host.modules, request.mechanism));
  const auto& named = look.binding.driver_override;
  if (names_driver(mechanism) || !named || *named == request.driver.str()) return mechanism;
  return fail({.kind = ErrorKind::kRefused,
               .object = look.device.str(),
               .why = fmt::format("its override names {}, and so {} cannot give it to another",
                                  *named, name_of(mechanism)),
               .advice = {Action::kRestore, {look.device.str()}}});
}

/// A VFIO driver's user shall be able to open what it gets.
Result<> check_what_vfio_takes(const Host& host, const std::vector<Look>& looks,
                               const BindRequest& request, Plan& plan) {
  if (!is_vfio_driver(request.driver.str())) return {};
  std::vector<DeviceId> devices;
  std::vector<unsigned> groups;
  for (const Look& look : looks) {
    if (look.binding.driver != request.driver) devices.push_back(look.device);
    if (look.group) groups.push_back(*look.group);
  }
  auto refusals = vfio_refusals(host.sysfs, request.driver, devices, groups);
  if (auto refused = groups.empty() ? std::nullopt : refused_interrupts(host))
    refusals.push_back(*std::move(refused));
  return check_vfio(refusals, request.ignored, plan);
}

/// Bound there already, and nothing says otherwise: not to be disturbed, also not its override.
bool is_there(const Binding& now, const DriverName& driver) {
  return now.driver == driver && (!now.driver_override || now.driver_override == driver.str());
}

}  // namespace

Result<HeldPlan> plan_bind(const Host& host, const BindRequest& request) {
  Sysfs& root = host.sysfs;
  HeldPlan plan;
  Groups groups(root);
  const auto looks = TRY(complete(root, request, groups, plan));
  for (const Look& look : looks)
    TRY(require_driver(root, plan, look.device.bus, request.driver, host.modules));
  if (is_vfio_driver(request.driver.str())) TRY(check_groups(host, looks, groups, request));
  for (const Look& look : looks) {
    const bool there = is_there(look.binding, request.driver);
    const Mechanism mechanism =
        TRY(there ? plain_mechanism_of(root, look) : mechanism_for(host, look, request));
    Goal goal{.driver = request.driver, .driver_override = look.binding.driver_override};
    if (names_driver(mechanism) && !there) goal.driver_override = request.driver.str();
    keep_driver(root, plan, look);
    plan_device(plan, look, std::move(goal), mechanism);
  }
  TRY(check_what_vfio_takes(host, looks, request, plan));
  TRY(add_settings(host, request, plan));
  const auto bare = std::ranges::find_if(looks, [&](const Look& look) {
    return !look.group && !is_there(look.binding, request.driver);
  });
  if (bare != looks.end() && is_vfio_driver(request.driver.str()))
    TRY(add_no_iommu_mode(host, request, bare->device, plan));
  if (host.modules != nullptr) {
    note_side_effects(root, *host.modules, plan);
    if (request.driver.str() == "vfio-pci") note_variants(root, *host.modules, plan);
  }
  return plan;
}

Result<HeldPlan> plan_unbind(const Host& host, const std::vector<DeviceId>& devices) {
  Sysfs& root = host.sysfs;
  HeldPlan plan;
  for (const Look& look : TRY(look_at_all(root, devices, With::kBindingOnly))) {
    const Mechanism mechanism = TRY(plain_mechanism_of(root, look));
    Goal goal{.driver = std::nullopt};
    if (names_driver(mechanism)) {
      goal.driver_override = "none";
    } else {
      plan.notes.emplace_back(fmt::format(
          "{}: the {} bus has no driver_override, so nothing keeps other drivers away from it",
          look.device.str(), look.device.bus.str()));
    }
    keep_driver(root, plan, look);
    plan_device(plan, look, std::move(goal), mechanism);
  }
  return plan;
}

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

}  // namespace

Result<HeldPlan> plan_restore(const Host& host, const std::vector<DeviceId>& devices,
                              const OriginTable& origins) {
  Sysfs& root = host.sysfs;
  HeldPlan plan;
  plan.restores = true;
  const auto looks = TRY(look_at_all(root, devices, With::kBindingOnly));
  for (const Look& look : looks) {
    const auto origin = find_origin(origins, look.device, look.instance);
    Goal goal = origin ? as_goal(origin->binding)
                       : Goal{.driver = {}, .driver_override = {}, .default_match = true};
    if (origin && goal.driver && goal.driver != look.binding.driver) {
      TRY(require_driver(root, plan, look.device.bus, *goal.driver, host.modules));
    }
    keep_driver(root, plan, look);
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
  if (host.modules != nullptr) note_side_effects(root, *host.modules, plan);
  return plan;
}

Result<HeldPlan> plan_undo(const Host& host, const Plan& done, std::uint64_t id) {
  Sysfs& root = host.sysfs;
  HeldPlan plan;
  plan.undoes = id;
  for (const DevicePlan& was : std::views::reverse(done.devices)) {
    auto look = look_at(root, was.device, With::kBindingOnly);
    if (!look && look.error().kind != ErrorKind::kNotFound) return fail(look.error());
    if (!look || look->instance != was.instance) {
      plan.notes.emplace_back(fmt::format("{} is no longer there: left out", was.device.str()));
      continue;
    }
    if (was.before.driver)
      TRY(require_driver(root, plan, was.device.bus, *was.before.driver, host.modules));
    keep_driver(root, plan, *look);
    const Mechanism mechanism = TRY(plain_mechanism_of(root, *look));
    plan_device(plan, *look, as_goal(was.before), mechanism);
  }
  if (host.modules != nullptr) note_side_effects(root, *host.modules, plan);
  for (const Setting& setting : std::views::reverse(done.settings)) {
    if (!setting.lasting) continue;
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
