#include "change/losing_drivers.h"

namespace anybind {

std::vector<Asked> losing_drivers(const HeldPlan& plan) {
  std::vector<Asked> out;
  for (const DevicePlan& device : plan.devices) {
    if (device.steps.empty() || !device.before.driver) continue;
    if (device.goal.driver != device.before.driver)
      out.push_back({device.device, plan.held.device(device.device)});
  }
  return out;
}

}  // namespace anybind
