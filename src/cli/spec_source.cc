#include "cli/spec_source.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/try.h"
#include "cli/session.h"
#include "policy/named_specs.h"

namespace anybind::cli {
namespace {

Error no_rules_here() {
  return {.kind = ErrorKind::kUsage,
          .why = "a lab or a made-up tree has no rules of its own",
          .advice = "name a file of rules, or a directory of them"};
}

}  // namespace

Result<Spec> load_spec(const Context& context, const std::vector<std::string>& words) {
  const Host& host = context.session.host();
  if (!words.empty()) return parse_spec(TRY(read_named_specs(words)));
  if (host.rules_dir.empty()) return fail(no_rules_here());
  return read_rules(host.files);
}

void add_spec(CLI::App& app, std::vector<std::string>& words) {
  app.add_option("spec", words, "files of rules, or directories; else those of this machine");
}

}  // namespace anybind::cli
