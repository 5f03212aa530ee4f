#include "race/cell.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "host/memory_storage.h"
#include "race/daemon.h"

namespace anybind::race {
namespace {

using drivercore::DriverCore;
using drivercore::KernelStep;

/// One run of a setting: the stage with its actors, and who watches them.
class Run final : public Execution {
 public:
  Run(const Setting& setting, const DriverCore& kernel)
      : monitor_(setting, kernel), stage_(kernel, monitor_), sysfs_(stage_.sysfs()) {
    monitor_.attach(stage_);
    const Mechanism& mechanism = *setting.of.mechanism;
    if (mechanism.is_policy || std::ranges::any_of(setting.of.scenarios, &Scenario::recover))
      storage_ = std::make_unique<LockedStorage>(*this);
    const unsigned tool =
        mechanism.is_policy ? add_daemon(setting) : add_tool(mechanism, "you", kChosen);
    for (std::size_t i = 0; i < setting.of.scenarios.size(); ++i) {
      add_scenario(setting, i, tool);
    }
    stage_.add(
        "kworker",
        [this] {
          while (!stage_.is_ending())
            stage_.call("retry a deferred probe", [this] { return stage_.kernel().work(); });
        },
        [this] { return stage_.kernel().has_work(); });
  }

  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run() override { stage_.end(); }

  std::vector<unsigned> enabled() override { return stage_.enabled(); }
  void advance(unsigned actor) override {
    stage_.advance(actor);
    if (daemon_ == nullptr) return;
    for (const drivercore::Uevent& event : stage_.kernel().take_uevents()) daemon_->hear(event);
  }
  Hash key() override {
    Hash hash = stage_.key(storage_ != nullptr);
    hash.add(monitor_.key());
    hash.add(locked_by_ ? *locked_by_ + 1 : 0);
    hash.add(stored_);
    if (daemon_ != nullptr) hash.add(daemon_->key());
    return hash;
  }
  Marks marks(bool over) override { return monitor_.marks(over); }

  Stage& stage() { return stage_; }
  Monitor& monitor() { return monitor_; }

 private:
  unsigned add_tool(const Mechanism& mechanism, std::string name, std::string_view device) {
    const auto number = static_cast<unsigned>(monitor_.tools().size());
    const auto body = [this, number, device, &mechanism] {
      Task task = task_for(device);
      const bool done = mechanism.run(task);
      monitor_.tool_says(number, done);
    };
    const unsigned actor = stage_.add(std::move(name), body);
    return monitor_.add_tool(actor, std::string(device)), actor;
  }

  /// The card of its rule comes by itself.
  unsigned add_daemon(const Setting& setting) {
    stage_.listen();
    const Daemon::Around around{
        .quiet = [this] { return has_come_ && !exchanges_ && stage_.is_at_rest(); },
        .says = [this](bool done) { monitor_.tool_says(0, done); }};
    daemon_ = std::make_unique<Daemon>(stage_, *sysfs_, *storage_, setting.of.kernel, around);
    monitor_.add_daemon(daemon_->greeter(), daemon_->keeper());
    stage_.add("slot 03", [this] {
      stage_.call("hot-add " + std::string(kChosen),
                  [this] { return stage_.kernel().hot_add(std::string(kChosen)); });
      has_come_ = true;
    });
    return daemon_->keeper();
  }

  /// With the daemon, another administrator uses another tool: gives the second card away, or takes
  /// that of the rule back.
  void add_rival(std::string_view device) {
    const Mechanism& usual = *find_mechanism("override-first");
    if (device == kSecond) {
      add_tool(usual, "second admin", device);
      return;
    }
    stage_.add("second admin", [this, device, &usual] {
      Task task = task_for(device);
      task.driver = kHost;
      (void)usual.run(task);
    });
  }

  Task task_for(std::string_view device) {
    return {.sysfs = *sysfs_,
            .device = std::string(device),
            .driver = std::string(kTarget),
            .id = std::string(kChosenId),
            .lock = [this] { lock(); },
            .storage = storage_.get()};
  }

