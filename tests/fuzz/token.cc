// Tokens of the explorer: any text, and those of runs that were really taken, which must tell the
// same run. "TEXT" is a token as it is typed; "!m s v STEPS" chooses by number a mechanism, up to
// two scenarios and a setting, and at each step the actor.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <nlohmann/json.hpp>

#include "oracle.h"
#include "race/cell.h"
#include "race/report.h"

namespace {

using namespace anybind;
using namespace anybind::race;

constexpr std::size_t kMostSteps = 400;

void look_at(const Story& story, const std::string& token) {
  fuzz::require(fuzz::is_plain(text_of(story)), "a story that is no plain text", token);
  fuzz::require(fuzz::is_plain(script_of(story, token)), "a script that is no plain text", token);
  fuzz::require(!json_of(story, token).dump().empty(), "no JSON", token);
}

void typed(const std::string& token) {
  const auto story = replay(token);
  if (story) return look_at(*story, token);
  fuzz::require(story.error().kind == ErrorKind::kUsage, "not a usage error", token);
  fuzz::require_printable(story.error().message(), "a message that is not printable");
}

/// nullopt: the run was over before.
Schedule take_run(const Setting& setting, std::string_view choices) {
  Schedule out;
  const auto begin = begin_of(setting);
  fuzz::require(begin.has_value(), "a setting without a machine");
  const auto run = (*begin)();
  for (const char choice : choices.substr(0, kMostSteps)) {
    const auto enabled = run->enabled();
    if (enabled.empty()) break;
    const unsigned actor = enabled[static_cast<unsigned char>(choice) % enabled.size()];
    run->advance(actor);
    out.push_back(actor);
  }
  return out;
}

template <class Row>
const Row* pick(std::span<const Row> rows, std::uint64_t number) {
  return &rows[number % rows.size()];
}

void made(std::string_view text) {
  const Mechanism* mechanism = pick(mechanisms(), fuzz::take_number(text, 1000));
  const auto number = fuzz::take_number(text, 10'000);
  std::vector<const Scenario*> with = {pick(scenarios(), number % 100)};
  if (number >= 100) with.push_back(pick(scenarios(), number / 100));
  static constexpr std::array kKernels = {kUsualKernel, drivercore::kNewestKernel,
                                          drivercore::kOldestKernel};
  const auto which = fuzz::take_number(text, 3000);
  const Question question{.mechanism = mechanism,
                          .scenarios = with,
                          .kernel = kKernels.at(which / 1000 % kKernels.size())};
  if (!profile_of(*mechanism, question.kernel)) return;
  const auto settings = settings_of(question);
  const std::size_t at = which % 1000 % settings.size();
  const Schedule schedule = take_run(settings[at], text);
  const std::string token = token_of({.of = question}, at, schedule);
  const auto story = replay(token);
  fuzz::require(story.has_value() || schedule.empty(), "a run that was taken is not told", token);
  if (!story) return;
  fuzz::require(story->steps == schedule.size(), "another number of steps", token);
  look_at(*story, token);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text = fuzz::as_text(data, size);
  if (text.starts_with('!')) {
    made(text.substr(1));
  } else {
    typed(std::string(text.substr(0, 4096)));
  }
  return 0;
}
