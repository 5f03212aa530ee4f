// undo: takes a transaction of the journal back, as a transaction of its own.
#include <memory>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/text.h"
#include "base/try.h"
#include "cli/change.h"

namespace anybind::cli {
namespace {

Result<int> run_undo(Context& context, const ChangeOptions& options) {
  Request request = request_of(options);
  request.verb = Request::Verb::kUndo;
  if (!options.words.empty()) {
    request.change = parse_decimal(options.words[0]);
    if (!request.change) {
      return fail({.kind = ErrorKind::kUsage,
                   .object = options.words[0],
                   .why = "not a transaction number"});
    }
  }
  return carry_out(context, options, request);
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