  /// flock: whoever ends, or is killed, frees it.
  void lock() {
    stage_.wait_for([this, self = stage_.current()] {
      return !locked_by_ || locked_by_ == self || stage_.actor(*locked_by_).ended;
    });
    locked_by_ = stage_.current();
    // What is stored follows from what each has done, and from the order in which they did it.
    if (storage_ != nullptr) stored_ = stored_ * kMaxActors + *locked_by_ + 1;
  }
  void unlock() {
    if (locked_by_ == stage_.current()) locked_by_.reset();
  }

  /// What one process writes there follows from what it was answered.
  class LockedStorage final : public MemoryStorage {
   public:
    explicit LockedStorage(Run& run) : run_(run) {}
    Reply<void> lock(std::string_view /*owner*/, const Wait& /*wait*/) override {
      run_.lock();
      return {};
    }
    void unlock() noexcept override { run_.unlock(); }

   private:
    Run& run_;
  };

  /// Once the first tool was killed.
  void add_recovery(const Mechanism& mechanism, unsigned tool) {
    const auto body = [this, &mechanism] {
      if (daemon_ != nullptr) return daemon_->recover();
      Task task = task_for(kChosen);
      if (const auto says = mechanism.recover(task)) monitor_.tool_says(0, *says);
    };
    const auto may_go = [this, tool] {
      const auto is_dead = [this](unsigned number) {
        return stage_.actor(number).killed && stage_.actor(number).ended;
      };
      return is_dead(tool) && (daemon_ == nullptr || is_dead(daemon_->greeter()));
    };
    monitor_.recovered_by(stage_.add("recover", body, may_go));
  }

  void add_scenario(const Setting& setting, std::size_t i, unsigned tool) {
    const Scenario& scenario = *setting.of.scenarios[i];
    const unsigned variant = setting.variants[i];
    if (scenario.act != nullptr) {
      const auto may_go = [this, &scenario] {
        return !scenario.of_chosen || daemon_ == nullptr || has_come_;
      };
      stage_.add(
          std::string(scenario.actor),
          [this, &scenario, variant] {
            exchanges_ = scenario.of_chosen;
            scenario.act(stage_, variant);
            exchanges_ = false;
          },
          may_go);
    }
    if (!scenario.second_admin.empty()) {
      if (daemon_ == nullptr) {
        add_tool(*setting.of.mechanism, "second admin", scenario.second_admin);
      } else {
        add_rival(scenario.second_admin);
      }
    }
    if (!scenario.kill) return;
    const Mechanism& mechanism = *setting.of.mechanism;
    const bool can_recover = mechanism.is_policy || mechanism.recover != nullptr;
    if (scenario.recover && can_recover) add_recovery(mechanism, tool);
    stage_.add(
        "kill -9",
        [this, tool] {
          stage_.call("kill -9 of the administrator's program", [this, tool] {
            stage_.kill(tool);
            if (daemon_ != nullptr) stage_.kill(daemon_->greeter());
            return true;
          });
        },
        [this, tool] { return !stage_.actor(tool).ended; });
  }

  std::unique_ptr<Storage> storage_;  ///< of all tools; before the stage, whose end ends them
  Monitor monitor_;
  Stage stage_;
  std::unique_ptr<Sysfs> sysfs_;
  std::unique_ptr<Daemon> daemon_;
  bool has_come_ = false;   ///< the card of the daemon's rule, or it could not
  bool exchanges_ = false;  ///< somebody is about to exchange it, and does so within a second
  std::optional<unsigned> locked_by_;
  static constexpr std::uint64_t kMaxActors = 16;
  std::uint64_t stored_ = 0;  ///< who had the lock, one after another
};

/// "a14b9": who took how many steps.
std::string packed(const Schedule& schedule) {
  std::string out;
  for (std::size_t i = 0; i < schedule.size();) {
    std::size_t end = i;
    while (end < schedule.size() && schedule[end] == schedule[i]) ++end;
    out += static_cast<char>('a' + schedule[i]);
    if (end - i > 1) out += fmt::format("{}", end - i);
    i = end;
  }
  return out;
}

constexpr std::size_t kLongest = 100'000;

std::optional<Schedule> unpacked(std::string_view text) {
  Schedule out;
  while (!text.empty()) {
    if (text[0] < 'a' || text[0] > 'z') return std::nullopt;
    const auto actor = static_cast<unsigned>(text[0] - 'a');
    text.remove_prefix(1);
    std::size_t times = 1;
    if (!text.empty() && text[0] >= '0' && text[0] <= '9') {
      const auto parsed = std::from_chars(text.data(), text.data() + text.size(), times);
      if (parsed.ec != std::errc{}) return std::nullopt;
      text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
    }
    if (times == 0 || times > kLongest - out.size()) return std::nullopt;
    out.insert(out.end(), times, actor);
  }
  return out;
}

/// Writes a run down: one line a call, or a piece of one where somebody else came between.
class Teller final : public Stage::Watcher {
 public:
  Teller(Story& story, Run& run) : story_(story), run_(run) {
    seen_ = drivers();
    story_.before = seen_;
  }

