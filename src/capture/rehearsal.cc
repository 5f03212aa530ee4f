#include "capture/rehearsal.h"

#include <cerrno>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "base/try.h"
#include "capture/model.h"
#include "change/transaction.h"
#include "drivercore/core/bus_type.h"
#include "engine/engine.h"
#include "inventory/device.h"

namespace anybind {
namespace {

/// The same plan for the same devices of another tree, where they are other instances.
Result<Plan> on_model(Plan plan, Sysfs& model) {
  for (DevicePlan& device : plan.devices) {
    const auto dir = model.open_dir(device.device.path());
    const auto instance = dir ? (*dir)->instance() : Reply<Instance>(std::unexpected(dir.error()));
    if (!instance)
      return fail(from_errno(instance.error(), "try the plan out on", device.device.str()));
    device.instance = *instance;
  }
  for (Setting& setting : plan.settings) {
    if (!setting.device) continue;
    const auto dir = TRY(open_device(model, *setting.device));
    const auto instance = dir ? dir->instance() : std::unexpected(Errno{ENOENT});
    if (!instance)
      return fail(from_errno(instance.error(), "try the plan out on", setting.device->str()));
    setting.instance = *instance;
  }
  return plan;
}

/// The first bus of the plan that a model of this kernel does not have.
std::optional<BusName> unknown_bus(const Plan& plan, const drivercore::KernelProfile& kernel) {
  for (const DevicePlan& device : plan.devices) {
    const auto* type = drivercore::find_bus_type(device.device.bus.str());
    if (type == nullptr || !drivercore::has_bus(kernel, *type)) return device.device.bus;
  }
  return std::nullopt;
}

/// Planning has seen that the files are there.
Outcome expect(const DevicePlan& of, Listener& listener) {
  for (const Step& step : of.steps) listener.on_step(of.device, step);
  Outcome out{.device = of.device, .before = of.before, .after = of.before};
  if (of.steps.empty()) return out;
  out.changed = true;
  out.after.driver = of.goal.driver;
  out.after.driver_override = of.goal.driver_override;
  return out;
}

/// For a bus that no model has: what the plan asks for, if all of it happens.
Rehearsal read_through(HeldPlan plan, const BusName& bus, Listener& listener) {
  plan.notes.emplace_back(
      fmt::format("the model does not know the {} bus: what follows is what the plan asks for, and "
                  "was not tried out",
                  bus.str()));
  listener.on_plan(plan);
  for (const ModuleLoad& load : plan.modules) listener.on_module(load);
  for (const Setting& setting : plan.settings) {
    if (!setting.late) listener.on_setting(setting);
  }
  std::vector<Outcome> predicted;
  predicted.reserve(plan.devices.size());
  for (const DevicePlan& of : plan.devices) predicted.push_back(expect(of, listener));
  for (const Setting& setting : plan.settings) {
    if (setting.late) listener.on_setting(setting);
  }
  return {.plan = std::move(plan), .predicted = std::move(predicted)};
}

/// What is remembered is not read without need: another user may not read it.
Result<Memory> memory_for(const Host& host, const Request& request, Storage& nothing) {
  if (needs_memory(request)) return read_memory(host);
  Host forgetful = host;
  forgetful.storage = &nothing;
  return read_memory(forgetful);
}

}  // namespace

Result<Rehearsal> rehearse(const Host& host, const drivercore::State* lab, const Request& request,
                           Listener& listener) {
  const auto nothing = memory_storage();
  TRY(check_owner(host, request));
  const Memory memory = TRY(memory_for(host, request, *nothing));
  const HeldPlan here = TRY(plan_change(host, request, memory));
  if (const auto bus = unknown_bus(here, lab != nullptr ? lab->profile : kernel_of(host))) {
    TRY(refuse_used(host, here, request));
    return read_through(here, *bus, listener);
  }
  const auto model =
      lab != nullptr ? std::make_unique<Model>(*lab) : TRY(model_of(host, here.modules));
  TRY(refuse_used(host, here, request));
  const HeldPlan there = TRY(on_model(here, model->sysfs()));
  listener.on_plan(here);
  Host stage(model->sysfs());
  stage.modules = &model->modules();
  stage.rule = host.rule;
  stage.has_users = false;
  auto predicted = run(stage, there, nullptr, listener, {});
  return Rehearsal{.plan = here, .predicted = std::move(predicted)};
}

}  // namespace anybind
