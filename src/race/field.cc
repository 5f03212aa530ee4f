#include "race/field.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"
#include "drivercore/core/kernel_profile.h"

namespace anybind::race {

std::string cell_text(const Cell& cell) {
  if (const auto worst = cell.worst()) {
    return fmt::format("{}{}", properties().at(*worst).letter, cell.broken.at(*worst).steps);
  }
  const bool mended =
      std::ranges::any_of(cell.mended, [](const auto& finding) { return !finding.token.empty(); });
  if (!cell.complete) return "?";
  if (mended) return "ok*";
  return cell.was_tried() ? "ok" : "-";
}

std::string names_of(const Cell& cell) {
  std::string out;
  for (const Scenario* scenario : cell.of.scenarios) {
    out += fmt::format("{}{}", out.empty() ? "" : " + ", scenario->name);
  }
  return out;
}

Verdict verdict_of(const Cell& cell) {
  if (cell.worst()) return Verdict::kBroken;
  const std::string text = cell_text(cell);
  if (text == "ok*") return Verdict::kMended;
  return text == "ok" ? Verdict::kSafe : Verdict::kUntested;
}

std::string kernel_text(KernelVersion kernel) {
  std::string out = fmt::format(
      "On Linux {}. A mechanism that was only proposed: on that kernel, with the\n"
      "proposal in the place of driver_override.\n",
      kernel.str());
  for (const Mechanism& mechanism : mechanisms()) {
    if (!profile_of(mechanism, kernel))
      out += fmt::format("No row {}: that kernel has no driver_override.\n", mechanism.name);
  }
  const auto profile = drivercore::find_profile("linux-" + kernel.str());
  CHECK(profile, "a table is of a kernel that is known");
  const Mechanism* policy = find_mechanism("policy");
  if (policy != nullptr && profile_of(*policy, kernel) &&
      !profile->has(drivercore::Change::kPciAddHonoursAutoprobe))
    out +=
        "Row policy: this kernel asks for each card that comes, whatever\n"
        "drivers_autoprobe says, so that before-probe (J) cannot be kept.\n";
  return out;
}

}  // namespace anybind::race
