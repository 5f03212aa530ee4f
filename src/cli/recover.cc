// recover: ends what was cut off.
#include "binding/recover.h"

#include <memory>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/try.h"
#include "cli/change.h"
#include "cli/say.h"

namespace anybind::cli {
namespace {

using What = Recovered::What;

const char* word_of(What what) {
  switch (what) {
    case What::kNothingOwed:
      return "void";
    case What::kFinished:
      return "finished";
    case What::kUndone:
      return "undone";
    case What::kLeft:
      break;
  }
  return "left";
}

std::string line_of(const Recovered& one) {
  std::string text = fmt::format("{}  {}", one.id, printable(one.command));
  const std::string devices = fmt::format("{} device{}", one.devices, one.devices == 1 ? "" : "s");
  const std::string gone = one.gone.empty() ? "" : "; gone meanwhile: " + join_words(one.gone);
  switch (one.what) {
    case What::kNothingOwed:
      return text + ": nothing is owed (another boot, or nothing was begun)";
    case What::kFinished:
      return text + ": finished, " + devices + " as asked" + gone;
    case What::kUndone:
      text += ": undone, " + devices + " as before" + gone;
      return one.error ? text + " (it could not be finished: " + one.error->message() + ")" : text;
    case What::kLeft:
      break;
  }
  return text + ": still open";
}

void print(const Context& context, const std::vector<Recovered>& all) {
  if (context.json) {
    nlohmann::json rows = nlohmann::json::array();
    for (const Recovered& one : all) {
      rows.push_back(
          {{"id", one.id},
           {"command", one.command},
           {"result", word_of(one.what)},
           {"devices", one.devices},
           {"gone", one.gone},
           {"error", one.error ? nlohmann::json(one.error->message()) : nlohmann::json(nullptr)}});
    }
    const auto text = rows.dump(2, ' ', true, nlohmann::json::error_handler_t::replace);
    say(context.out, "{}\n", text);
    return;
  }
  if (context.verbosity < 0) return;
  if (all.empty()) say(context.out, "nothing to recover\n");
  for (const Recovered& one : all) say(context.out, "{}\n", line_of(one));
}

Result<int> run_recover(Context& context, const ChangeOptions& options) {
  catch_signals();
  Memory memory = TRY(lock_memory(context, options));
  const auto listener = narrator(context, memory.journal.open().size(),
                                 "anybind: recover is not interrupted; it goes on to its end\n");
  const auto all = recover(context.sysfs, {&memory.origins, &memory.journal}, *listener,
                           run_options(context, options));
  TRY(context.session.keep());
  try {
    print(context, all);
  } catch (const std::exception&) {  // for want of memory
    put(context.err, "anybind: warning: there was no memory left to say what was done\n");
  }
  context.answered = true;
  for (const Recovered& one : all) {
    if (one.what == What::kLeft) return fail(*one.error);
  }
  return 0;
}

}  // namespace

Run setup_recover(CLI::App& app) {
  auto options = std::make_shared<ChangeOptions>();
  add_timeout(app, *options);
  return [options](Context& context) { return run_recover(context, *options); };
}

}  // namespace anybind::cli
