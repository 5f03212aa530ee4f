// Keeping a state over time is a conversation with everybody else who changes it: the kernel, which
// gives newcomers to drivers; scripts, which take a device, do something and give it back; people.
// So the decisions here are about time. The first moment of a newcomer is the Greeter's, as the
// kernel is quick. Anything else waits until it has been so for a second, fails less and less
// often, and never goes back and forth with somebody who insists. What is believed is what was
// read, not what an event says; an event is only a reason to read.
#include "policy/keeper.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "engine/engine.h"
#include "policy/boot_image.h"
#include "policy/boot_list.h"
#include "policy/since.h"

namespace anybind {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using State = Standing::State;
using Level = Notice::Level;

constexpr auto kSettle = seconds(1);      // somebody may be in the middle of something
constexpr auto kBusy = seconds(1);        // the kernel holds a device's lock
constexpr auto kSlowest = seconds(300);   // between two tries of what fails
constexpr auto kFight = minutes(1);       // in which two corrections that did not last are enough
constexpr auto kPeace = minutes(10);      // after which that is forgotten
constexpr auto kUnreadable = seconds(5);  // the machine does not let itself be read
constexpr std::size_t kMostCorrections = 2;

Clock::Time::duration back_off(unsigned failures) {
  return std::min<Clock::Time::duration>(kSlowest, seconds(1) * (1U << std::min(failures, 9U)));
}

}  // namespace

Keeper::Keeper(const Host& host, Rules rules, Tell tell)
    : host_(host), rules_(std::move(rules)), tell_(std::move(tell)) {}

void Keeper::say(Level level, std::string text, const DeviceId& device, const std::string& rule,
                 Remark advice) const {
  tell_({.level = level,
         .text = std::move(text),
         .device = device,
         .rule = rule,
         .advice = std::move(advice)});
}

bool Keeper::load() {
  auto spec = rules_();
  if (!spec) {
    std::string text = spec.error().message();
    for (const Remark& line : spec.error().details) text += "; " + line.plain();
    tell_({.level = Level::kError,
           .text = text + (has_rules_ ? ": the rules stay what they were" : ": there are no rules"),
           .advice = spec.error().advice});
    return false;
  }
  has_rules_ = true;
  if (spec_ != *spec) records_.clear();  // who has changed them wants to see them tried
  spec_ = *std::move(spec);
  buses_ = buses_of(host_, spec_);
  retry_.reset();
  return true;
}

bool Keeper::concerns(const Uevent& event) const {
  const auto bus = BusName::parse(event.subsystem);
  return bus && buses_.contains(*bus) && !spec_.rules.empty();
}

void Keeper::hear_gap() {
  ++counts_.gaps;
  tell_({.level = Level::kWarning,
         .text = "the kernel has dropped events: everything is looked at anew"});
}

std::optional<Judgement> Keeper::judge_now() {
  auto judgement = judge(host_, spec_);
  if (judgement) {
    last_error_.clear();
    return *std::move(judgement);
  }
  const std::string text = judgement.error().message();
  if (std::exchange(last_error_, text) != text)
    tell_({.level = Level::kError, .text = text, .advice = judgement.error().advice});
  retry_ = now() + kUnreadable;
  return std::nullopt;
}

std::optional<Clock::Time> Keeper::look(Listener& listener) {
  ++counts_.looks;
  retry_.reset();
  if (owes_recovery_) recover(listener);
  if (spec_.rules.empty()) {
    records_.clear();
    judgement_.reset();
    declared_ = met_ = 0;
    if (has_rules_) keep_list({}, listener);
    return next_time();
  }
  auto judgement = judge_now();
  if (judgement) note(*judgement);
  const bool is_due =
      judgement && std::ranges::any_of(judgement->devices, [&](const Standing& one) {
        return one.state == State::kDrift && this->is_due(one);
      });
  if (is_due && !listener.stop_requested()) {
    correct(listener);
    judgement = judge_now();
    if (judgement) note(*judgement);
  }
  if (judgement) keep_list(*judgement, listener);
  judgement_ = std::move(judgement);
  return next_time();
}

