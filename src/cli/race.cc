// anybind race: the table of mechanisms against scenarios, and one run told.
#include <CLI/CLI.hpp>

#include <fstream>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/try.h"
#include "cli/answer.h"
#include "cli/say.h"
#include "cli/verb.h"
#include "race/report.h"

namespace anybind::cli {
namespace {

struct RaceOptions {
  std::vector<std::string> words;
  std::vector<std::string> mechanisms;
  std::vector<std::string> scenarios;
  bool pairs = false;
  bool script = false;
  std::string kernel;
  std::string html;
  std::uint64_t random = 0;
  std::uint64_t seed = 1;
};

/// The rows of these names in the order of `all`; all for no name.
template <class Row>
Result<std::vector<const Row*>> chosen(std::span<const Row> all,
                                       const std::vector<std::string>& names,
                                       const std::string& what) {
  std::vector<std::string> known;
  for (const Row& row : all) known.emplace_back(row.name);
  for (const std::string& name : names) {
    if (std::ranges::find(known, name) != known.end()) continue;
    return fail({.kind = ErrorKind::kUsage,
                 .object = printable(name),
                 .why = "no such " + what,
                 .advice = "there are " + join_words(known)});
  }
  std::vector<const Row*> out;
  for (const Row& row : all) {
    if (names.empty() || std::ranges::find(names, row.name) != names.end()) out.push_back(&row);
  }
  return out;
}

Result<> write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (file) return {};
  return fail({.kind = ErrorKind::kFailed,
               .operation = "write",
               .object = path,
               .why = "it cannot be written"});
}

Result<int> run_replay(Context& context, const RaceOptions& options) {
  if (!options.kernel.empty())
    return fail({.kind = ErrorKind::kUsage,
                 .why = "replay takes no --kernel",
                 .advice = "the token says which: NUMBER@KERNEL"});
  if (options.words.size() != 2) {
    return fail({.kind = ErrorKind::kUsage,
                 .why = "replay takes one token",
                 .advice = "anybind race replay TOKEN"});
  }
  const std::string& token = options.words[1];
  const race::Story story = TRY(race::replay(token));
  if (context.json) {
    answer(context, race::json_of(story, token));
  } else {
    put(context.out, options.script ? race::script_of(story, token) : race::text_of(story));
  }
  return 0;
}

Result<KernelVersion> chosen_kernel(const std::string& text) {
  if (text.empty()) return race::kUsualKernel;
  constexpr std::string_view kLinux = "linux-";
  const auto profile =
      drivercore::find_profile(text.starts_with(kLinux) ? text : std::string(kLinux) + text);
  // Not a proposal: "linux-" is before it.
  if (profile) return profile->version;
  return fail({.kind = ErrorKind::kUsage,
               .object = printable(text),
               .why = "no such kernel",
               .advice = fmt::format("X.Y from {} to {}", drivercore::kOldestKernel.str(),
                                     drivercore::kNewestKernel.str())});
}

Result<int> run_table(Context& context, const RaceOptions& options) {
  const KernelVersion kernel = TRY(chosen_kernel(options.kernel));
  const auto mechanisms = TRY(chosen(race::mechanisms(), options.mechanisms, "mechanism"));
  const auto scenarios = TRY(chosen(race::scenarios(), options.scenarios, "scenario"));
  for (const race::Mechanism* mechanism : mechanisms) {
    if (options.mechanisms.empty() || race::profile_of(*mechanism, kernel)) continue;
    return fail({.kind = ErrorKind::kUsage,
                 .object = std::string(mechanism->name),
                 .why = fmt::format("Linux {} does not have what it needs", kernel.str())});
  }
  const race::Table table =
      TRY(race::make_table({.mechanisms = mechanisms,
                            .scenarios = scenarios,
                            .kernel = kernel,
                            .pairs = options.pairs,
                            .cell = {.random = options.random, .seed = options.seed},
                            .threads = context.threads}));
  if (!options.html.empty()) {
    const std::string page = TRY(race::html_of(table));
    TRY(write_file(options.html, page));
  }
  if (context.json) {
    answer(context, race::json_of(table));
    return 0;
  }
  std::string text = race::text_of(table);
  if (context.verbosity > 0) {
    for (const auto& cell : table.cells) {
      if (const auto worst = cell.worst()) {
        text += fmt::format("\n{}\n", cell.broken.at(*worst).token);
      }
    }
  }
  put(context.out, text);
  return 0;
}

Result<int> run_race(Context& context, const RaceOptions& options) {
  if (options.words.empty()) return run_table(context, options);
  if (options.words[0] == "replay") return run_replay(context, options);
  return fail({.kind = ErrorKind::kUsage,
               .object = printable(options.words[0]),
               .why = "race takes options, or replay and a token",
               .advice = "anybind race --help"});
}

}  // namespace

Run setup_race(CLI::App& app) {
  auto options = std::make_shared<RaceOptions>();
  app.add_option("replay", options->words, "replay TOKEN: tell one run")->expected(0, 2);
  app.add_option("--mechanism", options->mechanisms, "only these rows; several with commas")
      ->type_name("M")
      ->allow_extra_args(false)
      ->delimiter(',');
  app.add_option("--scenario", options->scenarios, "only these columns; several with commas")
      ->type_name("S")
      ->allow_extra_args(false)
      ->delimiter(',');
  app.add_option("--kernel", options->kernel,
                 fmt::format("which Linux, X.Y from {} to {}; {} where none is named",
                             drivercore::kOldestKernel.str(), drivercore::kNewestKernel.str(),
                             race::kUsualKernel.str()))
      ->type_name("X.Y");
  app.add_flag("--pairs", options->pairs, "two scenarios at once, where both are survived singly");
  app.add_flag("--script", options->script, "replay: as a shell script");
  app.add_option("--html", options->html, "also write a page with all counterexamples")
      ->type_name("FILE");
  app.add_option("--random", options->random, "so many orderings by chance, in place of all")
      ->type_name("N")
      ->check(CLI::Validator(CLI::Range(1, 100'000'000)).description(""));
  app.add_option("--seed", options->seed, "of --random")->type_name("N");
  return [options](Context& context) { return run_race(context, *options); };
}

}  // namespace anybind::cli
