// conformance --seed S --operations N [--round R] [--tell] [--physical PF]... [--virtual VF]...
//   [--card "SLOT QEMU-DEVICE..."]... ADDRESS...
//
// Does one random operation after another to the kernel of a throw-away guest and to a model
// captured from it, and compares after each. On a difference the sequence is shrunk, by doing parts
// of it again from the start on both, and printed as a shell script. Says "ok - " or "not ok - ".
// With --tell each operation is printed before it is done, for when the guest does not survive it.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <ranges>
#include <string_view>
#include <thread>

#include <fmt/format.h>

#include "twin.h"

namespace anybind::conformance {
namespace {

using namespace std::chrono_literals;

struct Options {
  std::uint64_t seed = 1;
  std::size_t operations = 1000;
  std::size_t round = 500;
  bool tells = false;
  Targets targets;
};

struct Difference {
  std::size_t at = 0;  ///< which operation made it; 0-based
  std::string what;
};

/// How often which answer came, to show that the dangers were really met.
using Answers = std::map<std::string, std::size_t>;

/// What is counted: answers of the kernel's files; what else is done has its name before it.
std::string counted(const Operation& operation, const std::string& answer) {
  switch (operation.kind) {
    case Operation::Kind::kHold:
      return (operation.path.empty() ? "let go " : "hold ") + answer;
    case Operation::Kind::kPlug:
      return "plug " + answer;
    case Operation::Kind::kUnplug:
      return "unplug " + answer;
    default:
      return answer;
  }
}

std::string compare(const Snapshot& real, const Snapshot& model) {
  std::string out;
  const auto say = [&](const std::string& what, const std::string& a, const std::string& b) {
    out += fmt::format("  {}\n    kernel: {}\n    model:  {}\n", what, a, b);
  };
  for (const auto& [what, value] : real) {
    const auto found = model.find(what);
    if (found == model.end())
      say(what, value, "(not there)");
    else if (found->second != value)
      say(what, value, found->second);
  }
  for (const auto& [what, value] : model) {
    if (!real.contains(what)) say(what, "(not there)", value);
  }
  return out;
}

/// Sorted by device, each device's in its order.
std::map<std::string, std::vector<std::string>> by_device(const std::vector<std::string>& lines) {
  std::map<std::string, std::vector<std::string>> out;
  for (const std::string& line : lines) {
    const auto at = line.find('@');
    out[line.substr(at, line.find(' ') - at)].push_back(line);
  }
  return out;
}

std::string compare(const Uevents& real, const Uevents& model) {
  const bool agree = model.beside_workers ? by_device(real.lines) == by_device(model.lines)
                                          : real.lines == model.lines;
  if (agree) return "";
  std::string out = "  uevents\n";
  for (const std::string& line : real.lines) out += fmt::format("    kernel: {}\n", line);
  for (const std::string& line : model.lines) out += fmt::format("    model:  {}\n", line);
  return out;
}

/// A kernel after an operation.
struct After {
  std::string answer;
  Snapshot now;
  Uevents sent;
};

std::string compare(const After& real, const After& model) {
  std::string out;
  if (real.answer != model.answer)
    out = fmt::format("  answer\n    kernel: {}\n    model:  {}\n", real.answer, model.answer);
  return out + compare(real.now, model.now) + compare(real.sent, model.sent);
}

/// Where the time goes, in seconds.
struct Times {
  double starting = 0;
  double kernel = 0;
  double model = 0;
  double looking = 0;
};

/// Adds the time until it goes out of scope.
class Clock {
 public:
  explicit Clock(double& to) : to_(to) {}
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  ~Clock() {
    to_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  double& to_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// What is done to the kernel, and what it was like.
struct Run {
  Twin& real;
  const Targets& targets;
  bool tells;
  Answers answers;
  Times times;
};

/// The longest pause in which workers of the kernel may come to an end. Cards from outside are its
/// hot-plug worker's.
std::chrono::milliseconds patience_for(const Operation& operation) {
  return operation.kind == Operation::Kind::kPlug ? 2s : 320ms;
}

/// `model` becomes that outcome which the running kernel agrees with; if there is none, the
/// difference to the first. Workers of that kernel may still be busy, so it is given time to agree.
std::string settle(Run& run, std::string answer, std::vector<Model::Outcome> outcomes,
                   std::chrono::milliseconds patience, std::unique_ptr<Model>& model) {
  std::vector<After> expected;
  for (Model::Outcome& outcome : outcomes) {
    const Clock clock(run.times.model);
    After& after =
        expected.emplace_back(After{.answer = outcome.answer, .now = outcome.model->look()});
    outcome.model->take_uevents(after.sent);
  }
  if (outcomes[0].model->has_busy_workers()) std::this_thread::sleep_for(2ms);
  const Clock clock(run.times.looking);
  After seen{.answer = std::move(answer)};
  for (auto pause = 0ms; pause <= patience; pause = pause * 2 + 5ms) {
    std::this_thread::sleep_for(pause);
    run.real.take_uevents(seen.sent);
    seen.now = run.real.look();
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      if (!compare(seen, expected[i]).empty()) continue;
      model = std::move(outcomes[i].model);
      return "";
    }
  }
  return compare(seen, expected[0]);
}

/// A physical function that is removed while it has virtual ones which its driver leaves: the
/// kernel warns, and has functions of nothing from then on (docs/fidelity.md). And one that is
/// reset while it has virtual ones: QEMU 7.2 forgets them, so that they can be reset no more.
bool breaks_the_kernel(const Operation& operation, Model& model, const Targets& targets) {
  for (const std::string& physical : targets.physical) {
    const std::string dir = "bus/pci/devices/" + physical;
    const bool takes_out =
        operation.kind == Operation::Kind::kUnplug && physical.starts_with(operation.path + ".");
    const bool resets = operation.path == dir + "/reset";
    if (operation.path != dir + "/remove" && !takes_out && !resets) continue;
    if (model.sysfs().read(dir + "/sriov_numvfs").value_or("0\n") == "0\n") continue;
    if (resets) return true;
    const std::string driver = model.sysfs().read_link(dir + "/driver").value_or("");
    return !driver.ends_with("/td1") && !driver.ends_with("/vfio-pci");
  }
  return false;
}

std::string left_out_of(const std::vector<Model::Outcome>& outcomes) {
  for (const Model::Outcome& outcome : outcomes) {
    if (!outcome.left_out.empty()) return outcome.left_out;
  }
  return "";
}

void tell(const Operation& operation) {
  std::printf("%s\n", operation.shell().c_str());
  std::fflush(stdout);
}

/// Does `operations` to both from the start; the first difference ends it.
std::optional<Difference> try_out(Run& run, const std::vector<Operation>& operations) {
  std::unique_ptr<Model> model;
  {
    const Clock clock(run.times.starting);
    if (!start_over(run.real, run.targets)) std::exit(1);  // NOLINT(concurrency-mt-unsafe)
    model = model_twin(run.real);
    if (!model) std::exit(1);  // NOLINT(concurrency-mt-unsafe)
    if (auto what = compare(run.real.look(), model->look()); !what.empty())
      return Difference{.at = 0, .what = std::move(what)};
  }
  for (std::size_t i = 0; i < operations.size(); ++i) {
    if (breaks_the_kernel(operations[i], *model, run.targets)) {
      ++run.answers["would break the kernel"];
      continue;
    }
    std::vector<Model::Outcome> outcomes;
    {
      const Clock clock(run.times.model);
      outcomes = model->outcomes(operations[i]);
    }
    if (const std::string why = left_out_of(outcomes); !why.empty()) {
      ++run.answers[why];
      continue;
    }
    std::string answer;
    if (run.tells) tell(operations[i]);
    {
      const Clock clock(run.times.kernel);
      answer = run.real.apply(operations[i]);
    }
    ++run.answers[counted(operations[i], answer)];
    auto what =
        settle(run, std::move(answer), std::move(outcomes), patience_for(operations[i]), model);
    if (!what.empty()) return Difference{.at = i, .what = std::move(what)};
  }
  return std::nullopt;
}

/// Leaves out what is not needed for a difference, in ever smaller pieces.
std::vector<Operation> shrink(Run& run, std::vector<Operation> operations, Difference& difference) {
  operations.resize(difference.at + 1);
  for (std::size_t piece = operations.size() / 2; piece > 0; piece /= 2) {
    for (std::size_t from = 0; from + piece < operations.size();) {
      std::vector<Operation> fewer = operations;
      const auto begin = fewer.begin() + static_cast<std::ptrdiff_t>(from);
      fewer.erase(begin, begin + static_cast<std::ptrdiff_t>(piece));
      if (auto still = try_out(run, fewer)) {
        fewer.resize(still->at + 1);
        operations = std::move(fewer);
        difference = *std::move(still);
      } else {
        from += piece;
      }
    }
  }
  return operations;
}

int report(Run& run, std::uint64_t seed, const std::vector<Operation>& operations,
           Difference difference) {
  std::printf("a difference after %zu operations of seed %llu:\n%sshrinking ...\n",
              difference.at + 1, static_cast<unsigned long long>(seed), difference.what.c_str());
  std::fflush(stdout);
  const auto fewest = shrink(run, operations, difference);
  std::printf("#!/bin/sh\n");
  for (const Operation& operation : fewest) tell(operation);
  std::printf("# and then:\n%s", difference.what.c_str());
  std::printf("not ok - the kernel and its model agree [seed %llu, %zu operations]\n",
              static_cast<unsigned long long>(seed), fewest.size());
  return 1;
}

int run(const Options& options) {
  const auto real = real_twin(options.targets);
  if (!real) return 1;
  Run state{.real = *real,
            .targets = options.targets,
            .tells = options.tells,
            .answers = {},
            .times = {}};
  for (std::size_t done = 0; done < options.operations; done += options.round) {
    const std::uint64_t seed = options.seed + done / options.round;
    Operations stream(seed, options.targets);
    std::vector<Operation> operations(std::min(options.round, options.operations - done));
    for (Operation& operation : operations) operation = stream.next();
    if (auto difference = try_out(state, operations)) {
      return report(state, seed, operations, *std::move(difference));
    }
    if (done / options.round % 4 == 3) {
      std::printf("%zu operations without a difference\n", done + operations.size());
      std::fflush(stdout);
    }
  }
  std::string met;
  for (const auto& [answer, times] : state.answers)
    met += fmt::format("{} {} {}", met.empty() ? "" : ",", times, answer);
  const Times& times = state.times;
  std::printf(
      "seconds: %.1f starting over, %.1f in the kernel's writes, %.1f model, %.1f looking\n",
      times.starting, times.kernel, times.model, times.looking);
  std::printf("ok - %zu operations, no difference [seed %llu; answers:%s]\n", options.operations,
              static_cast<unsigned long long>(options.seed), met.c_str());
  return 0;
}

/// Most of what it can do needs one of a few drivers, so that it is meant twice as often.
void add_physical(Targets& targets, const char* name) {
  targets.physical.emplace_back(name);
  targets.functions.insert(targets.functions.end(), 2, name);
}

void add_virtual(Targets& targets, const char* name) {
  targets.virtual_functions.emplace(name);
  targets.functions.emplace_back(name);
}

/// "SLOT QEMU-DEVICE...", where a device without addr=SLOT.FUNCTION is function 0.
Card card_of(std::string_view text) {
  Card out;
  for (const auto part : text | std::views::split(' ')) {
    const std::string_view word(part.begin(), part.end());
    if (out.slot.empty()) {
      out.slot = word;
      continue;
    }
    const auto at = word.find(",addr=");
    const auto dot = at == std::string_view::npos ? at : word.find('.', at);
    const std::string_view number = dot == std::string_view::npos ? "0" : word.substr(dot + 1, 1);
    out.functions.push_back(fmt::format("{}.{}", out.slot, number));
    out.words.emplace_back(word);
  }
  return out;
}

std::optional<Options> parse(int argc, char** argv) {
  Options out;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (!word.starts_with("--")) {
      out.targets.functions.emplace_back(word);
      continue;
    }
    if (word == "--tell") {
      out.tells = true;
      continue;
    }
    if (++i == argc) return std::nullopt;
    if (word == "--seed")
      out.seed = std::strtoull(argv[i], nullptr, 10);
    else if (word == "--operations")
      out.operations = std::strtoull(argv[i], nullptr, 10);
    else if (word == "--round")
      out.round = std::strtoull(argv[i], nullptr, 10);
    else if (word == "--physical")
      add_physical(out.targets, argv[i]);
    else if (word == "--virtual")
      add_virtual(out.targets, argv[i]);
    else if (word == "--card")
      out.targets.cards.push_back(card_of(argv[i]));
    else
      return std::nullopt;
  }
  if (out.targets.functions.empty() || out.round == 0) return std::nullopt;
  return out;
}

}  // namespace
}  // namespace anybind::conformance

int main(int argc, char** argv) {
  const auto options = anybind::conformance::parse(argc, argv);
  if (!options) {
    std::fputs(
        "usage: conformance [--seed S] [--operations N] [--round R] [--tell] "
        "[--physical PF]... [--virtual VF]... [--card \"SLOT QEMU-DEVICE...\"]... FUNCTION...\n",
        stderr);
    return 2;
  }
  return anybind::conformance::run(*options);
}
