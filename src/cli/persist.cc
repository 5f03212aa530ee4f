// --persist: a change that outlives the boot, by rules of the declared state. They are written
// before the change: a full or read-only /etc is then told while nothing has happened yet. When the
// change fails they become what they were, and when this process is killed in between, `status`
// tells of a rule that is not met.
#include "cli/persist.h"

#include <algorithm>

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
#include "policy/lasting.h"

namespace anybind::cli {
namespace {

void tell_rules(const Context& context, const std::vector<OwnRule>& rules, const RuleFiles& there) {
  if (context.verbosity < 0 || context.json) return;
  for (const OwnRule& rule : rules) {
    const std::string device = printable(rule.device.str());
    const std::string path = there.folder + "/" + rule.file;
    if (!rule.text.empty()) {
      say(context.out, "{}  its rule is {}\n", device, path);
    } else if (std::ranges::find(there.files, path, &SpecFile::name) != there.files.end()) {
      say(context.out, "{}  its rule is removed: {}\n", device, path);
    } else if (rule.file == own_rule_file(rule.device)) {
      say(context.out, "{}  no rule of it was there\n", device);
    }
  }
}

}  // namespace

void add_persist(CLI::App& app, ChangeOptions& options, const char* what) {
  app.add_flag("--persist", options.persist, what);
  app.add_option("--rules", options.rules, "where --persist writes, in place of /etc/anybind.d")
      ->type_name("DIR");
}

Result<int> carry_out_for_good(Context& context, const ChangeOptions& options, Wanted wanted) {
  if (!options.persist && !options.rules.empty())
    return fail({.kind = ErrorKind::kUsage, .why = "--rules goes with --persist"});
  wanted.persist = options.persist;
  if (!options.persist) return carry_out(context, options, wanted);
  const Host& host = context.session.host();
  const bool may_be_served = context.may_ask_service && options.rules.empty() && !options.dry_run;
  const auto folder = open_rule_folder(host, options.rules);
  if (!folder && !may_be_served) return fail(folder.error());
  auto rules =
      folder ? lasting_rules(host, wanted.request, folder->there) : Result<std::vector<OwnRule>>();
  if (!rules && !may_be_served) return fail(std::move(rules).error());
  const int code = TRY(carry_out(context, options, wanted));
  if (options.dry_run) {
    if (context.json) return code;
    for (const OwnRule& rule : *rules)
      say(context.out, "# {} {}/{}\n", rule.text.empty() ? "then remove" : "then write",
          folder->there.folder, rule.file);
    return code;
  }
  if (folder && rules) tell_rules(context, *rules, folder->there);
  if (options.rules.empty() && host.is_root) keep_list(context);  // else the service keeps it
  return code;
}

}  // namespace anybind::cli
