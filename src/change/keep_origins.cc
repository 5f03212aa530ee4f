#include "change/keep_origins.h"

#include <memory>

#include "base/check.h"
#include "base/try.h"
#include "change/belongings.h"
#include "inventory/device.h"

namespace anybind {
namespace {

Result<Belongings> belongings_of(Sysfs& root, const HeldPlan& plan, const DevicePlan& of) {
  if (!of.before.driver) return Belongings();
  std::shared_ptr<Sysfs> dir = plan.held.device(of.device);
  if (dir == nullptr) dir = TRY(open_device(root, of.device));
  if (dir == nullptr) return Belongings();  // it has just gone, as its run will find
  return read_belongings(*dir, of.device, of.before);
}

}  // namespace

void note_fresh(const Plan& plan, std::size_t from, const Origins* origins,
                std::vector<bool>& fresh) {
  CHECK(fresh.size() == from, "each device is noted once, in the order of the plan");
  fresh.resize(plan.devices.size(), false);
  for (std::size_t i = from; i < plan.devices.size() && origins != nullptr; ++i) {
    const DevicePlan& device = plan.devices[i];
    fresh[i] =
        !plan.restores && !device.steps.empty() && !origins->find(device.device, device.instance);
  }
}

Result<> save_fresh(Sysfs& root, const HeldPlan& plan, std::size_t from,
                    const std::vector<bool>& fresh, Origins& origins) {
  CHECK(fresh.size() == plan.devices.size(), "of each device is known whether it is fresh");
  for (std::size_t i = from; i < plan.devices.size(); ++i) {
    const DevicePlan& device = plan.devices[i];
    if (!fresh[i]) continue;
    origins.remember(device.device, {.instance = device.instance,
                                     .binding = device.before,
                                     .had = TRY(belongings_of(root, plan, device)),
                                     .called = device.called});
  }
  return origins.save();
}

Result<> note_owners(Sysfs& root, const Plan& plan, Origins& origins,
                     std::vector<DeviceId>& noted) {
  if (plan.restores) return {};
  for (const Setting& setting : plan.settings) {
    if (!setting.lasting || !setting.device) continue;
    if (origins.find(*setting.device, setting.instance)) continue;
    const auto dir = TRY(open_device(root, *setting.device));
    if (dir == nullptr) continue;
    const auto binding = read_binding(*dir);
    if (!binding) return fail(read_error(binding.error(), "read the state of", *setting.device));
    origins.remember(*setting.device,
                     {.instance = setting.instance,
                      .binding = *binding,
                      .had = TRY(read_belongings(*dir, *setting.device, *binding))});
    noted.push_back(*setting.device);
  }
  return {};
}

void forget_what_is_as_it_was(Sysfs& root, const Plan& plan, const std::vector<Outcome>& outcomes,
                              Origins& origins) {
  CHECK(outcomes.size() == plan.devices.size(), "each device of a plan has an outcome");
  for (std::size_t i = 0; i < plan.devices.size(); ++i) {
    const DevicePlan& device = plan.devices[i];
    const auto origin = origins.find(device.device, device.instance);
    const Binding& now = outcomes[i].after;
    const bool as_it_was = origin && origin->binding.driver == now.driver &&
                           origin->binding.driver_override == now.driver_override;
    const bool owes =
        origin && origin->had.functions && !is_as_it_was(root, device.device, *origin);
    if (((plan.restores || as_it_was) && !owes) || outcomes[i].gone) origins.forget(device.device);
  }
  for (const Setting& setting : plan.settings) {
    if (!setting.lasting || !setting.device) continue;
    const auto origin = origins.find(*setting.device, setting.instance);
    if (origin && is_as_it_was(root, *setting.device, *origin)) origins.forget(*setting.device);
  }
  (void)origins.save();
}

}  // namespace anybind
