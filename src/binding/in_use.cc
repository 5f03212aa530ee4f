#include "binding/in_use.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "inventory/group.h"
#include "inventory/guards.h"

namespace anybind {

Result<> refuse_if_in_use(Sysfs& root, const Proc& proc, const Plan& plan,
                          const std::vector<std::string>& ignored) {
  std::vector<DeviceId> leaving;
  for (const DevicePlan& device : plan.devices) {
    const auto& before = device.before.driver;
    if (device.steps.empty() || !before || manages_dma(*before)) continue;
    if (device.goal.driver != before) leaving.push_back(device.device);
  }
  auto blockers = find_blockers(root, proc, leaving);
  std::erase_if(blockers, [&](const Blocker& b) {
    return std::ranges::find(ignored, b.name) != ignored.end();
  });
  if (blockers.empty()) return {};
  std::vector<std::string> who;
  std::vector<std::string> next;
  for (const Blocker& blocker : blockers) {
    const std::string whose = leaving.size() > 1 ? blocker.device.str() + ": " : "";
    who.push_back(fmt::format("{}{} ({})", whose, blocker.who, blocker.name));
    std::string line = fmt::format("{} (or --ignore {})", blocker.next, blocker.name);
    if (std::ranges::find(next, line) == next.end()) next.push_back(std::move(line));
  }
  return fail({.code = Code::kRefused,
               .object = blockers.front().device.str(),
               .why = "in use: " + join_words(who),
               .next = join_words(next)});
}

}  // namespace anybind
