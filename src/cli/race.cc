// anybind race: the table of mechanisms against scenarios, and one run told.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <memory>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/try.h"
#include "cli/answer.h"
#include "cli/say.h"
#include "cli/table.h"
#include "cli/verb.h"
#include "race/page.h"
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

std::string in_lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

/// Whether `word` stands in `text`, as a word and in whatever case.
bool has_word(std::string_view text, std::string_view word) {
  const std::string lower = in_lower_case(text);
  const std::string wanted = in_lower_case(word);
  const auto ends_word = [](char c) {
    return !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '-';
  };
  for (auto at = lower.find(wanted); at != std::string::npos; at = lower.find(wanted, at + 1)) {
    const auto end = at + wanted.size();
    if ((at == 0 || ends_word(lower[at - 1])) && (end == lower.size() || ends_word(lower[end])))
      return true;
  }
  return false;
}

/// What stands over a column is a name of it too.
bool is_called(const race::Scenario& scenario, std::string_view name) {
  return scenario.name == name || scenario.head == name;
}
bool is_called(const race::Mechanism& mechanism, std::string_view name) {
  return mechanism.name == name;
}

/// Where a word may stand by which somebody means it: no columns.
std::string_view tools_of(const race::Mechanism& mechanism) {
  return mechanism.summary;
}
std::string_view tools_of(const race::Scenario& /*scenario*/) {
  return "";
}

/// The rows of these names in the order of `all`; all for no name. What is no name is a word of
/// what rows mean: a tool (driverctl, SPDK), a file of the kernel (driver_override).
template <class Row>
Result<std::vector<const Row*>> chosen(std::span<const Row> all,
                                       const std::vector<std::string>& names,
                                       const std::string& what) {
  std::set<std::string_view> wanted;
  for (const std::string& name : names) {
    bool found = false;
    const auto take = [&](const Row& row, bool meant) {
      found = found || meant;
      if (meant) wanted.insert(row.name);
    };
    for (const Row& row : all) take(row, is_called(row, name));
    const bool is_word = !found && name.size() > 2;
    for (const Row& row : all) take(row, is_word && has_word(tools_of(row), name));
    if (found) continue;
    std::vector<std::string> known;
    for (const Row& row : all) known.emplace_back(row.name);
    const auto near = nearest(name, known);
    return fail({.kind = ErrorKind::kUsage,
                 .object = printable(name),
                 .why = "no such " + what,
                 .advice = near.empty() ? "there are " + join_words(known)
                                        : "did you mean " + join_words(near, "or") + "?"});
  }
  std::vector<const Row*> out;
  for (const Row& row : all) {
    if (names.empty() || wanted.contains(row.name)) out.push_back(&row);
  }
  return out;
}

/// Of a tool that has several rows one may need what this kernel does not have.
bool names_row(const std::vector<std::string>& names, const race::Mechanism& mechanism) {
  return std::ranges::find(names, mechanism.name) != names.end();
}

Style style_of(race::Verdict verdict) {
  switch (verdict) {
    case race::Verdict::kSafe:
      return Style::kGood;
    case race::Verdict::kMended:
      return Style::kNotable;
    case race::Verdict::kBroken:
      return Style::kBad;
    case race::Verdict::kUntested:
      break;
  }
  return Style::kDim;
}

race::TableForm form_of(const Context& context) {
  race::TableForm out{.width = context.width, .all_tokens = context.verbosity > 0};
  if (context.color) {
    out.paint = [](std::string_view text, race::Verdict verdict) {
      return styled(text, style_of(verdict), true);
    };
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
    if (!names_row(options.mechanisms, *mechanism) || race::profile_of(*mechanism, kernel))
      continue;
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
    const std::string page = TRY(race::html_of(
        table, {.version = "anybind " ANYBIND_VERSION, .date = time_text(std::time(nullptr))}));
    TRY(write_file(options.html, page));
  }
  if (context.json) {
    answer(context, race::json_of(table));
    return 0;
  }
  put(context.out, race::text_of(table, form_of(context)));
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
  app.add_option(
         "--mechanism", options->mechanisms,
         "only these rows, also by a tool (driverctl) or a file (new_id); several with commas")
      ->type_name("M")
      ->allow_extra_args(false)
      ->delimiter(',');
  app.add_option("--scenario", options->scenarios,
                 "only these columns, by name or head; several with commas")
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
