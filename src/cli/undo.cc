// undo: takes a transaction of the journal back, as a transaction of its own.
#include <algorithm>
#include <memory>
#include <ranges>
#include <set>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/text.h"
#include "base/try.h"
#include "cli/change.h"

namespace anybind::cli {
namespace {

Error no_transaction(const std::string& which, std::string why) {
  return {.code = Code::kNotFound,
          .operation = "undo",
          .object = which,
          .why = std::move(why),
          .next = "anybind history"};
}

/// Was done in this boot.
bool is_done(const Journal& journal, const JournalEntry& entry) {
  return entry.boot == journal.boot_id() && entry.ending == Ending::kDone;
}

Result<JournalEntry> named(const Journal& journal, const std::string& word) {
  const auto id = parse_decimal(word);
  if (!id) return fail({.code = Code::kUsage, .object = word, .why = "not a transaction number"});
  if (std::ranges::find(journal.closed(), *id) == journal.closed().end()) {
    return fail(no_transaction(word, "no such transaction has ended"));
  }
  auto entry = TRY(journal.read(*id));
  if (!entry || !is_done(journal, *entry)) {
    return fail(no_transaction(word, "it left nothing to take back"));
  }
  return *std::move(entry);
}

/// The newest that was done, is no undo itself and has not been undone.
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

Result<int> run_undo(Context& context, const ChangeOptions& options) {
  const auto plan = [&](Sysfs& sysfs, const Memory& memory) -> Result<Plan> {
    const auto entry =
        TRY(options.words.empty() ? last(memory.journal) : named(memory.journal, options.words[0]));
    Plan out = TRY(plan_undo(sysfs, entry, context.session.modules()));
    out.notes.insert(out.notes.begin(), fmt::format("undo {}: {}", entry.id, entry.command));
    return out;
  };
  return plan_and_run(context, options, {.plan = plan, .needs_memory = true});
}

}  // namespace

Run setup_undo(CLI::App& app) {
  auto options = std::make_shared<ChangeOptions>();
  app.add_option("id", options->words, "a number from anybind history")->expected(0, 1);
  app.add_flag("--dry-run", options->dry_run,
               "print the plan as shell lines and the predicted result");
  add_ignore(app, *options);
  add_timeout(app, *options);
  return [options](Context& context) { return run_undo(context, *options); };
}

}  // namespace anybind::cli
