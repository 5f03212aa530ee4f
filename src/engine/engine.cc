// The walk of a change, once for everybody: the command, the library and what is to come.
//
//   1. The request is looked at for what can be seen without a machine: is there such an owner?
//   2. The kernel's log is listened to from here on: what it says meanwhile may explain a failure.
//   3. The lock: one process changes bindings at a time. What is remembered is read behind it.
//   4. The plan: everything that can be decided before the first write, and refused.
//   5. Who uses what would be taken away? Refused, when somebody does and nobody said to go on.
//   6. The transaction (change/transaction.h): the intention made durable, who uses it asked once
//      more just before the first write, modules, settings, devices, the nodes to their owner, a
//      last look at all of it, and the record closed. When something fails it goes all the way
//      back, by the same code that went forward.
//
// Nothing comes back up: what is below is handed what it needs (Host, plan, records, who uses
// devices), and tells a Listener. So no caller can leave one of these out, or put them in another
// order; a caller that has no use for one hands a Host that lacks the part.
#include "engine/engine.h"

#include <algorithm>
#include <cerrno>
#include <initializer_list>
#include <iterator>
#include <ranges>
#include <set>

#include <fmt/format.h>

#include "base/check.h"
#include "base/text.h"
#include "base/try.h"
#include "change/calm_listener.h"
#include "change/losing_drivers.h"
#include "change/patient_writer.h"
#include "change/transaction.h"
#include "engine/held_for_a_change.h"
#include "engine/hold.h"
#include "engine/past_change.h"
#include "host/accounts.h"
#include "inventory/device.h"
#include "inventory/vfio_driver.h"
#include "plan/plan_functions.h"
#include "plan/planner.h"
#include "users/refusal.h"

