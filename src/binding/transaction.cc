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
#include "binding/transaction.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <mutex>
#include <numeric>
#include <thread>
#include <unordered_map>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "binding/belongings.h"
#include "binding/device_run.h"
#include "binding/ending.h"
#include "binding/in_use.h"
#include "binding/module_plan.h"
#include "binding/settings_watch.h"
#include "binding/virtual_functions.h"
#include "host/process.h"

namespace anybind {
namespace {

using Clock = std::chrono::steady_clock;

/// A device that takes longer than this has the kernel waiting for hardware: threads pay. Where it
/// computes they do not: the driver core and the IOMMU have locks that all devices share. Less than
/// a sleep for D3hot, more than computing takes on a busy machine.
constexpr auto kWorthThreads = std::chrono::milliseconds(8);
constexpr std::size_t kMostThreads = 64;
/// Waking is 12 ms of sleep and little else.
constexpr std::size_t kMostWakers = 64;

/// Lets several threads speak to one listener.
class SharedListener final : public Listener {
 public:
  explicit SharedListener(Listener& inner) : inner_(inner) {}
  void on_step(const DeviceId& device, const Step& step) override {
    const std::scoped_lock lock(mutex_);
    inner_.on_step(device, step);
  }
  void on_module(const ModuleLoad& load) override { inner_.on_module(load); }
  void on_setting(const Setting& setting) override { inner_.on_setting(setting); }
  void on_warning(const std::string& text) override { inner_.on_warning(text); }
  void on_rollback(const Error& cause, std::size_t devices) override {
    inner_.on_rollback(cause, devices);
  }
  [[nodiscard]] bool stop_requested() const override { return inner_.stop_requested(); }

 private:
  Listener& inner_;
  std::mutex mutex_;
};

/// Calls `work` with each number below `count`, in at most `most` threads.
template <class Work>
void each_in_threads(std::size_t count, std::size_t most, const Work& work) {
  std::atomic<std::size_t> next = 0;
  const auto share = [&] {
    for (std::size_t i = next++; i < count; i = next++) work(i);
  };
  std::vector<std::jthread> threads;
  for (std::size_t i = 1; i < std::min(count, most); ++i) threads.emplace_back(share);
  share();
}

/// Puts things into one set when they have a word in common.
class Sets {
 public:
  explicit Sets(std::size_t count) : leader_(count) {
    std::iota(leader_.begin(), leader_.end(), 0);
  }
  void add(std::size_t thing, std::string word) {
    const auto [first, is_new] = first_with_.try_emplace(std::move(word), thing);
    if (!is_new) leader_[leader_of(thing)] = leader_of(first->second);
  }
  std::size_t leader_of(std::size_t thing) {
    while (leader_[thing] != thing) thing = leader_[thing] = leader_[leader_[thing]];
    return thing;
  }

 private:
  std::vector<std::size_t> leader_;
  std::unordered_map<std::string, std::size_t> first_with_;
};

/// Devices from `from` on, in sequences that are independent of each other: those of one IOMMU
/// group and the functions of one slot stay in one, in order.
std::vector<std::vector<std::size_t>> chains_of(Sysfs& root, const Plan& plan, std::size_t from) {
  Sets sets(plan.devices.size());
  for (std::size_t i = from; i < plan.devices.size(); ++i) {
    const DeviceId& device = plan.devices[i].device;
    if (device.bus.str() == "pci") {
      sets.add(i, device.name.str().substr(0, device.name.str().rfind('.')));
    }
    const auto group = plan.devices[i].held ? plan.devices[i].held->read_link("iommu_group")
                                            : root.read_link(device.path() + "/iommu_group");
    if (group) sets.add(i, "group " + std::string(link_name(*group)));
  }
  std::map<std::size_t, std::vector<std::size_t>> chains;
  for (std::size_t i = from; i < plan.devices.size(); ++i) chains[sets.leader_of(i)].push_back(i);
  std::vector<std::vector<std::size_t>> out;
  out.reserve(chains.size());
  for (auto& [leader, chain] : chains) out.push_back(std::move(chain));
  return out;
}

/// One plan on its way.
class Run {
 public:
  Run(Sysfs& root, const Plan& plan, Records records, Listener& listener, const RunOptions& options)
      : root_(root),
        plan_(&plan),
        records_(records),
        listener_(listener),
        options_(options),
        watch_(root, listener),
        states_(plan.devices.size()) {}

