#include "engine/past_change.h"

#include <algorithm>
#include <ranges>
#include <set>

#include "base/try.h"

namespace anybind {
namespace {

Error no_transaction(const std::string& which, std::string why) {
  return {.kind = ErrorKind::kNotFound,
          .operation = "undo",
          .object = which,
          .why = std::move(why),
          .advice = Action::kHistory};
}

/// Was done in this boot.
bool is_done(const Journal& journal, const JournalEntry& entry) {
  return entry.boot == journal.boot_id() && entry.ending == Ending::kDone;
}

Result<JournalEntry> numbered(const Journal& journal, std::uint64_t id) {
  if (std::ranges::find(journal.closed(), id) == journal.closed().end())
    return fail(no_transaction(std::to_string(id), "no such transaction has ended"));
  auto entry = TRY(journal.read(id));
  if (!entry || !is_done(journal, *entry))
    return fail(no_transaction(std::to_string(id), "it left nothing to take back"));
  return *std::move(entry);
}

Result<JournalEntry> last(const Journal& journal) {
  std::set<std::uint64_t> undone;
  for (const std::uint64_t id : std::views::reverse(journal.closed())) {
    auto entry = journal.read(id);
    if (!entry || !*entry || !is_done(journal, **entry)) continue;
    if ((*entry)->undoes != 0) {
      undone.insert((*entry)->undoes);
    } else if (!undone.contains(id)) {
      return **std::move(entry);
    }
  }
  return fail(no_transaction("the last change", "there is none"));
}

}  // namespace

Result<JournalEntry> change_to_undo(const Journal& journal, std::optional<std::uint64_t> number) {
  return number ? numbered(journal, *number) : last(journal);
}

}  // namespace anybind
