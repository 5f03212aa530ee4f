#include "users/refusal.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "users/guards.h"

namespace anybind {
namespace {

constexpr std::size_t kLongest = 512;  // of a line

}  // namespace

Result<> MachineUsers::refuse(const std::vector<Asked>& devices) const {
  if (devices.empty() || !host_.has_users) return {};
  auto [blockers, unseen] = find_blockers(host_.sysfs, host_.proc, devices);
  std::erase_if(blockers, [&](const Blocker& b) {
    return std::ranges::find(ignored_, b.name) != ignored_.end();
  });
  if (blockers.empty()) return {};
  Error error{
      .kind = ErrorKind::kRefused, .object = blockers.front().device.str(), .why = "in use"};
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

}  // namespace anybind
