#include "plan/plan_functions.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "inventory/device.h"
#include "inventory/not_there.h"
#include "inventory/vfio_refusal.h"
#include "inventory/virtual_functions.h"
#include "plan/look.h"
#include "plan/module_plan.h"
#include "plan/planner.h"
#include "plan/vfio_check.h"

namespace anybind {
namespace {

Error no_functions(const DeviceId& pf, std::string why, Remark next) {
  return {.kind = ErrorKind::kRefused,
          .object = pf.str(),
          .why = std::move(why),
          .advice = std::move(next)};
}

/// A number in an attribute of `dir`.
Result<unsigned> read_number(Sysfs& dir, const DeviceId& pf, const std::string& attribute) {
  const auto text = dir.read(attribute);
  if (!text) return fail(from_errno(text.error(), "read " + attribute + " of", pf.str()));
  const auto number = parse_decimal(trim_newline(*text));
  if (number && *number <= 0xFFFF) return static_cast<unsigned>(*number);
  return fail({.kind = ErrorKind::kFailed,
               .operation = "read " + attribute + " of",
               .object = pf.str(),
               .why = "not a number: " + printable(trim_newline(*text))});
}

DriverName driver_of(const NewFunctions& functions, unsigned number) {
  const auto own = functions.drivers.find(number);
  return own == functions.drivers.end() ? functions.driver : own->second;
}

/// From `now` to `count` in one write?
Result<> check_number(const DeviceId& pf, unsigned now, unsigned count, unsigned total) {
  if (count > total) {
    return fail(no_functions(pf, fmt::format("it has at most {} virtual functions", total),
                             {Action::kMakeFunctions, {pf.str(), std::to_string(total)}}));
  }
  if (now == 0 || count == 0) return {};
  return fail(no_functions(pf,
                           fmt::format("it has {} virtual functions, and the kernel can only "
                                       "change that to none",
                                       now),
                           {Action::kMakeFunctions, {pf.str(), "0"}}));
}

/// Where the functions go, without those that go nowhere.
std::set<DriverName> drivers_of(const NewFunctions& functions) {
  std::set<DriverName> out;
  for (unsigned number = 0; number < functions.count; ++number)
    out.insert(driver_of(functions, number));
  out.erase(DriverName::literal("none"));
  return out;
}

/// Its module is loaded first, where it is not there.
Result<> plan_driver(const Host& host, const BusName& bus, const DriverName& driver,
                     HeldPlan& plan) {
  if (host.sysfs.open_dir(driver_path(bus, driver))) return {};
  if (driver.str() == "default") {
    return fail(
        {.kind = ErrorKind::kUsage,
         .why = "no driver probes new functions unasked, so that none is a default for them",
         .advice = "name the driver, or none"});
  }
  if (host.modules == nullptr) return fail(no_such_driver(host.sysfs, bus, driver));
  TRY(plan_load(host.sysfs, *host.modules, plan, bus, driver));
  note_side_effects(host.sysfs, *host.modules, plan);
  return {};
}

/// There are as many as shall be: they are only bound.
Result<HeldPlan> plan_those_there(const Host& host, const NewFunctions& functions,
                                  const std::vector<std::string>& ignored) {
  if (functions.count == 0) return HeldPlan();
  HeldPlan plan = TRY(plan_new_functions(host, functions, ignored));
  plan.notes.insert(plan.notes.begin(),
                    fmt::format("{} has {} virtual functions already: none is made",
                                functions.pf.str(), functions.count));
  return plan;
}

}  // namespace

Result<HeldPlan> plan_virtual_functions(const Host& host, const NewFunctions& functions,
                                        const std::vector<std::string>& ignored) {
  Sysfs& root = host.sysfs;
  const DeviceId& pf = functions.pf;
  const unsigned count = functions.count;
  const auto dir = TRY(open_device(root, pf));
  if (dir == nullptr) return fail(no_such_device(root, pf, pf.str()));
  const auto instance = dir->instance();
  if (!instance) return fail(from_errno(instance.error(), "look at", pf.str()));
  if (!dir->read("sriov_totalvfs")) {
    return fail(
        no_functions(pf, "it has no SR-IOV capability", {Action::kList, {"class:network"}}));
  }
  const unsigned total = TRY(read_number(*dir, pf, "sriov_totalvfs"));
  const unsigned now = TRY(read_number(*dir, pf, "sriov_numvfs"));
  HeldPlan plan;
  const std::set<DriverName> drivers = drivers_of(functions);
  for (const DriverName& driver : drivers) TRY(plan_driver(host, pf.bus, driver, plan));
  if (now == count) return plan_those_there(host, functions, ignored);
  TRY(check_number(pf, now, count, total));
  const auto bound = read_driver(*dir);
  if (!bound || !*bound) {
    return fail(no_functions(pf, "it has no driver, which would have to create them",
                             {Action::kRestore, {pf.str()}}));
  }
  const Setting number{.path = pf.path() + "/sriov_numvfs",
                       .bytes = std::to_string(count),
                       .undo_path = pf.path() + "/sriov_numvfs",
                       .undo_bytes = std::to_string(now),
                       .reason = count != 0 ? "create them" : "remove them",
                       .device = pf,
                       .instance = *instance,
                       .lasting = true,
                       .late = count == 0};
  if (count == 0) {
    const auto all = TRY(virtual_functions(root, pf, now));
    plan = TRY(plan_unbind(host, all));
    plan.settings.push_back(number);
    plan.notes.emplace_back(
        fmt::format("{} has {} virtual functions, which are removed", pf.str(), now));
    return plan;
  }
  for (const DriverName& driver : drivers) {
    if (auto refused = refused_functions(root, driver, pf))
      TRY(check_vfio({*std::move(refused)}, ignored, plan));
  }
  if (auto flag = TRY(hold_functions_back(root, pf, *instance)))
    plan.settings.push_back(*std::move(flag));
  plan.settings.push_back(number);
  plan.makes = functions;
  return plan;
}

Result<std::optional<Setting>> hold_functions_back(Sysfs& root, const DeviceId& pf,
                                                   const Instance& instance) {
  const auto dir = TRY(open_device(root, pf));
  if (dir == nullptr) return fail(no_such_device(root, pf, pf.str()));
  if (TRY(read_number(*dir, pf, "sriov_drivers_autoprobe")) == 0) return std::nullopt;
  const std::string flag = pf.path() + "/sriov_drivers_autoprobe";
  return Setting{.path = flag,
                 .bytes = "0",
                 .undo_path = flag,
                 .undo_bytes = "1",
                 .reason = "let no driver probe the virtual functions",
                 .device = pf,
                 .instance = instance};
}

namespace {

/// Each to where it was.
Result<HeldPlan> plan_each(const Host& host, const std::vector<DeviceId>& devices,
                           const NewFunctions& functions) {
  HeldPlan plan;
  for (Look& look : TRY(look_at_all(host.sysfs, devices, With::kBindingOnly)).all) {
    const auto goal = functions.goals.find(look.device);
    if (goal == functions.goals.end()) continue;
    if (goal->second.driver)
      TRY(require_driver(host.sysfs, plan, look.device.bus, *goal->second.driver, host.modules));
    plan_device(plan, look, goal->second, TRY(plain_mechanism_of(host.sysfs, look)));
  }
  return plan;
}

Result<HeldPlan> plan_share(const Host& host, const DriverName& driver,
                            const std::vector<DeviceId>& share,
                            const std::vector<std::string>& ignored) {
  if (driver.str() == "none") return plan_unbind(host, share);
  return plan_bind(host, {.devices = share, .driver = driver, .ignored = ignored});
}

void join(HeldPlan& plan, HeldPlan more) {
  const auto append = [](auto& to, auto& from) { std::ranges::move(from, std::back_inserter(to)); };
  append(plan.modules, more.modules);
  append(plan.settings, more.settings);
  append(plan.devices, more.devices);
  append(plan.notes, more.notes);
  append(plan.warnings, more.warnings);
  plan.held.join(std::move(more.held));
}

}  // namespace

Result<HeldPlan> plan_new_functions(const Host& host, const NewFunctions& functions,
                                    const std::vector<std::string>& ignored) {
  const auto devices = TRY(virtual_functions(host.sysfs, functions.pf, functions.count));
  if (!functions.goals.empty()) return plan_each(host, devices, functions);
  std::map<DriverName, std::vector<DeviceId>> shares;
  for (unsigned number = 0; number < functions.count; ++number)
    shares[driver_of(functions, number)].push_back(devices[number]);
  HeldPlan out;
  for (const auto& [driver, share] : shares)
    join(out, TRY(plan_share(host, driver, share, ignored)));
  if (shares.size() > 1) std::ranges::sort(out.devices, address_less, &DevicePlan::device);
  return out;
}

}  // namespace anybind
