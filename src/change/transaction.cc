// How a set of devices is changed: all or nothing.
//
// Each device goes through its steps in order, and after each write the state is read back: the
// kernel reports success for a drivers_probe that bound nothing, and another administrator may
// write between two of our steps. The files `bind`, `unbind` and `drivers_probe` take a name, and a
// name can come to mean another card; a held directory handle cannot. So each device is held from
// the look that planning took at it until its last write, and then the handle must still answer: a
// card keeps its name as long as its directory is there, so all writes went to it. If it does not
// answer, the name is resolved again: when it has become another card, our writes may have hit that
// one, and it is handed back to the bus.
//
// Rolling back is not a list of inverse writes: a write that failed may have had its effect, and
// one that succeeded may have been undone by others. Each touched device is looked at afresh, and
// steps_between() plans from what is found to what was there before.
#include "change/transaction.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <mutex>

#include <fmt/format.h>

#include "base/check.h"
#include "base/text.h"
#include "base/threads.h"
#include "base/try.h"
#include "change/attempt.h"
#include "change/belongings.h"
#include "change/calm_listener.h"
#include "change/chains.h"
#include "change/device_run.h"
#include "change/diagnosis.h"
#include "change/ending.h"
#include "change/keep_origins.h"
#include "change/losing_drivers.h"
#include "change/module_load.h"
#include "change/node_owner.h"
#include "change/patient_writer.h"
#include "change/settings_watch.h"
#include "inventory/vfio_driver.h"
#include "plan/plan_functions.h"

namespace anybind {
namespace {

/// A device that takes longer than this has the kernel waiting for hardware: threads pay. Where it
/// computes they do not: the driver core and the IOMMU have locks that all devices share. Less than
/// a sleep for D3hot, more than computing takes on a busy machine.
constexpr auto kWorthThreads = std::chrono::milliseconds(8);
constexpr std::size_t kMostThreads = 64;
/// Waking is 12 ms of sleep and little else.
constexpr std::size_t kMostWakers = 64;

/// Given back before things are put back, which needs memory too.
constexpr std::size_t kMemoryForTheWayBack = std::size_t{1} << 20;

/// Those that plans need are loaded by now.
Host without_modules(Host host) {
  host.modules = nullptr;
  return host;
}

/// Nobody else has the device meanwhile: so work is shared out. This only looks, and does not wait.
class Alone {
 public:
  explicit Alone(bool& under_way) : under_way_(under_way) {
    CHECK(!under_way_.exchange(true), "no two threads ever have one device");
  }
  Alone(const Alone&) = delete;
  Alone& operator=(const Alone&) = delete;
  ~Alone() { under_way_.store(false); }

 private:
  std::atomic_ref<bool> under_way_;
};

/// One plan on its way.
class Run {
 public:
  Run(const Host& host, const HeldPlan& plan, Records records, Listener& listener,
      const RunOptions& options)
      : host_(host),
        root_(host.sysfs),
        plan_(&plan),
        records_(records),
        listener_(listener),
        options_(options),
        writer_(host, options, listener, [this](const StuckWrite& write) { note(write); }),
        watch_(host.sysfs, listener, writer_),
        states_(plan.devices.size()) {}

  Result<std::vector<Outcome>> run();

 private:
  /// A change goes through these in this order, and never back: nothing is written before it is
  /// recorded, and nothing when it is closed.
  enum class Stage : std::uint8_t { kPlanned, kRecorded, kGoingBack, kClosed };

  /// How far a device is.
  struct State {
    bool under_way = false;  ///< some thread has it
    bool touched = false;
    std::optional<Outcome> outcome;
    std::optional<Error> error;
    bool stuck = false;
  };

