#include "users/refusal.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "users/guards.h"

namespace anybind {
namespace {

constexpr std::size_t kLongest = 512;  // of a text from outside

/// As it may stand among the details of an error.
Remark shown(Remark remark) {
  for (Advice& part : remark.parts) {
    for (std::string& operand : part.operands) operand = printable(operand, kLongest);
  }
  return remark;
}

}  // namespace

Result<> MachineUsers::refuse(const std::vector<Asked>& devices) const {
  if (devices.empty()) return {};
  auto [blockers, unseen] = find_blockers(host_, devices);
  std::erase_if(blockers, [&](const Blocker& b) {
    return std::ranges::find(ignored_, b.name) != ignored_.end();
  });
  if (blockers.empty()) return {};
  Error error{
      .kind = ErrorKind::kRefused, .object = blockers.front().device.str(), .why = "in use"};
  if (blockers.front().device != blockers.back().device) error.object = "these devices";
  for (const Blocker& blocker : blockers) {
    error.details.push_back(
        shown(fmt::format("{}  {}: {}", blocker.device.str(), blocker.name, blocker.who)));
    error.details.push_back(shown("  " + blocker.way_out()));
  }
  if (unseen != 0) error.details.emplace_back(unseen_words(unseen));
  return fail(std::move(error));
}

}  // namespace anybind