/// Ends what was cut off, a change of ours that was killed perhaps.
void Keeper::recover(Listener& listener) {
  owes_recovery_ = false;
  const auto recovery = recover_changes(host_, {}, listener);
  if (!recovery) {
    tell_({.level = Level::kError,
           .text = recovery.error().message(),
           .advice = recovery.error().advice});
    return;
  }
  for (const Recovered& change : recovery->changes) {
    if (change.what == Recovered::What::kNothingOwed) continue;
    const bool is_left = change.what == Recovered::What::kLeft;
    tell_({.level = is_left ? Level::kError : Level::kWarning,
           .text = fmt::format("change {} ({}) was cut off{}", change.id, printable(change.command),
                               is_left ? ", and is still open" : ", and has been ended"),
           .advice = is_left ? Remark(Action::kRecover) : Remark()});
  }
}

void Keeper::note(const Judgement& judgement) {
  std::set<DeviceId> there;
  for (const Standing& standing : judgement.devices) {
    there.insert(standing.device);
    auto [at, is_new] = records_.try_emplace(standing.device);
    if (!is_new && at->second.instance != standing.instance) {
      at->second = {};
      is_new = true;
    }
    Record& record = at->second;
    record.instance = standing.instance;
    if (standing.state == State::kDrift || standing.state == State::kUnknown) {
      note_drift(record, standing, is_new);
    } else {
      note_met(record, standing, is_new);
    }
  }
  std::erase_if(records_, [&](const auto& entry) { return !there.contains(entry.first); });
  leave_what_others_want(judgement);
  tell_problems(judgement);
  declared_ = judgement.devices.size();
  met_ = static_cast<std::size_t>(
      std::ranges::count(judgement.devices, State::kMet, &Standing::state));
}

/// That a device has the driver may be no more than a try: the link is there before probe() runs,
/// and goes without an event when that fails. So what has become so by others is looked at again.
void Keeper::note_met(Record& record, const Standing& standing, bool is_new) const {
  const bool is_news = (is_new || record.differs) && standing.state == State::kMet;
  if (is_news && standing.now.driver) {
    record.recheck = now() + kSettle;
  } else if (record.recheck && *record.recheck <= now()) {
    record.recheck.reset();
  }
  if (record.differs || record.met_since == Clock::Time{}) record.met_since = now();
  record.differs = record.is_left = false;
  record.failures = 0;
  record.last_failure.clear();
}

void Keeper::note_drift(Record& record, const Standing& standing, bool is_new) {
  if (!record.differs) record.differs_since = host_.clock->date();
  if (standing.state == State::kUnknown) {
    record.due = std::max(record.due, now() + kBusy);
    record.differs = true;
    return;
  }
  if (std::exchange(record.differs, true)) return;
  ++counts_.drifts;
  const Rule& rule = spec_.rules[standing.rule];
  // That is how the Greeter keeps a newcomer: it is about to get its driver.
  const bool is_kept =
      rule.driver && !standing.now.driver && standing.now.driver_override == rule.driver->str();
  record.due = is_new && !is_kept ? now() : now() + kSettle;
  if (record.is_given_up && record.met_since + kPeace < now()) record.is_given_up = false;
  std::erase_if(record.corrections, [&](Clock::Time at) { return at + kFight < now(); });
  if (!record.is_given_up && record.corrections.size() < kMostCorrections) {
    say(Level::kInfo, standing.differs, standing.device, rule.name);
    return;
  }
  if (!std::exchange(record.is_given_up, true)) ++counts_.given_up;
  record.is_left = true;
  say(Level::kWarning,
      standing.differs +
          ": somebody else has changed it back twice within a minute, and it is left "
          "alone until the rules change or are reloaded",
      standing.device, rule.name);
}

/// Somebody who takes a device by anybind knows what they want.
void Keeper::leave_what_others_want(const Judgement& judgement) {
  const auto is_open = [&](const Standing& standing) {
    const auto record = records_.find(standing.device);
    return standing.state == State::kDrift && record != records_.end() && !record->second.is_left;
  };
  if (std::ranges::none_of(judgement.devices, is_open)) return;
  const auto last = last_changes(host_, spec_, judgement.devices);
  if (!last) return;
  for (const Standing& standing : judgement.devices) {
    const auto change = last->find(standing.device);
    if (!is_open(standing) || change == last->end() || change->second.id == 0) continue;
    const LastChange& by = change->second;
    if (!by.was_done || by.was_declared || by.command == host_.command) continue;
    records_[standing.device].is_left = true;
    say(Level::kInfo,
        fmt::format("{}, as somebody wanted (change {}: {}): it is left alone", standing.differs,
                    by.id, printable(by.command)),
        standing.device, spec_.rules[standing.rule].name);
  }
}