  void enter(Stage stage) {
    CHECK(stage >= stage_, "a change goes through its stages in order");
    stage_ = stage;
  }
  Outcome& outcome_of(std::size_t at) {
    CHECK(states_[at].outcome && !states_[at].stuck, "a device at its goal has an outcome");
    return *states_[at].outcome;
  }
  Result<> check_open_transactions();
  Result<> remember();
  Result<> add_new_functions();
  void give_back_interfaces();
  Result<> make_functions_again(std::size_t at);
  Result<> write_settings(std::size_t to);
  void run_device(std::size_t at);
  Result<> prepare();
  Result<> perform();
  Result<> give_nodes();
  Result<std::vector<Outcome>> settle();
  Result<> close(Ending ending);
  Result<Outcome> bring(std::size_t at);
  void wake_devices();
  void run_devices();
  void run_side_by_side(std::size_t from);
  [[nodiscard]] std::optional<Error> first_error() const;
  Result<> put_one_back(std::size_t at);
  Result<> look_again();
  Error roll_back(Error cause);
  Error end_as_before(Error cause);
  Error close_as_before(Error error);
  Result<> forget_what_was_begun();
  void note(const StuckWrite& write);
  void note_stuck(std::size_t at, const LeftWrite& abandoned, bool back);

  const Host& host_;
  Sysfs& root_;
  const HeldPlan* plan_;
  HeldPlan extended_;  ///< the plan, once it has grown
  Records records_;
  Listener& listener_;
  const RunOptions& options_;
  PatientWriter writer_;
  SettingsWatch watch_;
  Stage stage_ = Stage::kPlanned;
  std::vector<State> states_;
  std::vector<bool> fresh_;
  std::vector<DeviceId> fresh_owners_;  ///< of settings, and not among the devices
  std::size_t settings_written_ = 0;
  std::vector<std::string> modules_loaded_;
  std::vector<GivenNode> given_;
  std::vector<std::size_t> lost_;  ///< devices that were not there any more in the end
  bool blind_ = false;  ///< whether the last setting has had its effect, or will, cannot be seen
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;  ///< over the journal
};

/// While a transaction is open its devices and settings are on the way to somewhere.
Result<> Run::check_open_transactions() {
  const auto refuse = [&](const JournalEntry& entry, const std::string& object) {
    const std::string waiting = join_words(still_waiting(entry, host_.own_proc));
    return fail({.kind = ErrorKind::kIncomplete,
                 .operation = "change",
                 .object = object,
                 .why = fmt::format("transaction {} ({}) was cut off and is still open{}", entry.id,
                                    entry.command, waiting.empty() ? "" : ": " + waiting),
                 .advice = Action::kRecover});
  };
  for (const std::uint64_t id : records_.journal->open()) {
    const auto entry = TRY(records_.journal->read(id));
    if (!entry || entry->boot != records_.journal->boot_id() || entry->ending) continue;
    for (const JournalDevice& device : entry->devices) {
      if (std::ranges::find(plan_->devices, device.device, &DevicePlan::device) !=
          plan_->devices.end())
        return refuse(*entry, device.device.str());
    }
    for (const Setting& setting : entry->settings) {
      if (std::ranges::find(plan_->settings, setting.path, &Setting::path) != plan_->settings.end())
        return refuse(*entry, setting.path);
    }
  }
  return {};
}

/// Makes durable what the devices were and what is intended, before they are touched.
Result<> Run::remember() {
  note_fresh(*plan_, 0, records_.origins, fresh_);
  // Also when there is nothing to do: what is so now will not be so after recover().
  if (records_.journal != nullptr) TRY(check_open_transactions());
  if (records_.journal != nullptr && !plan_->empty()) {
    TRY(records_.journal->begin(*plan_, fresh_));
    CHECK(records_.journal->current() != 0, "the journal knows of a change before it begins");
  }
  Origins* const origins = records_.origins;
  Result<> saved;
  if (origins != nullptr) saved = note_owners(root_, *plan_, *origins, fresh_owners_);
  if (saved && origins != nullptr) saved = save_fresh(root_, *plan_, 0, fresh_, *origins);
  if (saved) enter(Stage::kRecorded);
  if (saved || records_.journal == nullptr) return saved;
  const auto closed = records_.journal->close(Ending::kUndone);
  if (closed) return saved;
  say_still_open(saved.error(), "nothing was changed", closed.error());
  return saved;
}

/// What the settings have made joins the plan, and is remembered before it is touched.
Result<> Run::add_new_functions() {
  if (!plan_->makes) return {};
  CHECK(plan_ != &extended_, "virtual functions join a plan once");
  HeldPlan more = TRY(plan_new_functions(without_modules(host_), *plan_->makes, options_.ignored));
  extended_ = *plan_;
  const std::size_t from = extended_.devices.size();
  const auto taken = losing_drivers(more);
  std::ranges::move(more.devices, std::back_inserter(extended_.devices));
  extended_.held.join(std::move(more.held));
  plan_ = &extended_;
  states_.resize(plan_->devices.size());
  note_fresh(*plan_, from, records_.origins, fresh_);
  if (records_.journal != nullptr) records_.journal->more(*plan_, from, fresh_);
  if (records_.origins != nullptr) TRY(save_fresh(root_, *plan_, from, fresh_, *records_.origins));
  return options_.users == nullptr ? Result<>() : options_.users->refuse(taken);
}

/// Of devices that are back with their drivers; those of others that are not are left alone.
void Run::give_back_interfaces() {
  if (records_.origins == nullptr) return;
  for (const DevicePlan& device : plan_->devices) {
    if (const auto origin = records_.origins->find(device.device, device.instance))
      set_up_again(root_, device.device, *origin, listener_, writer_);
  }
}

/// Of a device that was put back, where they went with its driver.
Result<> Run::make_functions_again(std::size_t at) {
  CHECK(at < fresh_.size(), "only devices that were remembered are put back");
  if (records_.origins == nullptr || !fresh_[at]) return {};
  const DevicePlan& of = plan_->devices[at];
  const auto origin = records_.origins->find(of.device, of.instance);
  return origin ? anybind::make_functions_again(root_, of.device, *origin, listener_, writer_)
                : Result<>();
}

Result<> Run::write_settings(std::size_t to) {
  CHECK(stage_ == Stage::kRecorded, "what is intended is recorded before a setting is written");
  CHECK(settings_written_ <= to && to <= plan_->settings.size(), "settings are written in order");
  while (settings_written_ < to) {
    const Setting& setting = plan_->settings[settings_written_];
    if (listener_.stop_requested()) {
      return fail({.kind = ErrorKind::kFailed, .object = setting.path, .why = "interrupted"});
    }
    watch_.before(setting);
    listener_.on_setting(setting);
    ++settings_written_;
    auto written = write_setting(root_, setting, writer_);
    if (written) continue;
    blind_ = written.error().kind == ErrorKind::kIncomplete;  // left behind: it may still happen
    if (blind_) return written;
    if (is_written(root_, setting)) continue;
    // Of a dynamic id: somebody else's, and not to be taken back.
    if (setting.brief && written.error().err.value == EEXIST) --settings_written_;
    blind_ = setting.late && !root_.read(setting.path);
    if (options_.find_causes) add_reasons(written.error(), host_, setting);
    return written;
  }
  return {};
}

Result<Outcome> Run::bring(std::size_t at) {
  const DevicePlan& of = plan_->devices[at];
  Outcome out{.device = of.device, .before = of.before, .after = of.before};
  const bool on_trust = of.goal.driver && of.before.driver == of.goal.driver;
  if (of.steps.empty() && !on_trust) return out;
  DeviceRun device(host_, plan_->held, of, listener_, options_);
  TRY(device.open(plan_->held.device(of.device)));
  auto done = device.run(of.steps);
  if (done && on_trust) done = device.prove(of.goal.driver);
  if (device.abandoned().pid != 0) {
    note_stuck(at, device.abandoned(), false);
    return fail(done.error());
  }
  // First: it explains the strangest failures of a step.
  if (!done || !device.answers()) TRY(device.still_there());
  if (!done) return fail(done.error());
  if (of.steps.empty()) return out;
  out.after.driver_override = of.goal.driver_override;
  out.after.driver = of.goal.driver;
  if (of.goal.default_match) out.after = TRY(device.observe());
  out.changed = true;
  return out;
}

void Run::note(const StuckWrite& write) {
  CHECK(stage_ == Stage::kRecorded || stage_ == Stage::kGoingBack,
        "nothing is written before a change is recorded, or after it is closed");
  CHECK(!write.device || *write.device < plan_->devices.size(),
        "a write is of a device of the plan");
  if (records_.journal == nullptr) return;
  const std::scoped_lock lock(mutex_);
  records_.journal->stuck(write);
}

void Run::note_stuck(std::size_t at, const LeftWrite& abandoned, bool back) {
  states_[at].stuck = true;
  note(stuck_write(at, abandoned, abandoned.what, back, host_));
}

void Run::run_device(std::size_t at) {
  CHECK(stage_ == Stage::kRecorded, "what is intended is recorded before a device is touched");
  CHECK(at < states_.size() && states_.size() == plan_->devices.size(),
        "each device of the plan has a state");
  State& state = states_[at];
  const Alone alone(state.under_way);
  CHECK(!state.outcome && !state.error, "a device is taken to its goal once");
  state.touched = state.touched || !plan_->devices[at].steps.empty();  // else it is only looked at
  auto outcome = attempt([&] { return bring(at); });
  if (!outcome) {
    state.error = std::move(outcome).error();
    failed_ = true;
    return;
  }
  state.outcome = *std::move(outcome);
  if (records_.journal == nullptr || !state.outcome->changed) return;
  const std::scoped_lock lock(mutex_);
  // It only tells recover() what that sees by itself.
  try_to([&] { records_.journal->device_done(at); });
}

/// All at once, before the first of them is unbound: then their unbinds compute, and go one after
/// another. That a device does not wake is no error, its unbind only takes longer.
void Run::wake_devices() {
  std::vector<std::size_t> parked;
  for (std::size_t i = 0; i < plan_->devices.size(); ++i) {
    if (plan_->devices[i].parked) parked.push_back(i);
  }
  each_in_threads(parked.size(), host_.concurrent ? kMostWakers : 1, [&](std::size_t i) {
    const DevicePlan& of = plan_->devices[parked[i]];
    const Alone alone(states_[parked[i]].under_way);
    states_[parked[i]].touched = true;
    DeviceRun device(host_, plan_->held, of, listener_, options_);
    if (!device.open(plan_->held.device(of.device))) return;
    auto woken = device.run({wake_step()});
    if (device.abandoned().pid == 0) return;
    note_stuck(parked[i], device.abandoned(), false);
    states_[parked[i]].error = std::move(woken).error();
    failed_ = true;
  });
}

void Run::run_devices() {
  const auto now = [&] { return host_.concurrent ? host_.clock->now() : Clock::Time(); };
  int slow = 0;
  auto start = now();
  for (std::size_t i = 0; i < plan_->devices.size() && !failed_; ++i) {
    run_device(i);
    const auto end = now();
    if (end - std::exchange(start, end) > kWorthThreads) ++slow;
    // Not the first slow one: that one also pays for what is done once.
    if (slow == 2 && plan_->devices.size() - i > 2) return run_side_by_side(i + 1);
  }
}

void Run::run_side_by_side(std::size_t from) {
  const auto chains = chains_of(root_, *plan_, from);
  std::size_t in_chains = 0;
  for (const auto& chain : chains) in_chains += chain.size();
  CHECK(in_chains == plan_->devices.size() - from, "each device that is left is in one chain");
  each_in_threads(chains.size(), kMostThreads, [&](std::size_t chain) {
    for (const std::size_t at : chains[chain]) {
      if (failed_) return;
      run_device(at);
    }
  });
}

std::optional<Error> Run::first_error() const {
  for (const State& state : states_) {
    if (state.error) return state.error;
  }
  return std::nullopt;
}

/// Success is only told of what is so. Of one device the last write was looked at.
Result<> Run::look_again() {
  if (plan_->devices.size() < 2) return {};
  for (std::size_t i = 0; i < plan_->devices.size(); ++i)
    TRY(look_at_end(root_, *plan_, i, outcome_of(i).after, lost_));
  return {};
}

Result<> Run::put_one_back(std::size_t at) {
  CHECK(stage_ == Stage::kGoingBack, "that devices go back is recorded first");
  CHECK(states_[at].touched && !states_[at].stuck, "only what was touched, and is free, goes back");
  const Alone alone(states_[at].under_way);
  WayBack back = put_back(host_, plan_->held, plan_->devices[at], listener_, writer_);
  if (back.abandoned.pid != 0) note_stuck(at, back.abandoned, true);
  if (back.result) back.result = make_functions_again(at);
  return std::move(back.result);
}

/// Walks back over what was touched, last first, and turns `cause` into what is to be reported.
/// Nothing that is thrown ends it.
Error Run::roll_back(Error cause) {
  enter(Stage::kGoingBack);
  CHECK(!blind_, "nothing is put back while the last setting may still have its effect");
  CHECK(settings_written_ <= plan_->settings.size(), "no more settings are written than planned");
  const auto touched = std::ranges::count_if(
      states_, [](const State& state) { return state.touched && !state.stuck; });
  if (touched != 0) listener_.on_rollback(cause, static_cast<std::size_t>(touched));
  try_to([&] {
    if (records_.journal != nullptr) records_.journal->rolling_back(cause.message());
  });
  bool whole = true;
  std::vector<std::string> left;
  const auto note = [&](const Result<>& back) {
    if (back) return;
    whole = false;
    try_to([&] {
      left.push_back(back.error().message());
      for (const Remark& line : back.error().details) {
        if (std::ranges::find(cause.details, line) == cause.details.end())
          cause.details.push_back(line);
      }
    });
  };
  const std::size_t early = std::min(plan_->early_settings(), settings_written_);
  const auto undo = [&](std::size_t from, std::size_t to, Back which) {
    note(attempt_twice(
        [&] { return undo_settings(root_, *plan_, from, to, which, listener_, writer_); }));
  };
  undo(early, settings_written_, Back::kAll);
  undo(0, early, Back::kBrief);
  for (std::size_t i = states_.size(); i-- > 0;) {
    if (!states_[i].touched || states_[i].stuck) continue;
    note(attempt_twice([&] { return put_one_back(i); }));
  }
  undo(0, early, Back::kOthers);
  try_to([&] {
    std::ranges::move(give_back(given_), std::back_inserter(left));
    std::ranges::move(lost_words(root_, *plan_, lost_), std::back_inserter(left));
    watch_.after(*plan_);
    give_back_interfaces();
  });
  if (whole && left.empty()) return cause;
  cause.kind = ErrorKind::kIncomplete;
  advise_recovery(cause);
  try_to([&] {
    cause.why = fmt::format("{}; and putting things back failed: {}",
                            cause.why.empty() ? cause.err.text() : cause.why, join_words(left));
    cause.advice = way_out_of_half(records_.journal != nullptr);
  });
  return cause;
}

/// After a failure that left nothing behind.
Result<> Run::forget_what_was_begun() {
  CHECK(fresh_.size() <= plan_->devices.size(), "only devices of the plan were remembered");
  if (records_.origins != nullptr) {
    for (std::size_t i = 0; i < fresh_.size(); ++i) {
      if (fresh_[i]) records_.origins->forget(plan_->devices[i].device);
    }
    for (const DeviceId& owner : fresh_owners_) records_.origins->forget(owner);
    TRY(records_.origins->save());
  }
  return close(Ending::kUndone);
}

Result<> Run::close(Ending ending) {
  CHECK(stage_ != Stage::kClosed, "a change is closed once");
  CHECK(ending == Ending::kUndone || stage_ == Stage::kRecorded,
        "what was not begun, or has gone back, is not told as done");
  if (records_.journal != nullptr)
    TRY(attempt_twice([&] { return records_.journal->close(ending); }));
  enter(Stage::kClosed);
  return {};
}

/// All that comes before the first write to a device.
Result<> Run::prepare() {
  TRY(remember());
  if (options_.users == nullptr || plan_->empty()) return {};
  auto free = options_.users->refuse(losing_drivers(*plan_));
  if (free) return {};
  if (records_.journal != nullptr) records_.journal->rolling_back(free.error().message());
  return fail(close_as_before(std::move(free).error()));
}

/// All writes of the way forward, up to the first that failed.
Result<> Run::perform() {
  CHECK(stage_ == Stage::kRecorded, "a change is recorded before it begins");
  TRY(load_modules(host_, *plan_, listener_, options_, modules_loaded_));
  TRY(write_settings(plan_->early_settings()));
  TRY(add_new_functions());
  wake_devices();
  run_devices();
  if (auto error = first_error()) return fail(*std::move(error));
  TRY(look_again());  // the late settings may remove devices, as was asked
  TRY(write_settings(plan_->settings.size()));
  return give_nodes();
}

/// To the owner that was asked for.
Result<> Run::give_nodes() {
  if (!options_.owner) return {};
  std::vector<DeviceId> devices;
  devices.reserve(plan_->devices.size());
  for (const DevicePlan& device : plan_->devices) {  // virtual functions may go to several drivers
    const auto& driver = device.goal.driver;
    if (driver && is_vfio_driver(driver->str())) devices.push_back(device.device);
  }
  given_ = TRY(give_vfio_nodes(host_, devices, *options_.owner));
  for (const GivenNode& node : given_) listener_.on_given(node.path);
  return {};
}

/// What follows when all is where it shall be.
Result<std::vector<Outcome>> Run::settle() {
  CHECK(!failed_ && !blind_, "a change that failed is not settled");
  CHECK(settings_written_ == plan_->settings.size(), "all settings are written by then");
  std::vector<Outcome> outcomes;
  outcomes.reserve(states_.size());
  for (std::size_t i = 0; i < states_.size(); ++i) outcomes.push_back(outcome_of(i));
  mark_removed(root_, *plan_, outcomes);
  TRY(undo_settings(root_, *plan_, 0, settings_written_, Back::kPassing, listener_, writer_));
  watch_.after(*plan_);
  if (plan_->restores || plan_->undoes != 0) give_back_interfaces();
  return outcomes;
}

/// What is to be reported once everything has been put back, or is left for recover().
Error Run::end_as_before(Error cause) {
  if (blind_) {  // putting the devices back could be wrong
    cause.kind = ErrorKind::kIncomplete;
    advise_recovery(cause);
    return cause;
  }
  try_to([&] {
    for (const std::string& module : modules_loaded_)
      cause.details.emplace_back("the module " + module + " was loaded, and stays");
  });
  Error error = roll_back(std::move(cause));
  if (error.kind == ErrorKind::kIncomplete) return error;
  return close_as_before(std::move(error));
}

/// Once all is as it was.
Error Run::close_as_before(Error error) {
  const auto closed = attempt_twice([&] { return forget_what_was_begun(); });
  if (!closed) say_still_open(error, "all is as it was", closed.error());
  return error;
}

Result<std::vector<Outcome>> Run::run() {
  auto reserve = std::make_unique_for_overwrite<char[]>(kMemoryForTheWayBack);
  bool thrown = true;
  auto prepared = attempt([&] {
    auto result = prepare();
    thrown = false;
    return result;
  });
  if (!prepared) {
    reserve.reset();
    Error error = std::move(prepared).error();
    return fail(thrown ? close_as_before(std::move(error)) : std::move(error));
  }
  auto done = attempt([&] { return perform(); });
  Result<std::vector<Outcome>> outcomes;
  if (done) outcomes = attempt([&] { return settle(); });
  if (!outcomes && outcomes.error().kind == ErrorKind::kIncomplete) return outcomes;
  if (!done || !outcomes) {
    reserve.reset();
    return fail(end_as_before(done ? std::move(outcomes).error() : std::move(done).error()));
  }
  // In this order: what is remembered of a device that is as it was does no harm, but a
  // transaction that recover() takes back must not have been forgotten.
  const auto closed = close(Ending::kDone);
  if (!closed) {
    Error error;
    say_still_open(error, "all is as asked", closed.error());
    return fail(std::move(error));
  }
  try_to([&] {
    if (records_.origins != nullptr)
      forget_what_is_as_it_was(root_, *plan_, *outcomes, *records_.origins);
  });
  return outcomes;
}

}  // namespace

Result<std::vector<Outcome>> run(const Host& host, const HeldPlan& plan, Records records,
                                 Listener& listener, const RunOptions& options) {
  CalmListener calm(listener);
  return attempt([&] { return Run(host, plan, records, calm, options).run(); });
}

}  // namespace anybind
