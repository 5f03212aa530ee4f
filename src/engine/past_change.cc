#include "engine/past_change.h"

#include <algorithm>
#include <map>
#include <ranges>
#include <string>
#include <vector>

#include <fmt/format.h>

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

/// Changes of this boot that were done, newest first, and what has become of them.
class Done {
 public:
  explicit Done(const Journal& journal) {
    for (const std::uint64_t id : std::views::reverse(journal.closed())) {
      auto entry = journal.read(id);
      if (!entry || !*entry || !is_done(journal, **entry)) continue;
      if ((*entry)->undoes != 0) undone_by_.emplace((*entry)->undoes, id);
      all_.push_back(**std::move(entry));
    }
  }
  [[nodiscard]] const std::vector<JournalEntry>& all() const { return all_; }
  /// 0: it still stands.
  [[nodiscard]] std::uint64_t undone_by(std::uint64_t id) const {
    const auto found = undone_by_.find(id);
    return found == undone_by_.end() ? 0 : found->second;
  }

 private:
  std::vector<JournalEntry> all_;
  std::map<std::uint64_t, std::uint64_t> undone_by_;
};

bool has_device(const JournalEntry& entry, const JournalDevice& of) {
  return std::ranges::any_of(entry.devices, [&](const JournalDevice& other) {
    return other.device == of.device && other.instance == of.instance;
  });
}

/// A later change that stands and has one of the devices, or settings, of `entry`: what was before
/// `entry` is not what that one began with. nullptr: there is none.
const JournalEntry* stands_upon(const Done& done, const JournalEntry& entry) {
  for (const JournalEntry& later : done.all()) {
    if (later.id <= entry.id) return nullptr;
    if (later.undoes != 0 || done.undone_by(later.id) != 0) continue;
    const bool same_device = std::ranges::any_of(
        entry.devices, [&](const JournalDevice& of) { return has_device(later, of); });
    const bool same_setting = std::ranges::any_of(entry.settings, [&](const Setting& setting) {
      return setting.lasting && std::ranges::find(later.settings, setting.path, &Setting::path) !=
                                    later.settings.end();
    });
    if (same_device || same_setting) return &later;
  }
  return nullptr;
}

Result<JournalEntry> numbered(const Journal& journal, std::uint64_t id) {
  const std::string name = std::to_string(id);
  if (std::ranges::find(journal.closed(), id) == journal.closed().end())
    return fail(no_transaction(name, "no such transaction has ended"));
  auto entry = TRY(journal.read(id));
  if (!entry || !is_done(journal, *entry))
    return fail(no_transaction(name, "it left nothing to take back"));
  const Done done(journal);
  Error refused{.kind = ErrorKind::kRefused, .operation = "undo", .object = name};
  if (entry->undoes != 0) {
    refused.why =
        fmt::format("it took {} back; to have that again, ask for it again", entry->undoes);
    refused.advice = Action::kHistory;
  } else if (const auto by = done.undone_by(id); by != 0) {
    refused.why = fmt::format("{} has taken it back already", by);
    refused.advice = Action::kHistory;
  } else if (const JournalEntry* later = stands_upon(done, *entry); later != nullptr) {
    refused.why =
        fmt::format("{} ({}) came later, and has the same devices", later->id, later->command);
    refused.advice = Remark("first: ") + Remark(Action::kUndo, {std::to_string(later->id)});
  } else {
    return *std::move(entry);
  }
  return fail(std::move(refused));
}

Result<JournalEntry> last(const Journal& journal) {
  const Done done(journal);
  for (const JournalEntry& entry : done.all()) {
    if (entry.undoes == 0 && done.undone_by(entry.id) == 0) return entry;
  }
  return fail(no_transaction("the last change", "there is none"));
}

}  // namespace

Result<JournalEntry> change_to_undo(const Journal& journal, std::optional<std::uint64_t> number) {
  return number ? numbered(journal, *number) : last(journal);
}

}  // namespace anybind