  void on_call(unsigned actor, const Stage::Call& call) override { add(actor, call.text()); }
  void on_answer(unsigned actor, const std::string& answer) override {
    if (answer.empty()) return;
    if (last_ == actor && !story_.lines.empty()) story_.lines.back().answer = answer;
  }
  void on_step(unsigned actor, const KernelStep& step) override {
    if (last_ != actor) add(actor, "(goes on)");
    const auto* device = run_.stage().kernel().find(step.device);
    const std::string of = device == nullptr ? "" : short_name(device->name);
    at_ = fmt::format("{}{}{}", of, of.empty() ? "" : ": ", words_of(step.kind));
  }
  /// After each step: what it changed, and who is next.
  void settle(unsigned actor, bool in_call, bool other_next) {
    const std::string now = drivers();
    if (story_.lines.empty()) return;
    auto& line = story_.lines.back();
    if (now != seen_) line.drivers = now;
    seen_ = now;
    if (in_call && other_next && last_ == actor) {
      line.interrupted = true;
      if (!at_.empty()) line.text += " ... " + at_;
    }
  }

 private:
  static std::string short_name(const std::string& name) {
    return name.starts_with("0000:") ? name.substr(5) : name;
  }
  static std::string_view words_of(KernelStep::Kind kind);

  std::string drivers() const {
    std::string out;
    const auto& state = run_.stage().kernel().state();
    for (const auto& [name, key] : state.buses.at("pci").device_names) {
      const auto& device = state.devices.at(key);
      out += fmt::format("{}{} {}", out.empty() ? "" : ", ", short_name(name),
                         device.driver ? state.drivers.at(*device.driver).name : "-");
    }
    return out;
  }
  void add(unsigned actor, const std::string& text) {
    last_ = actor;
    at_.clear();
    const auto& name = run_.stage().actor(actor).name;
    const auto& tools = run_.monitor().tools();
    story_.lines.push_back(
        {.actor = name, .text = text, .by_tool = !tools.empty() && tools[0].is(actor)});
  }

