#include "policy/since.h"

#include <algorithm>

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
    for (const JournalDevice& device : (*entry)->devices) {
      const auto found = out.find(device.device);
      const auto standing = std::ranges::find(standings, device.device, &Standing::device);
      if (found == out.end() || found->second.id != 0 || standing == standings.end() ||
          standing->instance != device.instance)
        continue;
      found->second = {.id = id,
                       .time = (*entry)->time,
                       .command = (*entry)->command,
                       .was_declared = is_declared(**entry, device, spec.rules[standing->rule])};
    }
  }
  return out;
}

}  // namespace anybind