namespace anybind {
namespace {

/// A busy machine returns from most writes later than at once: who does not want to wait for
/// another change does not mean that they be left behind.
constexpr auto kLeastPatience = std::chrono::milliseconds(1000);

bool is_ignored(const Request& request, std::string_view guard) {
  return std::ranges::find(request.ignored, guard) != request.ignored.end();
}

Reach reach_of(const Request& request) {
  return request.whole_group ? Reach::kGroups : Reach::kNamed;
}

/// What nobody remembers goes to the default match. It is a change like others: what there was
/// before stays remembered, and that an override goes is what was asked for.
Result<HeldPlan> plan_default(const Host& host, const Request& request) {
  HeldPlan out = TRY(plan_restore(host, request.devices, OriginTable{}));
  out.restores = false;
  out.warnings.clear();
  return out;
}

Result<HeldPlan> plan_binding(const Host& host, const Request& request) {
  CHECK(request.driver.has_value(), "check() wants a driver of a bind");
  if (request.driver->str() == "none")
    return plan_unbind(host, request.devices, reach_of(request), request.stays);
  if (request.driver->str() == "default") return plan_default(host, request);
  return plan_bind(host, {.devices = request.devices,
                          .driver = *request.driver,
                          .whole_group = request.whole_group,
                          .mechanism = request.mechanism,
                          .no_iommu = request.no_iommu,
                          .ignores_same_id = is_ignored(request, kSameId),
                          .part_of_group = request.part_of_group,
                          .stays = request.stays,
                          .ignored = request.ignored});
}

Result<HeldPlan> plan_functions(const Host& host, const Request& request) {
  CHECK(request.devices.size() == 1, "check() wants one physical function");
  return plan_virtual_functions(host,
                                {.pf = request.devices.front(),
                                 .count = request.count,
                                 .driver = request.driver.value_or(DriverName::literal("none")),
                                 .drivers = request.function_drivers},
                                request.ignored);
}

Result<HeldPlan> plan_taking_back(const Host& host, const Request& request, const Memory& memory) {
  const JournalEntry entry = TRY(change_to_undo(memory.journal, request.change));
  HeldPlan out = TRY(plan_undo(host, entry.plan(), entry.id));
  out.notes.insert(out.notes.begin(), Remark(fmt::format("undo {}: {}", entry.id, entry.command)));
  return out;
}

/// Devices that have gone since are not given back.
Result<HeldPlan> plan_restoring(const Host& host, const Request& request,
                                const OriginTable& origins) {
  if (!request.everything) return plan_restore(host, request.devices, origins, reach_of(request));
  std::vector<DeviceId> devices;
  for (const auto& [device, origin] : origins) {
    const auto dir = TRY(open_device(host.sysfs, device));
    if (dir != nullptr && dir->instance() == origin.instance) devices.push_back(device);
  }
  auto plan = TRY(plan_restore(host, devices, origins));
  if (devices.empty())
    plan.notes.emplace_back("nothing is as anybind made it: nothing to give back");
  return plan;
}

/// What was asked for that the verb has no use for would not be done.
Result<> check_members(const Request& request) {
  using Verb = Request::Verb;
  const auto only = [&](bool is_set, std::initializer_list<Verb> verbs, const char* what) {
    if (!is_set || std::ranges::find(verbs, request.verb) != verbs.end()) return Result<>();
    return Result<>(fail({.kind = ErrorKind::kUsage,
                          .why = fmt::format("{} does not go with this kind of change", what)}));
  };
  TRY(only(request.driver.has_value(), {Verb::kBind, Verb::kMakeFunctions}, "a driver"));
  TRY(only(request.whole_group, {Verb::kBind, Verb::kUnbind, Verb::kRestore}, "a whole group"));
  TRY(only(request.everything, {Verb::kRestore}, "everything"));
  TRY(only(request.mechanism.has_value(), {Verb::kBind}, "a mechanism"));
  TRY(only(request.no_iommu, {Verb::kBind}, "the no-IOMMU mode"));
  TRY(only(request.part_of_group, {Verb::kBind}, "a part of a group"));
  TRY(only(request.stays != Stays::kHeld, {Verb::kBind, Verb::kUnbind}, "another way to stay"));
  TRY(only(request.stays == Stays::kOnlyNamed, {Verb::kBind}, "only naming a driver"));
  TRY(only(request.count != 0, {Verb::kMakeFunctions}, "a number of functions"));
  TRY(only(!request.function_drivers.empty(), {Verb::kMakeFunctions}, "a driver of a function"));
  TRY(only(request.change.has_value(), {Verb::kUndo}, "the number of a change"));
  if (request.driver && request.driver->str() == "default" &&
      (request.whole_group || request.mechanism || request.no_iommu || request.part_of_group ||
       request.stays != Stays::kHeld || !request.owner.empty()))
    return fail({.kind = ErrorKind::kUsage,
                 .why = "\"default\" goes with no option: each device gets what its bus chooses"});
  return only(!request.devices.empty() && !request.everything,
              {Verb::kBind, Verb::kUnbind, Verb::kRestore, Verb::kMakeFunctions},
              "the name of a device");
}

/// Makes no sense on any machine.
Result<> check(const Request& request) {
  TRY(check_members(request));
  if (request.everything && !request.devices.empty())
    return fail({.kind = ErrorKind::kUsage, .why = "everything, or devices by name, but not both"});
  const bool names_devices = request.verb != Request::Verb::kUndo && !request.everything;
  if (names_devices && request.devices.empty())
    return fail({.kind = ErrorKind::kUsage, .why = "no device was named"});
  if (request.verb == Request::Verb::kBind && !request.driver)
    return fail({.kind = ErrorKind::kUsage, .why = "no driver was named"});
  if (request.verb == Request::Verb::kMakeFunctions && request.devices.size() != 1)
    return fail({.kind = ErrorKind::kUsage, .why = "one physical function is wanted"});
  for (const auto& [number, driver] : request.function_drivers) {
    if (number < request.count) continue;
    return fail({.kind = ErrorKind::kUsage,
                 .why = fmt::format("there is no function {}: {} are wanted, and the first is 0",
                                    number, request.count)});
  }
  return {};
}

/// Who shall have the nodes, before anything is done.
Result<std::optional<Owner>> owner_of(const Host& host, const Request& request) {
  if (request.owner.empty()) return std::optional<Owner>();
  const auto refuse = [&](const char* why) {
    return fail({.kind = ErrorKind::kUsage,
                 .operation = "give the nodes to",
                 .object = request.owner,
                 .why = why});
  };
  const auto is_vfio = [](const DriverName& driver) { return is_vfio_driver(driver.str()); };
  const bool has_nodes =
      (request.verb == Request::Verb::kBind || request.verb == Request::Verb::kMakeFunctions) &&
      ((request.driver && is_vfio(*request.driver)) ||
       std::ranges::any_of(request.function_drivers | std::views::values, is_vfio));
  if (!has_nodes) return refuse("only a VFIO driver has nodes to give away");
  if (host.dev.empty()) return refuse("only this machine itself has device nodes");
  return std::optional(TRY(Accounts(host.files).parse(request.owner)));
}

Result<Memory> lock_memory(const Host& host, const Request& request, Listener& listener,
                           Memory::OnDamage on_damage) {
  const auto start = host.clock->now();
  return Memory::lock(
      host,
      [&](const std::string& owner) {
        if (listener.stop_requested()) return false;
        if (request.patience && host.clock->now() - start > *request.patience) return false;
        listener.on_waiting(owner);
        return true;
      },
      on_damage);
}

RunOptions run_options(const Request& request, const Users& users) {
  RunOptions out;
  out.users = &users;
  out.ignored = request.ignored;
  if (request.patience) {
    out.patience = std::max(*request.patience, kLeastPatience);
    out.long_patience = out.patience;
  }
  return out;
}

/// Of a device that planning found busy. When anybind itself has left a write behind, that change
/// is still open.
Error busy_error(const Host& host, Error error) {
  error.why = "it is busy: " + why_busy(host, error.object);
  if (left_in(host, error.object).empty()) return error;
  error.kind = ErrorKind::kIncomplete;
  error.advice = Remark(Action::kRecover) + ", once that process has ended";
  return error;
}

}  // namespace

namespace {

/// Between the look that the request is made of and this one, somebody may have exchanged a card.
Result<> check_instances(const Plan& plan, const Request& request) {
  const auto check_one = [&](const DeviceId& device, const Instance& instance) -> Result<> {
    const auto wanted = request.instances.find(device);
    if (wanted == request.instances.end() || wanted->second == instance) return {};
    return fail({.kind = ErrorKind::kNotFound,
                 .object = device.str(),
                 .why = "another card has come to this address meanwhile",
                 .advice = {Action::kShow, {device.str()}}});
  };
  for (const DevicePlan& device : plan.devices) TRY(check_one(device.device, device.instance));
  for (const anybind::Setting& setting : plan.settings) {
    if (setting.device) TRY(check_one(*setting.device, setting.instance));
  }
  return {};
}

}  // namespace

bool needs_memory(const Request& request) {
  return request.verb == Request::Verb::kRestore || request.verb == Request::Verb::kUndo;
}

Result<HeldPlan> plan_change(const Host& host, const Request& request, const Memory& memory) {
  TRY(check(request));
  auto plan = [&]() -> Result<HeldPlan> {
    switch (request.verb) {
      case Request::Verb::kBind:
        return plan_binding(host, request);
      case Request::Verb::kUnbind:
        return plan_unbind(host, request.devices, reach_of(request), request.stays);
      case Request::Verb::kRestore:
        return plan_restoring(host, request, memory.origins.table());
      case Request::Verb::kUndo:
        return plan_taking_back(host, request, memory);
      case Request::Verb::kMakeFunctions:
        break;
    }
    return plan_functions(host, request);
  }();
  if (!plan && plan.error().err.value == ETIMEDOUT)
    return fail(busy_error(host, std::move(plan).error()));
  if (!plan) return plan;
  TRY(check_instances(*plan, request));
  for (DevicePlan& of : plan->devices) {
    if (const auto name = request.names.find(of.device); name != request.names.end())
      of.called = name->second;
  }
  return plan;
}

Result<Memory> read_memory(const Host& host) {
  return Memory::load(host);
}

std::vector<DeviceId> known_as(const Host& host,
                               const std::function<bool(const std::string& name)>& is_meant) {
  std::vector<DeviceId> out;
  const auto memory = read_memory(host);
  if (!memory) return out;
  for (const auto& [id, origin] : memory->origins.table()) {
    if (origin.called.empty() || !is_meant(origin.called)) continue;
    const auto dir = open_device(host.sysfs, id);
    if (dir && *dir != nullptr && (*dir)->instance() == origin.instance) out.push_back(id);
  }
  return out;
}

std::vector<DeviceId> known_as(const Host& host, const std::string& name) {
  return known_as(host, [&](const std::string& called) { return called == name; });
}

Result<> check_owner(const Host& host, const Request& request) {
  TRY(owner_of(host, request));
  return {};
}

Result<> refuse_used(const Host& host, const HeldPlan& plan, const Request& request) {
  return MachineUsers(host, request.ignored).refuse(losing_drivers(plan));
}

Result<std::vector<Outcome>> change(const Host& host, const Request& request, Listener& listener) {
  CalmListener calm(listener);
  TRY(check(request));
  const auto owner = TRY(owner_of(host, request));
  if (host.log != nullptr) host.log->listen();
  const HeldForAChange lock(*host.storage);
  Memory memory = TRY(lock_memory(host, request, calm, Memory::OnDamage::kFail));
  CHECK(memory.journal.current() == 0, "what was just read has no transaction of ours");
  const HeldPlan plan = TRY(plan_change(host, request, memory));
  calm.on_plan(plan);
  const MachineUsers users(host, request.ignored);
  TRY(users.refuse(losing_drivers(plan)));
  RunOptions how = run_options(request, users);
  how.owner = owner;
  return run(host, plan, {&memory.origins, &memory.journal}, calm, how);
}

Result<Recovery> recover_changes(const Host& host, const Request& request, Listener& listener) {
  CalmListener calm(listener);
  if (host.log != nullptr) host.log->listen();
  const HeldForAChange lock(*host.storage);
  Memory memory = TRY(lock_memory(host, request, calm, Memory::OnDamage::kGoOn));
  calm.on_open_changes(memory.journal.open().size());
  const MachineUsers users(host, request.ignored);
  Origins* origins = memory.damage ? nullptr : &memory.origins;
  Recovery out{.changes =
                   recover(host, {origins, &memory.journal}, calm, run_options(request, users))};
  out.damage = std::move(memory.damage);
  const auto hold = TRY(read_hold(host));
  if (hold && !hold->is_alive) TRY(end_hold(host, calm));
  return out;
}

std::vector<std::string> nodes_to_give(const Host& host, const Plan& plan) {
  std::set<std::string> groups;
  for (const DevicePlan& device : plan.devices) {
    const auto link = host.sysfs.read_link(device.device.path() + "/iommu_group");
    if (link) groups.emplace(link_name(*link));
  }
  std::vector<std::string> out;
  out.reserve(groups.size());
  for (const std::string& group : groups) out.push_back(fmt::format("{}/vfio/{}", host.dev, group));
  return out;
}

std::vector<std::string> left_in(const Host& host, const std::string& device) {
  std::vector<std::string> out;
  const auto known = read_memory(host);
  if (!known) return out;
  for (const std::uint64_t id : known->journal.open()) {
    const auto entry = known->journal.read(id);
    if (!entry || !*entry || (*entry)->boot != known->journal.boot_id()) continue;
    for (const JournalDevice& of : (*entry)->devices) {
      if (of.device.str() == device)
        std::ranges::move(still_waiting(**entry, host.own_proc, &of.device),
                          std::back_inserter(out));
    }
  }
  return out;
}

std::string why_busy(const Host& host, const std::string& device) {
  std::string out = "the kernel holds its lock";
  for (const std::string& line : left_in(host, device)) out += "; " + line;
  return out;
}

}  // namespace anybind
