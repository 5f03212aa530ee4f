#include "binding/in_use.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"

namespace anybind {
namespace {

constexpr std::size_t kLongest = 512;  // of a line

}  // namespace

std::vector<Asked> losing_drivers(const Plan& plan) {
  std::vector<Asked> out;
  for (const DevicePlan& device : plan.devices) {
    if (device.steps.empty() || !device.before.driver) continue;
    if (device.goal.driver != device.before.driver) out.push_back({device.device, device.held});
  }
  return out;
}

Result<> refuse_if_in_use(Sysfs& root, const Proc& proc, const std::vector<Asked>& devices,
                          const std::vector<std::string>& ignored) {
  if (devices.empty()) return {};
  auto [blockers, unseen] = find_blockers(root, proc, devices);
  std::erase_if(blockers, [&](const Blocker& b) {
    return std::ranges::find(ignored, b.name) != ignored.end();
  });
  if (blockers.empty()) return {};
  Error error{.code = Code::kRefused, .object = blockers.front().device.str(), .why = "in use"};
  if (blockers.front().device != blockers.back().device) error.object = "these devices";
  for (const Blocker& blocker : blockers) {
    const auto line = [&](const std::string& text) {
      error.details.push_back(printable(text, kLongest));
    };
    line(fmt::format("{}  {}: {}", blocker.device.str(), blocker.name, blocker.who));
    line(fmt::format("  {} (or --ignore {})", blocker.next, blocker.name));
  }
  if (unseen != 0) error.details.push_back(unseen_words(unseen));
  return fail(std::move(error));
}

Result<> refuse_if_in_use(Sysfs& root, const Proc& proc, const Plan& plan,
                          const std::vector<std::string>& ignored) {
  return refuse_if_in_use(root, proc, losing_drivers(plan), ignored);
}

}  // namespace anybind
