#include "engine/history.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/try.h"
#include "engine/engine.h"

namespace anybind {
namespace {

/// Of a change by itself; what others have made of it comes on top.
std::string result_of(const Journal& journal, const JournalEntry& entry, bool is_open,
                      bool is_locked) {
  if (entry.boot != journal.boot_id()) return "another boot";
  // Whoever changes bindings holds the lock, and has begun the newest.
  if (is_open && is_locked && entry.id == journal.open().back()) return "running";
  if (is_open) return entry.stuck.empty() ? "open" : "stuck";
  if (!entry.ending) return "ended";
  return *entry.ending == Ending::kDone ? "done" : "failed";
}

PastChange past_change(const Journal& journal, std::uint64_t id, bool is_open, bool is_locked) {
  PastChange out{.id = id, .result = "not readable"};
  auto entry = journal.read(id);
  if (!entry || !*entry) return out;
  out.entry = **std::move(entry);
  out.result = result_of(journal, *out.entry, is_open, is_locked);
  return out;
}

}  // namespace

Result<std::vector<PastChange>> read_history(const Host& host) {
  const bool is_locked = host.storage->is_locked();
  const Memory memory = TRY(read_memory(host));
  std::vector<PastChange> out;
  for (const std::uint64_t id : memory.journal.open())
    out.push_back(past_change(memory.journal, id, true, is_locked));
  for (const std::uint64_t id : memory.journal.closed())
    out.push_back(past_change(memory.journal, id, false, is_locked));
  std::ranges::sort(out, std::greater(), &PastChange::id);
  for (const PastChange& change : out) {
    if (change.result != "done" || change.entry->undoes == 0) continue;
    const auto undone = std::ranges::find(out, change.entry->undoes, &PastChange::id);
    if (undone != out.end() && undone->result == "done") undone->undone_by = change.id;
  }
  return out;
}

}  // namespace anybind
