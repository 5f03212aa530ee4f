// vfs: virtual functions, made without a host driver ever probing them, and given to a driver.
#include <memory>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/text.h"
#include "base/try.h"
#include "cli/change.h"
#include "cli/choose.h"
#include "cli/persist.h"

namespace anybind::cli {
namespace {

struct VfsOptions : ChangeOptions {
  std::string driver = "none";
};

Result<Request> parse(Context& context, const VfsOptions& options) {
  const auto count = parse_decimal(options.words[1]);
  if (!count || *count > 0xFFFF) {
    return fail({.kind = ErrorKind::kUsage,
                 .object = options.words[1],
                 .why = "not a number of virtual functions",
                 .advice = "anybind vfs PF 8, for instance"});
  }
  const auto devices = TRY(choose(context, {options.words[0]})).devices;
  if (devices.size() != 1) {
    return fail(
        {.kind = ErrorKind::kUsage,
         .object = options.words[0],
         .why = fmt::format("means {} devices; one physical function is wanted", devices.size())});
  }
  Request out = request_of(options);
  out.verb = Request::Verb::kMakeFunctions;
  out.devices = devices;
  out.count = static_cast<unsigned>(*count);
  out.driver = TRY(DriverName::parse(options.driver));
  return out;
}

Result<int> run_vfs(Context& context, const VfsOptions& options) {
  return carry_out_for_good(context, options, TRY(parse(context, options)));
}

}  // namespace

Run setup_vfs(CLI::App& app) {
  auto options = std::make_shared<VfsOptions>();
  app.add_option("pf_count", options->words, "a physical function, and how many; 0 removes them")
      ->required()
      ->expected(2);
  app.add_option("--driver", options->driver, "the driver that they go to; else none, kept so")
      ->type_name("D");
  app.add_flag("--dry-run", options->dry_run,
               "print the plan as shell lines and the predicted result");
  add_persist(app, *options, "also write a rule, which holds after a boot; 0 removes it");
  add_ignore(app, *options);
  add_timeout(app, *options);
  return [options](Context& context) { return run_vfs(context, *options); };
}

}  // namespace anybind::cli
