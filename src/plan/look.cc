#include "plan/look.h"

#include <algorithm>
#include <cerrno>
#include <ranges>
#include <set>

#include <fmt/format.h>

#include "base/try.h"
#include "inventory/not_there.h"
#include "inventory/vfio_driver.h"
#include "plan/choose_mechanism.h"
#include "plan/module_plan.h"

namespace anybind {
namespace {

/// Its VFIO driver lets it sleep while nobody uses it.
bool is_parked(Sysfs& dir, const Binding& binding) {
  if (!binding.driver || !is_vfio_driver(binding.driver->str())) return false;
  const auto state = dir.read("power_state");
  return state && state->starts_with("D3");
}

Result<> look_at_more(Sysfs& root, const std::vector<DeviceId>& devices, With with,
                      std::vector<Look>& out) {
  out.reserve(out.size() + devices.size());
  for (const DeviceId& device : devices) {
    out.push_back(TRY(look_at(root, device, with)));
    if (out.size() > Handles::kMost) out.back().dir.reset();
  }
  return {};
}

/// Nobody would have `taken` in the end, though it was asked for.
Error refuse_taken(const Going& taken, const Going& by, Goes goes, bool by_group) {
  Error out{.kind = ErrorKind::kRefused, .object = taken.device.str()};
  if (by_group) {
    out.why = fmt::format("it {}; that is in the same IOMMU group, and would go too",
                          goes_with(by, goes));
    out.advice = fmt::format(
        "name {} in its place, or put the card into another slot, below a port with ACS",
        by.device.str());
  } else {
    out.why = "it " + goes_with(by, goes);
    out.advice = fmt::format("leave it out, or leave {} where it is", by.device.str());
  }
  return out;
}

}  // namespace

Result<const std::vector<DeviceId>*> Groups::members(unsigned group) {
  const auto found = members_.find(group);
  if (found != members_.end()) return &found->second;
  auto read = TRY(read_group(root_, group));
  return &members_.emplace(group, std::move(read)).first->second;
}

Result<Look> look_at(Sysfs& root, const DeviceId& device, With with) {
  auto dir = TRY(open_device(root, device));
  if (dir == nullptr) return fail(no_such_device(root, device, device.str()));
  const auto instance = dir->instance();
  auto binding = read_binding(*dir);
  auto group = with == With::kBindingOnly ? std::nullopt : read_iommu_group(*dir);
  if (!group && with == With::kGroupForWords) group = std::nullopt;
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

std::optional<DriverName> leaves_for(const Look& look, const Goal& goal) {
  const bool stays =
      goal.default_match ? !look.binding.driver_override : goal.driver == look.binding.driver;
  return stays ? std::nullopt : look.binding.driver;
}

Result<Looks> look_at_all(Sysfs& root, const std::vector<DeviceId>& devices, With with) {
  std::vector<DeviceId> once;
  std::set<DeviceId> seen;
  for (const DeviceId& device : devices) {
    if (seen.insert(device).second) once.push_back(device);
  }
  Looks out;
  TRY(look_at_more(root, once, with, out.all));
  out.asked = out.all.size();
  return out;
}

Result<> add_groups(Sysfs& root, Groups& groups, Looks& looks, Plan& plan,
                    const std::function<bool(const DeviceId&)>& wanted) {
  std::set<DeviceId> seen;
  for (const Look& look : looks.all) seen.insert(look.device);
  std::set<unsigned> done;
  std::vector<DeviceId> more;
  for (const Look& look : looks.all) {
    if (!look.group || !done.insert(*look.group).second) continue;
    for (const DeviceId& id : *TRY(groups.members(*look.group))) {
      if (seen.contains(id) || !wanted(id)) continue;
      const auto dir = TRY(open_device(root, id));
      if (dir == nullptr) continue;  // unplugged meanwhile
      if (TRY(is_bridge(*dir, id))) {
        plan.notes.emplace_back(fmt::format("{} is a bridge: left alone", id.str()));
        continue;
      }
      plan.notes.emplace_back(
          fmt::format("{} is in the same IOMMU group ({})", id.str(), *look.group));
      seen.insert(id);
      more.push_back(id);
    }
  }
  return look_at_more(root, more, With::kGroup, looks.all);
}

Result<std::vector<Look>> keep_what_stays(Sysfs& root, Looks looks, const std::vector<Going>& going,
                                          Taken taken, Plan& plan) {
  const Family family = family_of(root, going);
  for (const auto& [at, how] : family.taken) {
    if (taken == Taken::kRefuse && at < looks.asked)
      return fail(refuse_taken(going[at], going[how.by], how.goes, how.by >= looks.asked));
    plan.notes.emplace_back(
        fmt::format("{} {}: left out", going[at].device.str(), goes_with(going[how.by], how.goes)));
  }
  std::vector<Look> out;
  out.reserve(family.order.size());
  for (const std::size_t at : family.order) out.push_back(std::move(looks.all[at]));
  return out;
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

Result<std::shared_ptr<Sysfs>> dir_of(Sysfs& root, const Look& look) {
  std::shared_ptr<Sysfs> dir = look.dir;
  if (dir == nullptr) dir = TRY(open_device(root, look.device));
  if (dir == nullptr) return fail(no_such_device(root, look.device, look.device.str()));
  return dir;
}

Result<> require_driver(Sysfs& root, HeldPlan& plan, const BusName& bus, const DriverName& driver,
                        ModuleLoader* modules) {
  const std::string path = driver_path(bus, driver);
  if (plan.held.driver(path) != nullptr) return {};
  auto dir = root.open_dir(path);
  if (!dir && dir.error().value != ENOENT) return fail(from_errno(dir.error(), "open", path));
  if (!dir && modules != nullptr) return plan_load(root, *modules, plan, bus, driver);
  if (!dir) return fail(no_such_driver(root, bus, driver));
  plan.held.hold_driver(path, *std::move(dir));
  return {};
}

Result<> check_binds(const HeldPlan& plan, const DeviceId& device, const DriverName& driver) {
  Sysfs* const dir = plan.held.driver(driver_path(device.bus, driver));
  const auto files = dir == nullptr
                         ? Reply<std::vector<std::string>>(std::unexpected(Errno{ENOENT}))
                         : dir->list(".");
  if (!files || std::ranges::find(*files, "bind") != files->end()) return {};
  return fail({.kind = ErrorKind::kRefused,
               .object = device.str(),
               .why = driver.str() + " cannot be bound by hand: it has no bind file",
               .advice = {Action::kExplain, {device.str(), driver.str()}}});
}

Result<> keep_driver(Sysfs& root, HeldPlan& plan, const Look& look,
                     const std::optional<DriverName>& leaves) {
  if (!look.binding.driver) return {};
  const std::string path = driver_path(look.device.bus, *look.binding.driver);
  if (plan.held.driver(path) != nullptr) return {};
  (void)require_driver(root, plan, look.device.bus, *look.binding.driver);
  if (!leaves || plan.held.driver(path) == nullptr) return {};
  const auto files = plan.held.driver(path)->list(".");
  if (!files || std::ranges::find(*files, "unbind") != files->end()) return {};
  if (look.dir != nullptr && look.dir->read("drvctl")) return {};
  return fail(
      {.kind = ErrorKind::kRefused,
       .object = look.device.str(),
       .why = fmt::format("{} lets go of no device by hand: it has no unbind file", leaves->str()),
       .advice = {Action::kShow, {look.device.str()}}});
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

}  // namespace anybind
