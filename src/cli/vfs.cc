// vfs: virtual functions, made without a host driver ever probing them, and given to a driver.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/text.h"
#include "base/try.h"
#include "cli/change.h"
#include "cli/choose.h"
#include "cli/persist.h"
#include "cli/say.h"

namespace anybind::cli {
namespace {

struct VfsOptions : ChangeOptions {
  std::vector<std::string> drivers;
  bool recreate = false;
};

Error not_functions(const std::string& word, const char* why) {
  return {.kind = ErrorKind::kUsage,
          .object = word,
          .why = why,
          .advice = "for instance --driver vfio-pci=0-3, or --driver vfio-pci=0,2,5"};
}

/// "0-3", "5": numbers below `count`.
Result<> add_share(const std::string& word, std::string_view range, const DriverName& driver,
                   Request& out) {
  const auto dash = range.find('-');
  const auto first = parse_decimal(range.substr(0, dash), UINT16_MAX);
  const auto last =
      dash == std::string_view::npos ? first : parse_decimal(range.substr(dash + 1), UINT16_MAX);
  if (!first || !last || *last < *first)
    return fail(not_functions(word, "not numbers of virtual functions"));
  for (std::uint64_t number = *first; number <= *last; ++number) {
    if (!out.function_drivers.emplace(static_cast<unsigned>(number), driver).second)
      return fail(not_functions(word, "one function is named twice"));
  }
  return {};
}

/// "vfio-pci", for all that no other word names, or "vfio-pci=0-3,7".
Result<> add_driver(const std::string& word, Request& out) {
  const auto equals = word.find('=');
  const DriverName driver = TRY(DriverName::parse(word.substr(0, equals)));
  if (equals == std::string::npos) {
    if (out.driver) return fail(not_functions(word, "there is a driver for all functions already"));
    out.driver = driver;
    return {};
  }
  std::string_view rest = std::string_view(word).substr(equals + 1);
  for (;;) {
    const auto comma = rest.find(',');
    TRY(add_share(word, rest.substr(0, comma), driver, out));
    if (comma == std::string_view::npos) return {};
    rest.remove_prefix(comma + 1);
  }
}

Result<unsigned> count_of(const VfsOptions& options) {
  const auto count = parse_decimal(options.words[1], UINT16_MAX);
  if (count) return static_cast<unsigned>(*count);
  const bool is_turned = parse_decimal(options.words[0]).has_value();
  return fail({.kind = ErrorKind::kUsage,
               .object = options.words[1],
               .why = "not a number of virtual functions",
               .advice = fmt::format("anybind vfs {}", is_turned ? shell_quote(options.words[1]) +
                                                                       " " + options.words[0]
                                                                 : "PF 8, for instance")});
}

Result<Request> parse(Context& context, const VfsOptions& options) {
  const unsigned count = TRY(count_of(options));
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
  out.count = count;
  out.owner = options.owner;
  for (const std::string& word : options.drivers) TRY(add_driver(word, out));
  if (!out.driver) out.driver = DriverName::literal("none");
  if (options.persist && (!out.owner.empty() || !out.function_drivers.empty())) {
    return fail({.kind = ErrorKind::kUsage,
                 .why = "--persist writes one driver for all functions, and no owner",
                 .advice = "write a rule of your own, with functions and owner: anybind.d(5)"});
  }
  return out;
}

/// What is tried out is the first of two changes.
Result<int> try_removal(Context& context, const VfsOptions& options, const Request& none,
                        unsigned count) {
  const int code = TRY(carry_out(context, options, none));
  if (!context.json)
    say(context.out, "# then, once none is there: anybind vfs {} {}\n", options.words[0], count);
  return code;
}

Result<int> run_vfs(Context& context, const VfsOptions& options) {
  Wanted wanted{.request = TRY(parse(context, options)), .recreate = options.recreate};
  if (options.dry_run) {
    const auto none = TRY(removal_before(context.session.host(), wanted));
    if (none) return try_removal(context, options, *none, wanted.request.count);
  }
  return carry_out_for_good(context, options, std::move(wanted));
}

}  // namespace

Run setup_vfs(CLI::App& app) {
  auto options = std::make_shared<VfsOptions>();
  app.add_option("pf_count", options->words, "a physical function, and how many; 0 removes them")
      ->required()
      ->expected(2);
  app.add_option("--driver", options->drivers,
                 "the driver that they go to; else none, kept so; with =NUMBERS (0-3, or 0,2,5) "
                 "those of these numbers, from 0; repeated for several drivers")
      ->type_name("D[=NUMBERS]")
      ->allow_extra_args(false);
  app.add_option("--owner", options->owner,
                 "give the /dev/vfio nodes to this user, and with :GROUP to this group")
      ->type_name("USER[:GROUP]");
  app.add_flag("--recreate", options->recreate,
               "where another number is there, remove those first: two changes, of which the first "
               "is taken back when the second fails");
  app.add_flag("--dry-run", options->dry_run,
               "print the plan as shell lines and the predicted result");
  add_persist(app, *options, "also write a rule, which holds after a boot; 0 removes it");
  add_ignore(app, *options);
  add_timeout(app, *options);
  return [options](Context& context) { return run_vfs(context, *options); };
}

}  // namespace anybind::cli