  Result<std::vector<Outcome>> run();

 private:
  /// How far a device is.
  struct State {
    bool touched = false;
    std::optional<Outcome> outcome;
    std::optional<Error> error;
    bool stuck = false;
  };

  Result<> check_open_transactions();
  Result<> remember();
  void note_fresh(std::size_t from);
  Result<> save_origins(std::size_t from);
  Result<> add_new_functions();
  Result<Belongings> belongings_of(const DevicePlan& of);
  Result<> note_owners();
  void forget_what_is_as_it_was();
  void give_back_interfaces();
  Result<> make_functions_again(std::size_t at);
  Result<> write_settings(std::size_t to);
  void run_device(std::size_t at);
  std::optional<Error> perform();
  Result<Outcome> bring(std::size_t at);
  void wake_devices();
  void run_devices();
  void run_side_by_side(std::size_t from);
  [[nodiscard]] std::optional<Error> first_error() const;
  Result<> look_again();
  Error roll_back(Error cause);
  Result<> forget_what_was_begun();
  Error forgotten(Error cause);
  Result<std::vector<Outcome>> succeed();
  void note_stuck(std::size_t at, const Abandoned& abandoned, bool back);

  Sysfs& root_;
  const Plan* plan_;
  Plan extended_;  ///< the plan, once it has grown
  Records records_;
  Listener& listener_;
  const RunOptions& options_;
  SettingsWatch watch_;
  std::vector<State> states_;
  std::vector<bool> fresh_;
  std::vector<DeviceId> fresh_owners_;  ///< of settings, and not among the devices
  std::size_t settings_written_ = 0;
  std::vector<std::string> modules_loaded_;
  std::vector<std::size_t> lost_;  ///< devices that were not there any more in the end
  bool blind_ = false;             ///< whether the last setting has had its effect cannot be seen
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;  ///< over the journal
};

/// While a transaction is open its devices and settings are on the way to somewhere.
Result<> Run::check_open_transactions() {
  const auto refuse = [](const JournalEntry& entry, const std::string& object) {
    return fail({.code = Code::kIncomplete,
                 .operation = "change",
                 .object = object,
                 .why = fmt::format("transaction {} ({}) was cut off and is still open", entry.id,
                                    entry.command),
                 .next = "anybind recover"});
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
  note_fresh(0);
  // Also when there is nothing to do: what is so now will not be so after recover().
  if (records_.journal != nullptr) TRY(check_open_transactions());
  if (records_.journal != nullptr && !plan_->empty()) {
    TRY(records_.journal->begin(*plan_, fresh_));
  }
  auto saved = note_owners();
  if (saved) saved = save_origins(0);
  if (saved || records_.journal == nullptr) return saved;
  const auto closed = records_.journal->close(Ending::kUndone);
  if (closed) return saved;
  return fail(still_open(std::move(saved).error(), "nothing was changed", closed.error()));
}

/// Which devices from `from` on `restore` does not know yet.
void Run::note_fresh(std::size_t from) {
  fresh_.resize(plan_->devices.size(), false);
  Origins* origins = records_.origins;
  for (std::size_t i = from; i < plan_->devices.size() && origins != nullptr; ++i) {
    const DevicePlan& device = plan_->devices[i];
    fresh_[i] =
        !plan_->restores && !device.steps.empty() && !origins->find(device.device, device.instance);
  }
}

Result<Belongings> Run::belongings_of(const DevicePlan& of) {
  if (!of.before.driver) return Belongings();
  std::shared_ptr<Sysfs> dir = of.held;
  if (dir == nullptr) dir = TRY(open_device(root_, of.device));
  if (dir == nullptr) return Belongings();  // it has just gone, as its run will find
  return read_belongings(*dir, of.device, of.before);
}

Result<> Run::save_origins(std::size_t from) {
  Origins* origins = records_.origins;
  if (origins == nullptr) return {};
  for (std::size_t i = from; i < plan_->devices.size(); ++i) {
    const DevicePlan& device = plan_->devices[i];
    if (!fresh_[i]) continue;
    origins->remember(
        device.device,
        {.instance = device.instance, .binding = device.before, .had = TRY(belongings_of(device))});
  }
  return origins->save();
}

/// A device whose number of virtual functions is changed, and no more: `restore` gives that back.
Result<> Run::note_owners() {
  Origins* origins = records_.origins;
  if (origins == nullptr || plan_->restores) return {};
  for (const Setting& setting : plan_->settings) {
    if (!setting.lasting || !setting.device) continue;
    if (origins->find(*setting.device, setting.instance)) continue;
    const auto dir = TRY(open_device(root_, *setting.device));
    if (dir == nullptr) continue;
    const auto binding = read_binding(*dir);
    if (!binding)
      return fail(from_errno(binding.error(), "read the state of", setting.device->str()));
    origins->remember(*setting.device,
                      {.instance = setting.instance,
                       .binding = *binding,
                       .had = TRY(read_belongings(*dir, *setting.device, *binding))});
    fresh_owners_.push_back(*setting.device);
  }
  return {};
}

/// What the settings have made joins the plan, and is remembered before it is touched.
Result<> Run::add_new_functions() {
  if (!plan_->makes) return {};
  Plan more = TRY(plan_new_functions(root_, *plan_->makes));
  extended_ = *plan_;
  const std::size_t from = extended_.devices.size();
  const auto taken = losing_drivers(more);
  std::ranges::move(more.devices, std::back_inserter(extended_.devices));
  extended_.driver_dirs.merge(more.driver_dirs);
  plan_ = &extended_;
  states_.resize(plan_->devices.size());
  note_fresh(from);
  if (records_.journal != nullptr) records_.journal->more(*plan_, from, fresh_);
  TRY(save_origins(from));
  if (!options_.check_users) return {};
  return options_.check_users(taken);
}

/// After success: a device that was given back, or happens to be what it was, is ours no more. All
/// is done by now; what cannot be forgotten is forgotten by the next restore.
void Run::forget_what_is_as_it_was() {
  if (records_.origins == nullptr) return;
  for (std::size_t i = 0; i < plan_->devices.size(); ++i) {
    const DevicePlan& device = plan_->devices[i];
    const auto origin = records_.origins->find(device.device, device.instance);
    const Binding& now = states_[i].outcome->after;
    const bool as_it_was = origin && origin->binding.driver == now.driver &&
                           origin->binding.driver_override == now.driver_override;
    const bool owes =
        origin && origin->had.functions && !is_as_it_was(root_, device.device, *origin);
    const bool gone =
        plan_->early_settings() != plan_->settings.size() && !root_.open_dir(device.device.path());
    if (((plan_->restores || as_it_was) && !owes) || gone) records_.origins->forget(device.device);
  }
  for (const Setting& setting : plan_->settings) {
    if (!setting.lasting || !setting.device) continue;
    const auto origin = records_.origins->find(*setting.device, setting.instance);
    if (origin && is_as_it_was(root_, *setting.device, *origin))
      records_.origins->forget(*setting.device);
  }
  (void)records_.origins->save();
}

/// Of devices that are back with their drivers; those of others that are not are left alone.
void Run::give_back_interfaces() {
  if (records_.origins == nullptr) return;
  for (const DevicePlan& device : plan_->devices) {
    if (const auto origin = records_.origins->find(device.device, device.instance))
      set_up_again(root_, device.device, *origin, listener_, options_.interface_patience);
  }
}

/// Of a device that was put back, where they went with its driver.
Result<> Run::make_functions_again(std::size_t at) {
  if (records_.origins == nullptr || !fresh_[at]) return {};
  const DevicePlan& of = plan_->devices[at];
  const auto origin = records_.origins->find(of.device, of.instance);
  return origin ? anybind::make_functions_again(root_, of.device, *origin, listener_) : Result<>();
}

Result<> Run::write_settings(std::size_t to) {
  while (settings_written_ < to) {
    const Setting& setting = plan_->settings[settings_written_];
    if (listener_.stop_requested()) {
      return fail({.code = Code::kFailed, .object = setting.path, .why = "interrupted"});
    }
    ++settings_written_;
    watch_.before(setting);
    listener_.on_setting(setting);
    auto written = write_setting(root_, setting, setting.path, setting.bytes);
    if (written || is_written(root_, setting)) continue;
    // Of a dynamic id: somebody else's, and not to be taken back.
    if (setting.brief && written.error().err.value == EEXIST) --settings_written_;
    blind_ = setting.late && !root_.read(setting.path);
    return written;
  }
  return {};
}

Result<Outcome> Run::bring(std::size_t at) {
  const DevicePlan& of = plan_->devices[at];
  Outcome out{.device = of.device, .before = of.before, .after = of.before};
  const bool on_trust = of.goal.driver && of.before.driver == of.goal.driver;
  if (of.steps.empty() && !on_trust) return out;
  DeviceRun device(root_, *plan_, of, listener_, options_);
  TRY(device.open(of.held));
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

void Run::note_stuck(std::size_t at, const Abandoned& abandoned, bool back) {
  states_[at].stuck = true;
  if (records_.journal == nullptr) return;
  const std::scoped_lock lock(mutex_);
  records_.journal->stuck({.device = at,
                           .pid = abandoned.pid,
                           .started = process_start(options_.proc, abandoned.pid).value_or(0),
                           .back = back});
}

void Run::run_device(std::size_t at) {
  State& state = states_[at];
  state.touched = true;
  auto outcome = bring(at);
  if (!outcome) {
    state.error = std::move(outcome).error();
    failed_ = true;
    return;
  }
  state.outcome = *std::move(outcome);
  if (records_.journal == nullptr || !state.outcome->changed) return;
  const std::scoped_lock lock(mutex_);
  records_.journal->device_done(at);
}

/// All at once, before the first of them is unbound: then their unbinds compute, and go one after
/// another. That a device does not wake is no error, its unbind only takes longer.
void Run::wake_devices() {
  std::vector<std::size_t> parked;
  for (std::size_t i = 0; i < plan_->devices.size(); ++i) {
    if (plan_->devices[i].parked) parked.push_back(i);
  }
  each_in_threads(parked.size(), options_.concurrent ? kMostWakers : 1, [&](std::size_t i) {
    const DevicePlan& of = plan_->devices[parked[i]];
    states_[parked[i]].touched = true;
    DeviceRun device(root_, *plan_, of, listener_, options_);
    if (device.open(of.held)) (void)device.run({wake_step()});
  });
}

void Run::run_devices() {
  const auto now = [&] { return options_.concurrent ? Clock::now() : Clock::time_point(); };
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
    TRY(look_at_end(root_, *plan_, i, states_[i].outcome->after, lost_));
  return {};
}

/// Walks back over what was touched, last first, and turns `cause` into what is to be reported.
Error Run::roll_back(Error cause) {
  const auto touched = std::ranges::count_if(
      states_, [](const State& state) { return state.touched && !state.stuck; });
  if (touched != 0) listener_.on_rollback(cause, static_cast<std::size_t>(touched));
  if (records_.journal != nullptr) records_.journal->rolling_back(cause.message());
  std::vector<std::string> left;
  const auto failed = [&](const Error& error) {
    left.push_back(error.message());
    for (const std::string& line : error.details) {
      if (std::ranges::find(cause.details, line) == cause.details.end())
        cause.details.push_back(line);
    }
  };
  const std::size_t early = std::min(plan_->early_settings(), settings_written_);
  const auto undo = [&](std::size_t from, std::size_t to, Back which) {
    const auto undone = undo_settings(root_, *plan_, from, to, which, listener_, options_);
    if (!undone) failed(undone.error());
  };
  undo(early, settings_written_, Back::kAll);
  undo(0, early, Back::kBrief);
  for (std::size_t i = states_.size(); i-- > 0;) {
    if (!states_[i].touched || states_[i].stuck) continue;
    WayBack back = put_back(root_, *plan_, plan_->devices[i], listener_, options_);
    if (back.result) back.result = make_functions_again(i);
    if (back.abandoned.pid != 0) note_stuck(i, back.abandoned, true);
    if (!back.result) failed(back.result.error());
  }
  undo(0, early, Back::kOthers);
  std::ranges::move(lost_words(root_, *plan_, lost_), std::back_inserter(left));
  watch_.after(*plan_);
  give_back_interfaces();
  if (left.empty()) return cause;
  cause.why = fmt::format("{}; and putting things back failed: {}",
                          cause.why.empty() ? cause.err.text() : cause.why, join_words(left));
  cause.code = Code::kIncomplete;
  cause.next = records_.journal != nullptr
                   ? "anybind recover tries again"
                   : "anybind list, then anybind restore DEVICE for what is not as it should be";
  return cause;
}

/// After a failure that left nothing behind.
Result<> Run::forget_what_was_begun() {
  if (records_.origins != nullptr) {
    for (std::size_t i = 0; i < fresh_.size(); ++i) {
      if (fresh_[i]) records_.origins->forget(plan_->devices[i].device);
    }
    for (const DeviceId& owner : fresh_owners_) records_.origins->forget(owner);
    TRY(records_.origins->save());
  }
  if (records_.journal != nullptr) TRY(records_.journal->close(Ending::kUndone));
  return {};
}

/// The same, and what is to be reported then.
Error Run::forgotten(Error cause) {
  const auto done = forget_what_was_begun();
  return done ? cause : still_open(std::move(cause), "all is as it was", done.error());
}

/// All is where it should be.
Result<std::vector<Outcome>> Run::succeed() {
  TRY(undo_settings(root_, *plan_, 0, settings_written_, Back::kPassing, listener_, options_));
  watch_.after(*plan_);
  if (plan_->restores || plan_->undoes != 0) give_back_interfaces();
  // In this order: what is remembered of a device that is as it was does no harm, but a
  // transaction that recover() takes back must not have been forgotten.
  if (records_.journal != nullptr) {
    const auto closed = records_.journal->close(Ending::kDone);
    if (!closed) return fail(still_open({}, "all is as asked", closed.error()));
  }
  forget_what_is_as_it_was();
  std::vector<Outcome> outcomes;
  outcomes.reserve(states_.size());
  for (State& state : states_) outcomes.push_back(*std::move(state.outcome));
  return outcomes;
}

/// All writes of the way forward, up to the first that failed.
std::optional<Error> Run::perform() {
  auto set = load_modules(root_, *plan_, listener_, options_, modules_loaded_);
  if (set) set = write_settings(plan_->early_settings());
  if (set) set = add_new_functions();
  if (!set) return std::move(set).error();
  wake_devices();
  run_devices();
  if (auto error = first_error()) return error;
  set = look_again();  // the late settings may remove devices, as was asked
  if (set) set = write_settings(plan_->settings.size());
  if (set && options_.finish) set = options_.finish();
  if (!set) return std::move(set).error();
  return std::nullopt;
}

Result<std::vector<Outcome>> Run::run() {
  TRY(remember());
  if (options_.check_users && !plan_->empty()) {
    auto free = options_.check_users(losing_drivers(*plan_));
    if (!free) {
      if (records_.journal != nullptr) records_.journal->rolling_back(free.error().message());
      return fail(forgotten(std::move(free).error()));
    }
  }
  auto cause = perform();
  if (!cause) return succeed();
  if (blind_) {  // putting the devices back could be wrong
    cause->code = Code::kIncomplete;
    cause->next = "anybind recover";
    return fail(*std::move(cause));
  }
  for (const std::string& module : modules_loaded_)
    cause->details.push_back("the module " + module + " was loaded, and stays");
  Error error = roll_back(*std::move(cause));
  if (error.code == Code::kIncomplete) return fail(std::move(error));
  return fail(forgotten(std::move(error)));
}

}  // namespace

Result<std::vector<Outcome>> run(Sysfs& root, const Plan& plan, Records records, Listener& listener,
                                 const RunOptions& options) {
  if (!options.concurrent) return Run(root, plan, records, listener, options).run();
  SharedListener shared(listener);
  return Run(root, plan, records, shared, options).run();
}

}  // namespace anybind
