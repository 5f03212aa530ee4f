#include "plan/vfio_check.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"

namespace anybind {

Result<> check_vfio(const std::vector<VfioRefusal>& refusals,
                    const std::vector<std::string>& ignored, Plan& plan) {
  constexpr std::size_t kLongest = 512;
  std::vector<const VfioRefusal*> left;
  for (const VfioRefusal& refusal : refusals) {
    if (std::ranges::find(ignored, refusal.guard) == ignored.end()) {
      left.push_back(&refusal);
    } else {
      plan.warnings.emplace_back(fmt::format("{}: {}", refusal.object, refusal.what));
    }
  }
  if (left.empty()) return {};
  Error error{.kind = ErrorKind::kRefused,
              .object = left.front()->object,
              .why = left.front()->what,
              .advice = left.front()->way_out()};
  for (std::size_t i = 1; i < left.size(); ++i) {
    const VfioRefusal& more = *left[i];
    error.details.emplace_back(
        printable(fmt::format("{}  {}: {}", more.object, more.guard, more.what), kLongest));
    if (more.guard != left[i - 1]->guard) error.details.push_back("  " + more.way_out());
  }
  return fail(std::move(error));
}

}  // namespace anybind
