// vfs: virtual functions, made without a host driver ever probing them, and given to a driver.
//
// Two transactions, as the functions have no name before they are there: one makes them, one binds
// them; when the second fails, a third removes them again.
#include <memory>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/text.h"
#include "base/try.h"
#include "binding/planner.h"
#include "binding/virtual_functions.h"
#include "cli/change.h"
#include "cli/model.h"
#include "inventory/select.h"
#include "inventory/unknown.h"

namespace anybind::cli {
namespace {

struct Options : ChangeOptions {
  std::string driver = "none";
};

struct Request {
  DeviceId pf;
  unsigned count = 0;
  DriverName driver;
};

Result<Request> parse(Context& context, const Options& options) {
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
  return Request{.pf = devices[0],
                 .count = static_cast<unsigned>(*count),
                 .driver = TRY(DriverName::parse(options.driver))};
}

Result<Plan> plan_functions(Sysfs& sysfs, const Request& request) {
  const auto functions = TRY(virtual_functions(sysfs, request.pf, request.count));
  if (request.driver.str() == "none") return plan_unbind(sysfs, functions);
  return plan_bind(sysfs, {.devices = functions, .driver = request.driver});
}

/// All of it, or what there was.
Result<std::vector<Outcome>> make(Sysfs& sysfs, const Request& request, Records records,
                                  Listener& listener, const RunOptions& options) {
  if (request.count != 0 && request.driver.str() != "none" &&
      !sysfs.open_dir(driver_path(request.pf.bus, request.driver))) {
    return fail(no_such_driver(sysfs, request.pf.bus, request.driver));
  }
  const Plan creation = TRY(plan_virtual_functions(sysfs, request.pf, request.count));
  if (!creation.empty()) TRY(run(sysfs, creation, records, listener, options));
  if (request.count == 0) return std::vector<Outcome>();
  const auto bound = [&]() -> Result<std::vector<Outcome>> {
    const Plan plan = TRY(plan_functions(sysfs, request));
    return run(sysfs, plan, records, listener, options);
  };
  auto outcomes = bound();
  if (outcomes || creation.empty() || outcomes.error().code == Code::kIncomplete) return outcomes;
  Error cause = std::move(outcomes).error();
  listener.on_rollback(cause, request.count);
  const auto removal = plan_virtual_functions(sysfs, request.pf, 0);
  const auto removed = removal ? run(sysfs, *removal, records, listener, options)
                               : Result<std::vector<Outcome>>(fail(removal.error()));
  if (!removed) {
    cause.code = Code::kIncomplete;
    cause.why += "; and they could not be removed again: " + removed.error().message();
    cause.next = fmt::format("anybind vfs {} 0", request.pf.str());
  }
  return fail(std::move(cause));
}

/// Who uses the functions that are to be removed.
Result<> check_functions(Context& context, const DeviceId& pf, const ChangeOptions& options) {
  const auto text = context.sysfs.read(pf.path() + "/sriov_numvfs");
  const auto count = text ? parse_decimal(trim_newline(*text), 0xFFFF) : std::nullopt;
  const auto functions =
      virtual_functions(context.sysfs, pf, static_cast<unsigned>(count.value_or(0)));
  return check_guards(context, functions.value_or(std::vector<DeviceId>{}), options);
}

Result<int> run_vfs(Context& context, const Options& options) {
  const Request request = TRY(parse(context, options));
  if (options.dry_run) {
    const auto model = TRY(context.session.model());
    const auto listener = script(context);
    const auto outcomes = make(model->sysfs(), request, nullptr, *listener, {});
    if (!outcomes) return fail(outcomes.error());
    if (!context.json) fmt::print(context.out, "# predicted:\n");
    print_outcomes(context, *outcomes);
    return 0;
  }
  catch_signals();
  Memory memory = TRY(lock_memory(context, options));
  if (request.count == 0) TRY(check_functions(context, request.pf, options));
  const auto listener = narrator(context, request.count);
  const auto outcomes = make(context.sysfs, request, {&memory.origins, &memory.journal}, *listener,
                             run_options(context, options));
  TRY(context.session.keep());
  if (!outcomes) return fail(outcomes.error());
  print_outcomes(context, *outcomes);
  return 0;
}

}  // namespace

Run setup_vfs(CLI::App& app) {
  auto options = std::make_shared<Options>();
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
