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
#include "plan/look.h"

#include <algorithm>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "inventory/group.h"
#include "inventory/makers.h"
#include "inventory/vfio_driver.h"
#include "inventory/vfio_refusal.h"
#include "inventory/viability.h"
#include "plan/module_plan.h"
#include "plan/plan_settings.h"
#include "plan/vfio_check.h"

namespace anybind {
namespace {

constexpr std::size_t kLongestLine = 512;

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
  error.why = fmt::format("{} {}; until {} released, nothing can open the group through {}",
                          join_words(in_the_way),
                          in_the_way.size() == 1 ? "is on a host driver" : "are on host drivers",
                          in_the_way.size() == 1 ? "it is" : "they are", request.driver.str());
  error.advice = Remark(Action::kTakeGroup) + ", or name those devices too";
  // Then only bridges are left in the way.
  if (request.whole_group && !viability.changes.empty()) error.advice = viability.changes.front();
  return fail(std::move(error));
}

/// The devices of a plan, and what goes away with them: neither keeps a group from user space.
class GoneFromHost {
 public:
  GoneFromHost(Sysfs& root, const std::vector<Look>& looks, const DriverName& driver)
      : root_(root) {
    for (const Look& look : looks) {
      going_.insert(look.device);
      if (leaves_for(look, {.driver = driver})) leaving_.push_back(look.device);
    }
  }
  /// Those of `group` too that go away with one of the plan.
  const std::set<DeviceId>& with_those_of(const std::vector<DeviceId>& group) {
    if (!makers_) makers_.emplace(root_, leaving_);
    for (const DeviceId& id : group) {
      if (!going_.contains(id) && makers_->takes(id)) going_.insert(id);
    }
    return going_;
  }
  [[nodiscard]] const std::set<DeviceId>& devices() const { return going_; }

 private:
  Sysfs& root_;
  std::set<DeviceId> going_;
  std::vector<DeviceId> leaving_;
  std::optional<Makers> makers_;  ///< once they are asked for
};

Result<> check_groups(const Host& host, const std::vector<Look>& looks, Groups& groups,
                      const BindRequest& request, Plan& plan) {
  Sysfs& root = host.sysfs;
  GoneFromHost going(root, looks, request.driver);
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
    if (!TRY(is_hindered(root, *group, going.devices(), host.rule)) ||
        !TRY(is_hindered(root, *group, going.with_those_of(*group), host.rule)))
      continue;
    const auto refused = refuse_group(host, *look.group, going.devices(), request);
    if (refused) continue;
    if (!request.part_of_group || refused.error().kind != ErrorKind::kRefused) return refused;
    plan.warnings.emplace_back(refused.error().message());
  }
  return {};
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

bool is_any(const DeviceId& /*member*/) {
  return true;
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

/// Which driver a device has in the end.
std::optional<DriverName> driver_of(const BindRequest& request) {
  if (request.stays == Stays::kOnlyNamed) return std::nullopt;
  return request.driver;
}

/// What its override says then; one that it keeps where it goes by none.
std::optional<std::string> override_of(const BindRequest& request, const Look& look,
                                       Mechanism mechanism) {
  if (!names_driver(mechanism)) return look.binding.driver_override;
  if (request.stays == Stays::kLoose) return std::nullopt;
  return request.driver.str();
}

/// Only an override can name a driver for later.
Result<> check_can_be_named(const BindRequest& request, const Look& look, Mechanism mechanism) {
  if (request.stays != Stays::kOnlyNamed || names_driver(mechanism)) return {};
  return fail(
      {.kind = ErrorKind::kRefused,
       .object = look.device.str(),
       .why = fmt::format("the {} bus has no driver_override, which could name {} for later",
                          look.device.bus.str(), request.driver.str())});
}

/// Bound there already, and nothing says otherwise: not to be disturbed, also not its override.
bool is_there(const Binding& now, const BindRequest& request) {
  const std::string& driver = request.driver.str();
  if (request.stays == Stays::kOnlyNamed) return false;
  if (now.driver != request.driver) return false;
  return now.driver_override == driver || (!now.driver_override && request.stays != Stays::kNamed);
}

}  // namespace

Result<HeldPlan> plan_bind(const Host& host, const BindRequest& request) {
  Sysfs& root = host.sysfs;
  HeldPlan plan;
  Groups groups(root);
  Looks found = TRY(look_at_all(root, request.devices, With::kGroup));
  if (request.whole_group) TRY(add_groups(root, groups, found, plan, is_any));
  const auto going = going_of(found.all, [&](const Look& look) {
    return leaves_for(look, {.driver = driver_of(request)});
  });
  const auto looks = TRY(keep_what_stays(root, std::move(found), going, Taken::kRefuse, plan));
  for (const Look& look : looks)
    TRY(require_driver(root, plan, look.device.bus, request.driver, host.modules));
  const auto goes = [&](const Look& look) { return !is_there(look.binding, request); };
  if (const auto first = std::ranges::find_if(looks, goes); first != looks.end())
    TRY(check_binds(plan, first->device, request.driver));
  if (is_vfio_driver(request.driver.str())) TRY(check_groups(host, looks, groups, request, plan));
  for (const Look& look : looks) {
    const bool there = is_there(look.binding, request);
    const Mechanism mechanism =
        TRY(there ? plain_mechanism_of(root, look) : mechanism_for(host, look, request));
    TRY(check_can_be_named(request, look, mechanism));
    Goal goal{.driver = driver_of(request), .driver_override = look.binding.driver_override};
    if (!there) goal.driver_override = override_of(request, look, mechanism);
    TRY(keep_driver(root, plan, look, leaves_for(look, goal)));
    plan_device(plan, look, std::move(goal), mechanism);
  }
  TRY(check_what_vfio_takes(host, looks, request, plan));
  TRY(add_settings(host, request, plan));
  const auto bare = std::ranges::find_if(
      looks, [&](const Look& look) { return !look.group && !is_there(look.binding, request); });
  const bool binds = request.stays != Stays::kOnlyNamed;
  if (binds && bare != looks.end() && needs_iommu_group(request.driver.str()))
    TRY(add_no_iommu_mode(host, request, bare->device, plan));
  if (host.modules != nullptr) {
    note_side_effects(root, *host.modules, plan);
    if (request.driver.str() == "vfio-pci") note_variants(root, *host.modules, plan);
  }
  return plan;
}

Result<HeldPlan> plan_unbind(const Host& host, const std::vector<DeviceId>& devices, Reach reach,
                             Stays stays) {
  Sysfs& root = host.sysfs;
  HeldPlan plan;
  Groups groups(root);
  const bool grouped = reach == Reach::kGroups;
  Looks found = TRY(look_at_all(root, devices, grouped ? With::kGroup : With::kBindingOnly));
  if (grouped) TRY(add_groups(root, groups, found, plan, is_any));
  const auto going = going_of(found.all, [](const Look& look) { return look.binding.driver; });
  for (const Look& look :
       TRY(keep_what_stays(root, std::move(found), going, Taken::kRefuse, plan))) {
    const Mechanism mechanism = TRY(plain_mechanism_of(root, look));
    Goal goal{.driver = std::nullopt};
    if (names_driver(mechanism)) {
      if (stays != Stays::kLoose) goal.driver_override = "none";
    } else {
      plan.notes.emplace_back(fmt::format(
          "{}: the {} bus has no driver_override, so nothing keeps other drivers away from it",
          look.device.str(), look.device.bus.str()));
    }
    TRY(keep_driver(root, plan, look, look.binding.driver));
    plan_device(plan, look, std::move(goal), mechanism);
  }
  return plan;
}

}  // namespace anybind
