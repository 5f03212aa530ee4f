#include "policy/since.h"

#include <algorithm>

#include "base/text.h"
#include "base/try.h"
#include "engine/engine.h"

namespace anybind {
namespace {

bool is_declared(const JournalEntry& entry, const JournalDevice& device, const Rule& rule) {
  if (entry.ending != Ending::kDone || !rule.driver) return false;
  if (rule.wants_default()) return !device.goal.driver_override;
  if (rule.wants_none()) return !device.goal.driver;
  return device.goal.driver == rule.driver;
}

/// The number of its virtual functions is a setting, and no device's driver.
void note_functions(const JournalEntry& entry, const Spec& spec,
                    const std::vector<Standing>& standings, std::map<DeviceId, LastChange>& out) {
  for (const Standing& standing : standings) {
    const auto found = out.find(standing.device);
    if (found == out.end() || found->second.id != 0 || !standing.functions) continue;
    const auto setting =
        std::ranges::find(entry.settings, standing.device.path() + "/sriov_numvfs", &Setting::path);
    if (setting == entry.settings.end()) continue;
    const bool is_done = entry.ending == Ending::kDone;
    const auto declared = spec.rules[standing.rule].functions;
    found->second = {.id = entry.id,
                     .time = entry.time,
                     .command = entry.command,
                     .was_done = is_done,
                     .was_declared = is_done && declared &&
                                     parse_decimal(trim_newline(setting->bytes)) == *declared};
  }
}

}  // namespace

Result<std::map<DeviceId, LastChange>> last_changes(const Host& host, const Spec& spec,
                                                    const std::vector<Standing>& standings) {
  std::map<DeviceId, LastChange> out;
  for (const Standing& standing : standings)
    if (standing.state != Standing::State::kMet) out.emplace(standing.device, LastChange{});
  if (out.empty()) return out;
  const Memory memory = TRY(read_memory(host));
  std::vector<std::uint64_t> ids = memory.journal.open();
  ids.insert(ids.end(), memory.journal.closed().begin(), memory.journal.closed().end());
  std::ranges::sort(ids, std::greater());
  for (const std::uint64_t id : ids) {
    const auto entry = memory.journal.read(id);
    if (!entry || !*entry || (*entry)->boot != memory.journal.boot_id()) continue;
    note_functions(**entry, spec, standings, out);
    for (const JournalDevice& device : (*entry)->devices) {
      const auto found = out.find(device.device);
      const auto standing = std::ranges::find(standings, device.device, &Standing::device);
      if (found == out.end() || found->second.id != 0 || standing == standings.end() ||
          standing->instance != device.instance)
        continue;
      found->second = {.id = id,
                       .time = (*entry)->time,
                       .command = (*entry)->command,
                       .was_done = (*entry)->ending == Ending::kDone,
                       .was_declared = is_declared(**entry, device, spec.rules[standing->rule])};
    }
  }
  return out;
}

}  // namespace anybind
