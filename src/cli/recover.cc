// recover: ends what was cut off.
#include "change/recover.h"

#include <memory>
#include <optional>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/try.h"
#include "cli/advice.h"
#include "cli/answer.h"
#include "cli/change.h"
#include "cli/narrator.h"
#include "cli/say.h"
#include "cli/signals.h"
#include "engine/engine.h"
#include "wire/history.h"

namespace anybind::cli {
namespace {

using What = Recovered::What;

std::string line_of(const Recovered& one) {
  std::string text = fmt::format("{}  {}", one.id, printable(one.command));
  const std::string devices = fmt::format("{} device{}", one.devices, one.devices == 1 ? "" : "s");
  const std::string gone =
      one.gone.empty() ? "" : "; gone meanwhile: " + printable(join_words(one.gone), 1024);
  switch (one.what) {
    case What::kNothingOwed:
      return text + ": nothing is owed (of another boot)";
    case What::kFinished:
      return text + ": finished, " + devices + " as asked" + gone;
    case What::kUndone:
      text += ": undone, " + devices + " as before" + gone;
      return one.error ? text + " (it could not be finished: " + one.error->message() + ")" : text;
    case What::kLeft:
      break;
  }
  return text + ": still open" + (one.error ? ": " + one.error->message() : "");
}

/// What `restore` knows is no matter of the devices, and so none of the exit code.
void warn_of_memory(const Context& context, const Recovery& ended) {
  if (context.verbosity < 0) return;
  const auto warn = [&](const Error& error, const std::string& next) {
    say(context.err, "anybind: warning: {}\n  {}\n", error.message(), printable(next, 1024));
  };
  if (ended.damage) {
    warn(*ended.damage, fmt::format("rm {}/origins.json: `restore` then goes by the default match",
                                    context.session.state_dir()));
  }
  for (const Recovered& one : ended.changes) {
    if (one.memory) warn(*one.memory, "free some space; what is remembered too much does no harm");
  }
}

/// The first that is left open, with what keeps the others open among its details.
std::optional<Error> what_is_left(const std::vector<Recovered>& all) {
  std::optional<Error> out;
  for (const Recovered& one : all) {
    if (one.what != What::kLeft) continue;
    if (!out) {
      out = one.error;
      continue;
    }
    out->details.emplace_back(fmt::format("change {}: {}", one.id, one.error->message()));
    for (const Remark& line : one.error->details) out->details.push_back("  " + line);
    if (one.error->advice != out->advice) out->details.push_back("  " + one.error->advice);
  }
  return out;
}

void print(const Context& context, const std::vector<Recovered>& all) {
  if (context.json) {
    answer(context, wire::to_json(all, text_of));
    return;
  }
  if (context.verbosity < 0) return;
  if (all.empty()) say(context.out, "nothing to recover\n");
  for (const Recovered& one : all) say(context.out, "{}\n", line_of(one));
}

Result<int> run_recover(Context& context, const ChangeOptions& options) {
  catch_signals();
  const auto ended = [&] {
    Narrator listener(context, "anybind: recover is not interrupted; it goes on to its end\n");
    return recover_changes(context.session.host(), request_of(options), listener);
  }();
  const Recovery all = TRY(ended);
  const auto kept = context.session.kept_after_change();
  try {
    print(context, all.changes);
    warn_of_memory(context, all);
  } catch (const std::exception&) {  // for want of memory
    put(context.err, "anybind: warning: there was no memory left to say what was done\n");
  }
  auto left = what_is_left(all.changes);
  if (left) return fail(*std::move(left));
  TRY(kept);
  return 0;
}

}  // namespace

Run setup_recover(CLI::App& app) {
  auto options = std::make_shared<ChangeOptions>();
  add_ignore(app, *options);
  add_timeout(app, *options);
  return [options](Context& context) { return run_recover(context, *options); };
}

}  // namespace anybind::cli