/// Each once, for as long as it is so.
void Keeper::tell_problems(const Judgement& judgement) {
  std::set<std::string> now;
  const auto tell = [&](const std::string& what, const std::optional<DeviceId>& device,
                        std::optional<std::size_t> rule, const Remark& advice) {
    const std::string key = (device ? device->str() : std::string()) + " " + what;
    if (!now.insert(key).second || problems_.contains(key)) return;
    tell_({.level = Level::kWarning,
           .text = printable(what, 1024),
           .device = device,
           .rule = rule ? spec_.rules[*rule].name : std::string(),
           .advice = advice});
  };
  for (const PolicyProblem& problem : judgement.problems)
    tell(problem.what, problem.device, problem.rule, problem.advice);
  for (const Standing& standing : judgement.devices)
    if (standing.state == State::kNotObeyed)
      tell("not obeyed: " + standing.differs, standing.device, standing.rule, {});
  problems_ = std::move(now);
}

/// A device that nobody knows yet has been made by a change of ours.
bool Keeper::is_due(const Standing& standing) const {
  const auto record = records_.find(standing.device);
  if (record == records_.end() || record->second.instance != standing.instance) return true;
  return !record->second.is_left && record->second.due <= now();
}

void Keeper::correct(Listener& listener) {
  const Application application =
      apply_spec(host_, spec_, listener, {}, [&](const Standing& one) { return is_due(one); });
  for (const Applied& applied : application.changes) digest(applied);
  if (application.error) {
    tell_({.level = Level::kError, .text = application.error->message()});
    retry_ = now() + kUnreadable;
  }
}

/// What differs after that is a new difference.
void Keeper::note_correction(Record& record) const {
  record.differs = false;
  std::erase_if(record.corrections, [&](Clock::Time at) { return at + kFight < now(); });
  record.corrections.push_back(now());
}

void Keeper::digest(const Applied& applied) {
  const std::string& rule = spec_.rules[applied.rule].name;
  for (const Outcome& outcome : applied.outcomes) {
    const auto record = records_.find(outcome.device);
    if (record != records_.end()) note_correction(record->second);
    if (!outcome.changed) continue;
    ++counts_.corrections;
    say(Level::kInfo,
        fmt::format("{} -> {}", outcome.before.driver ? outcome.before.driver->str() : "no driver",
                    outcome.after.driver ? outcome.after.driver->str() : "no driver"),
        outcome.device, rule);
  }
  if (!applied.error) return;
  ++counts_.failures;
  owes_recovery_ = owes_recovery_ || applied.error->kind == ErrorKind::kIncomplete;
  std::string text = applied.error->message();
  for (const Remark& line : applied.error->details) text += "; " + line.plain();
  for (const DeviceId& device : applied.request.devices) {
    Record& record = records_[device];
    const auto instance = applied.request.instances.find(device);
    if (instance != applied.request.instances.end()) record.instance = instance->second;
    record.differs = true;
    record.due = now() + back_off(++record.failures);
    if (std::exchange(record.last_failure, text) == text) continue;
    say(Level::kWarning, text, device, rule, applied.error->advice);
  }
}

void Keeper::keep_list(const Judgement& judgement, Listener& listener) {
  const auto written = keep_boot_list(host_, spec_, judgement, listener);
  const std::string error = written ? "" : written.error().message();
  if (std::exchange(last_list_error_, error) != error && !error.empty())
    tell_({.level = Level::kWarning, .text = "the next boot does not know of it: " + error});
  if (!written || !*written) return;
  const BootImage image = look_at_boot_image(host_);
  if (image.state == BootImage::State::kDiffers)
    tell_({.level = Level::kInfo,
           .text = "the initramfs does not know the rules as they are now",
           .advice = image.how});
}

std::optional<Clock::Time> Keeper::next_time() const {
  if (retry_) return retry_;
  std::optional<Clock::Time> out;
  const auto consider = [&](Clock::Time time) { out = out ? std::min(*out, time) : time; };
  for (const auto& [device, record] : records_) {
    if (record.differs && !record.is_left) consider(record.due);
    if (!record.differs && record.recheck) consider(*record.recheck);
  }
  if (owes_recovery_) consider(now() + kBusy);
  return out;
}

std::map<DeviceId, std::int64_t> Keeper::differing_since() const {
  std::map<DeviceId, std::int64_t> out;
  for (const auto& [device, record] : records_) {
    if (record.differs) out.emplace(device, record.differs_since);
  }
  return out;
}

}  // namespace anybind