  Story& story_;
  Run& run_;
  std::string seen_;
  std::string at_;
  std::optional<unsigned> last_;
};

// NOLINTNEXTLINE(readability-function-size): a table
std::string_view Teller::words_of(KernelStep::Kind kind) {
  using Kind = KernelStep::Kind;
  switch (kind) {
    case Kind::kAdded:
      return "is there";
    case Kind::kAddEvent:
      return "add event sent";
    case Kind::kReady:
      return "may be probed";
    case Kind::kVfLinked:
      return "virtual function linked";
    case Kind::kVfUnlinked:
      return "virtual function unlinked";
    case Kind::kVfsEnabled:
      return "virtual functions enabled";
    case Kind::kVfsDisabled:
      return "virtual functions disabled";
    case Kind::kMatched:
      return "match found";
    case Kind::kLinkOn:
      return "driver link made";
    case Kind::kProbeBegins:
      return "probe begins";
    case Kind::kProbeEnds:
      return "probe ends";
    case Kind::kProbeFailed:
      return "probe failed";
    case Kind::kBound:
      return "bound";
    case Kind::kBindEvent:
      return "bind event sent";
    case Kind::kLinkOff:
      return "driver link gone";
    case Kind::kRemoveBegins:
      return "remove begins";
    case Kind::kUserAsked:
      return "user asked to close";
    case Kind::kRemoveEnds:
      return "remove ends";
    case Kind::kDriverCleared:
      return "driver cleared";
    case Kind::kUnbindEvent:
      return "unbind event sent";
    case Kind::kUnlocked:
      return "unlocked";
    case Kind::kDead:
      return "dead";
    case Kind::kUnlisted:
      return "unlisted";
    case Kind::kRemoveEvent:
      return "remove event sent";
    case Kind::kDriverListed:
      return "driver listed";
    case Kind::kDriverReady:
      return "driver ready";
    case Kind::kDriverUnlisted:
      return "driver unlisted";
    case Kind::kDriverGone:
      return "driver gone";
    case Kind::kModuleComing:
      return "module coming";
    case Kind::kModuleLive:
      return "module live";
    case Kind::kModuleGoing:
      return "module going";
    case Kind::kModuleGone:
      return "module gone";
    case Kind::kRetry:
      return "retried";
  }
  return "";
}

Error bad_token(const std::string& token, std::string why) {
  return {.kind = ErrorKind::kUsage,
          .operation = "replay",
          .object = token,
          .why = std::move(why),
          .advice = "anybind race prints a token for each broken promise"};
}

/// Mechanism, scenarios, number, schedule.
struct Parsed {
  Setting setting;
  Schedule schedule;
};

Result<Parsed> parse(const std::string& token) {
  const auto first = token.find('/');
  const auto second = token.find('/', first + 1);
  const auto colon = token.find(':', second + 1);
  if (first == std::string::npos || second == std::string::npos || colon == std::string::npos) {
    return fail(
        bad_token(token, "a token is MECHANISM/SCENARIO[+SCENARIO...]/NUMBER[@KERNEL]:STEPS"));
  }
  const Mechanism* mechanism = find_mechanism(std::string_view(token).substr(0, first));
  if (mechanism == nullptr) return fail(bad_token(token, "no such mechanism"));
  std::vector<const Scenario*> scenarios;
  std::string_view rest = std::string_view(token).substr(first + 1, second - first - 1);
  while (!rest.empty()) {
    const auto plus = std::min(rest.find('+'), rest.size());
    scenarios.push_back(find_scenario(rest.substr(0, plus)));
    if (scenarios.back() == nullptr) return fail(bad_token(token, "no such scenario"));
    rest.remove_prefix(std::min(plus + 1, rest.size()));
    constexpr std::size_t kMost = 4;
    if (scenarios.size() > kMost) return fail(bad_token(token, "too many scenarios"));
  }
  const auto at = std::min(token.find('@', second + 1), colon);
  Question question{.mechanism = mechanism, .scenarios = std::move(scenarios)};
  if (at != colon) {
    const auto kernel = drivercore::find_profile("linux-" + token.substr(at + 1, colon - at - 1));
    if (!kernel || !profile_of(*mechanism, kernel->version))
      return fail(bad_token(token, "no such kernel, or it has no such mechanism"));
    question.kernel = kernel->version;
  }
  const auto settings = settings_of(question);
  std::size_t number = 0;
  const char* end = token.data() + at;
  const auto parsed = std::from_chars(token.data() + second + 1, end, number);
  if (parsed.ec != std::errc{} || parsed.ptr != end || number >= settings.size()) {
    return fail(bad_token(token, "no such setting of the scenario"));
  }
  auto schedule = unpacked(std::string_view(token).substr(colon + 1));
  if (!schedule) return fail(bad_token(token, "the steps are not understood"));
  return Parsed{.setting = settings[number], .schedule = *std::move(schedule)};
}

void list_marks(Story& story, Marks marks) {
  for (unsigned promise = 0; promise < kPromises; ++promise) {
    if ((marks >> broken_bit(promise) & 1U) != 0) story.broken.push_back(promise);
    if ((marks >> mended_bit(promise) & 1U) != 0) story.mended.push_back(promise);
  }
}

}  // namespace

void Cell::add(std::size_t setting, const SearchResult& found) {
  orderings += found.orderings;
  points += found.points;
  runs += found.runs;
  steps += found.steps;
  complete = complete && found.complete;
  const auto keep = [&](Finding& finding, unsigned bit) {
    finding.orderings += found.with_mark.at(bit);
    const auto& schedule = found.shortest.at(bit);
    if (!schedule || (!finding.token.empty() && finding.steps <= schedule->size())) return;
    finding.steps = schedule->size();
    finding.token = token_of(*this, setting, *schedule);
  };
  for (unsigned promise = 0; promise < kPromises; ++promise) {
    keep(broken.at(promise), broken_bit(promise));
    keep(mended.at(promise), mended_bit(promise));
    danger.at(promise) += found.with_mark.at(danger_bit(promise));
  }
}

bool Cell::safe() const {
  return !worst();
}

bool Cell::was_tried() const {
  return std::ranges::any_of(danger, [](double count) { return count > 0; });
}

std::optional<unsigned> Cell::worst() const {
  std::optional<unsigned> out;
  for (unsigned promise = 0; promise < kPromises; ++promise) {
    const Finding& finding = broken.at(promise);
    if (finding.token.empty()) continue;
    if (!out || finding.steps < broken.at(*out).steps) out = promise;
  }
  return out;
}

std::string token_of(const Cell& cell, std::size_t setting, const Schedule& schedule) {
  std::string names;
  for (const Scenario* scenario : cell.of.scenarios) {
    names += fmt::format("{}{}", names.empty() ? "" : "+", scenario->name);
  }
  const bool usual = cell.of.kernel == kUsualKernel;
  return fmt::format("{}/{}/{}{}:{}", cell.of.mechanism->name, names, setting,
                     usual ? "" : "@" + cell.of.kernel.str(), packed(schedule));
}

Result<Begin> begin_of(const Setting& setting) {
  auto kernel = std::make_shared<const DriverCore>(TRY(machine_of(setting)));
  return [setting, kernel] { return std::make_unique<Run>(setting, *kernel); };
}

Result<SearchResult> explore(const Setting& setting, std::size_t number,
                             const CellOptions& options) {
  const Begin begin = TRY(begin_of(setting));
  if (options.random > 0) return sample(begin, options.random, options.seed + number);
  SearchResult found = search(begin, options.search);
  if (!found.contradiction) return found;
  const Cell cell{.of = setting.of};
  return fail({.operation = "race",
               .object = token_of(cell, number, *found.contradiction),
               .why = "two points that were taken for one go on differently",
               .advice = "this is a fault of the explorer; please report it with this token"});
}

Result<Cell> explore(const Question& question, const CellOptions& options) {
  Cell cell{.of = question};
  const auto settings = settings_of(question);
  for (std::size_t i = 0; i < settings.size(); ++i) {
    cell.add(i, TRY(explore(settings[i], i, options)));
  }
  return cell;
}

Result<Story> replay(const std::string& token) {
  const Parsed parsed = TRY(parse(token));
  const DriverCore kernel = TRY(machine_of(parsed.setting));
  Run run(parsed.setting, kernel);
  Story story{.setting = parsed.setting};
  Teller teller(story, run);
  run.monitor().tell(&teller);
  for (std::size_t i = 0; i < parsed.schedule.size(); ++i) {
    const unsigned actor = parsed.schedule[i];
    if (!std::ranges::binary_search(run.enabled(), actor)) {
      return fail(bad_token(token, fmt::format("at step {}, actor {} cannot go", i + 1,
                                               static_cast<char>('a' + actor))));
    }
    run.advance(actor);
    const bool in_call = run.stage().actor(actor).in_call;
    const bool last = i + 1 == parsed.schedule.size();
    teller.settle(actor, in_call, last || parsed.schedule[i + 1] != actor);
  }
  story.steps = parsed.schedule.size();
  story.over = run.enabled().empty();
  list_marks(story, run.marks(story.over));
  run.monitor().tell(nullptr);
  return story;
}

}  // namespace anybind::race
