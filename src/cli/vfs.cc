// vfs: virtual functions, made without a host driver ever probing them, and given to a driver.
#include <memory>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/text.h"
#include "base/try.h"
#include "binding/virtual_functions.h"
#include "cli/change.h"
#include "inventory/select.h"

namespace anybind::cli {
namespace {

struct VfsOptions : ChangeOptions {
  std::string driver = "none";
};

Result<NewFunctions> parse(Context& context, const VfsOptions& options) {
  const auto count = parse_decimal(options.words[1]);
  if (!count || *count > 0xFFFF) {
    return fail({.code = Code::kUsage,
                 .object = options.words[1],
                 .why = "not a number of virtual functions",
                 .next = "anybind vfs PF 8, for instance"});
  }
  const auto devices =
      TRY(select_devices_unchecked(context.sysfs, {options.words[0]}, context.sysfs_root));
  if (devices.size() != 1) {
    return fail(
        {.code = Code::kUsage,
         .object = options.words[0],
         .why = fmt::format("means {} devices; one physical function is wanted", devices.size())});
  }
  return NewFunctions{.pf = devices[0],
                      .count = static_cast<unsigned>(*count),
                      .driver = TRY(DriverName::parse(options.driver)),
                      .rule = context.session.group_rule()};
}

Result<int> run_vfs(Context& context, const VfsOptions& options) {
  const NewFunctions request = TRY(parse(context, options));
  return plan_and_run(context, options, {.plan = [&](Sysfs& sysfs, const Memory&) {
                        return plan_virtual_functions(sysfs, request, context.session.modules());
                      }});
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
  add_ignore(app, *options);
  add_timeout(app, *options);
  return [options](Context& context) { return run_vfs(context, *options); };
}

}  // namespace anybind::cli
