#include "plan/plan_functions.h"

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

}  // namespace

Result<HeldPlan> plan_virtual_functions(const Host& host, const NewFunctions& functions,
                                        const std::vector<std::string>& ignored) {
  Sysfs& root = host.sysfs;
  const DeviceId& pf = functions.pf;
  const unsigned count = functions.count;
  const DriverName& driver = functions.driver;
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
  if (count != 0 && driver.str() != "none" && !root.open_dir(driver_path(pf.bus, driver))) {
    if (host.modules == nullptr) return fail(no_such_driver(root, pf.bus, driver));
    TRY(plan_load(root, *host.modules, plan, pf.bus, driver));
    note_side_effects(root, *host.modules, plan);
  }
  if (now == count) return count == 0 ? HeldPlan() : plan_new_functions(host, functions, ignored);
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
  if (auto refused = refused_functions(root, driver, pf))
    TRY(check_vfio({*std::move(refused)}, ignored, plan));
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

}  // namespace

Result<HeldPlan> plan_new_functions(const Host& host, const NewFunctions& functions,
                                    const std::vector<std::string>& ignored) {
  const auto devices = TRY(virtual_functions(host.sysfs, functions.pf, functions.count));
  if (!functions.goals.empty()) return plan_each(host, devices, functions);
  if (functions.driver.str() == "none") return plan_unbind(host, devices);
  return plan_bind(host, {.devices = devices, .driver = functions.driver, .ignored = ignored});
}

}  // namespace anybind
