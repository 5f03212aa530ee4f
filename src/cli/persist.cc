// --persist: a change that outlives the boot, by rules of the declared state. They are written
// before the change: a full or read-only /etc is then told while nothing has happened yet. When the
// change fails they become what they were, and when this process is killed in between, `status`
// tells of a rule that is not met.
#include "cli/persist.h"

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/text.h"
#include "base/try.h"
#include "cli/early.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/spec_source.h"
#include "policy/own_rules.h"

namespace anybind::cli {
namespace {

void tell_rules(const Context& context, const std::vector<OwnRule>& rules,
                const WrittenRules& written, const std::string& folder) {
  if (context.verbosity < 0 || context.json) return;
  for (const OwnRule& rule : rules) {
    const std::string device = printable(rule.device.str());
    if (!rule.text.empty()) {
      say(context.out, "{}  its rule is {}/{}\n", device, folder, rule.file);
    } else if (written.was_there(rule.file)) {
      say(context.out, "{}  its rule is removed: {}/{}\n", device, folder, rule.file);
    } else if (rule.file == own_rule_file(rule.device)) {
      say(context.out, "{}  no rule of it was there\n", device);
    }
  }
}

void tell_left_behind(const Context& context, const Error& error) {
  say(context.err, "anybind: warning: a rule could not be put back: {}\n  anybind rules\n",
      error.message());
}

}  // namespace

void add_persist(CLI::App& app, ChangeOptions& options, const char* what) {
  app.add_flag("--persist", options.persist, what);
  app.add_option("--rules", options.rules, "where --persist writes, in place of /etc/anybind.d")
      ->type_name("DIR");
}

Result<int> carry_out_for_good(Context& context, const ChangeOptions& options,
                               const Request& request) {
  if (!options.persist && !options.rules.empty())
    return fail({.kind = ErrorKind::kUsage, .why = "--rules goes with --persist"});
  if (!options.persist) return carry_out(context, options, request);
  const Host& host = context.session.host();
  const RuleFolder folder = TRY(open_rules(context, options.rules));
  const auto rules = TRY(own_rules_of(host, request, folder.there));
  TRY(check_own_rules(host, request, folder.there, rules));
  if (options.dry_run) {
    const auto code = TRY(carry_out(context, options, request));
    if (!context.json) {
      for (const OwnRule& rule : rules)
        say(context.out, "# {} {}/{}\n", rule.text.empty() ? "then remove" : "then write",
            folder.there.folder, rule.file);
    }
    return code;
  }
  auto written = TRY(WrittenRules::write(*folder.storage, rules));
  auto code = carry_out(context, options, request);
  if (code) {
    tell_rules(context, rules, written, folder.there.folder);
    if (options.rules.empty()) keep_list(context);
    return code;
  }
  if (const auto back = written.take_back(); !back) tell_left_behind(context, back.error());
  return code;
}

}  // namespace anybind::cli
