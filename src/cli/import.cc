// import, kernel-args: the declared state from and to the words of others.
#include <memory>
#include <string>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/try.h"
#include "cli/answer.h"
#include "cli/change.h"
#include "cli/narrator.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/spec_source.h"
#include "policy/foreign_rules.h"

namespace anybind::cli {
namespace {

ForeignRules foreign_named(const std::string& word) {
  if (word == "driverctl") return ForeignRules::kDriverctl;
  return word == "modprobe" ? ForeignRules::kModprobe : ForeignRules::kProxmox;
}

Result<int> run_import(Context& context, const std::string& from) {
  const std::string text = TRY(import_rules(context.session.host(), foreign_named(from)));
  if (context.json) {
    answer(context, {{"toml", text}});
  } else {
    put(context.out, text);
  }
  return 0;
}

Result<int> run_kernel_args(Context& context, const std::vector<std::string>& specs) {
  const Spec spec = TRY(load_spec(context, specs));
  const KernelArguments arguments = TRY(kernel_arguments(context.session.host(), spec));
  for (const std::string& warning : arguments.warnings) print_warning(context, warning);
  if (context.json) {
    answer(context, {{"parameter", arguments.parameter}, {"warnings", arguments.warnings}});
  } else if (!arguments.parameter.empty()) {
    say(context.out, "{}\n", arguments.parameter);
  } else if (context.verbosity >= 0) {
    say(context.err, "no rule gives a device that is there to vfio-pci\n");
  }
  return 0;
}

}  // namespace

Run setup_import(CLI::App& app) {
  auto from = std::make_shared<std::string>();
  auto* option = app.add_option("from", *from, "driverctl, modprobe or proxmox")->required();
  allow_only(*option, {"driverctl", "modprobe", "proxmox"}, "source of rules");
  return [from](Context& context) { return run_import(context, *from); };
}

Run setup_kernel_args(CLI::App& app) {
  auto specs = std::make_shared<std::vector<std::string>>();
  add_spec(app, *specs);
  return [specs](Context& context) { return run_kernel_args(context, *specs); };
}

}  // namespace anybind::cli
