#include "capture/rehearsal.h"

#include <cerrno>
#include <memory>

#include "base/try.h"
#include "capture/model.h"
#include "change/transaction.h"
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
