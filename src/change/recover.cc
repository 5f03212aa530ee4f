// After a process died in the middle of a change: to its goal, or back to what there was.
//
// Nothing is replayed. The journal tells where the devices were to go and what they were; where
// they are is looked at. A write that the dead process had begun may have had its effect or not,
// and an administrator may have helped himself since. From what is found the same functions plan as
// on the way forward, so a second crash, here, needs no rules of its own: recover() again.
//
// To finish or to undo? What had reached its goal is finished, which mostly means that only the
// journal is closed; so is what only waited in a write on the way there. All else is undone: a
// change is all or nothing, and what there was is known to work. When the last thing of all was to
// be late (functions are removed once their drivers are gone) it alone tells, for what it removed
// cannot be put back. Where that cannot be seen nothing is done: to put devices back could be
// wrong.
//
// A driver that does not take its device back is the exception. It had it by an id that is gone, or
// by force, and would never have it again; then the goal is tried for these devices only, and if
// that works too little the transaction stays open and says so.
//
// First of all, no process of the dead one may still be in a write: its device's lock is held, and
// the write takes place when that is free (kernel-facts 7: a bind in a slow probe is not ended by
// SIGKILL). So a transaction with such a write is left alone until the process has gone.
//
// In use means left as it is, as everywhere. What becomes of the devices and what can be written
// down of it are two things: a full disk changes only the second.
#include "change/recover.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <numeric>
#include <ranges>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/text.h"
#include "base/try.h"
#include "change/belongings.h"
#include "change/calm_listener.h"
#include "change/device_run.h"
#include "change/newcomers.h"
#include "change/patient_writer.h"

namespace anybind {
namespace {

using What = Recovered::What;

/// The driver that it had, and was to lose, has the device `of`: somebody else's doing, when it was
/// seen at its goal. True also where that cannot be read.
bool is_at_before(Sysfs& root, const JournalDevice& of) {
  if (of.goal.default_match || of.before.driver == of.goal.driver) return false;
  const auto dir = open_device(root, of.device);
  if (!dir) return true;
  if (*dir == nullptr) return false;
  const auto now = (*dir)->instance();
  if (now && *now != of.instance) return false;
  const auto driver = read_driver(**dir);
  return !now || !driver || *driver == of.before.driver;
}

/// It is not with the driver that it had. False also where that cannot be read.
bool has_left(Sysfs& root, const DevicePlan& of) {
  const auto dir = open_device(root, of.device);
  if (!dir || *dir == nullptr || (*dir)->instance() != of.instance) return false;
  const auto driver = read_driver(**dir);
  return driver && *driver != of.before.driver;
}

bool to_be_finished(Sysfs& root, const JournalEntry& entry, bool late_done) {
  const auto went_back = [](const StuckWrite& write) { return write.back; };
  const auto of_device = [](const StuckWrite& write) { return write.device.has_value(); };
  if (std::ranges::any_of(entry.stuck, of_device))
    return std::ranges::none_of(entry.stuck, went_back);
  if (entry.rolling_back) return false;
  // The last thing of all tells whether all has been done.
  if (!entry.settings.empty() && entry.settings.back().late) return late_done;
  return !entry.devices.empty() && std::ranges::all_of(entry.devices, &JournalDevice::done) &&
         std::ranges::none_of(entry.devices,
                              [&](const JournalDevice& of) { return is_at_before(root, of); });
}

/// Ends one transaction. What becomes of the devices, and what can be written down of it, are two
/// things: no error of the second changes the first.
class OneRecovery {
 public:
  OneRecovery(const Host& host, const JournalEntry& entry, Records records, Listener& listener,
              const RunOptions& options)
      : host_(host),
        root_(host.sysfs),
        entry_(entry),
        plan_(entry.plan()),
        records_(records),
        listener_(listener),
        options_(options),
        writer_(host, options, listener, [this](const StuckWrite& write) { note(write); }) {
    CHECK(entry.devices.size() == plan_.devices.size(), "the plan has the devices of its journal");
    out_ = {.id = entry.id, .command = entry.command};
  }

  Recovered run() {
    CHECK(records_.journal->current() == entry_.id, "it is the transaction gone on with");
    if (entry_.ending)
      return close(*entry_.ending,
                   *entry_.ending == Ending::kDone ? What::kFinished : What::kUndone);
    note_flags_that_are_off();
    const auto stuck = still_waiting(entry_, host_.own_proc);
    if (!stuck.empty()) {
      return left(
          {.kind = ErrorKind::kIncomplete,
           .operation = "recover",
           .object = fmt::format("transaction {}", entry_.id),
           .why = join_words(stuck),
           .advice = Remark("wait until that has ended, or end whoever has the device open; "
                            "then: ") +
                     Action::kRecover});
    }
    // Whether the last thing was done cannot be seen: to put devices back could be wrong.
    bool late_done = false;
    if (!entry_.settings.empty() && entry_.settings.back().late && !entry_.rolling_back) {
      const auto text = root_.read(entry_.settings.back().path);
      if (!text && text.error().value != ENOENT)
        return left(from_errno(text.error(), "read", entry_.settings.back().path));
      late_done = text && trim_newline(*text) == entry_.settings.back().bytes;
    }
    const bool tried = to_be_finished(root_, entry_, late_done);
    if (tried) {
      const bool done = std::ranges::all_of(entry_.devices, &JournalDevice::done);
      auto finished = finish(everyone(), done ? Ids::kNotNeeded : Ids::kNeeded);
      if (finished) return end_finished();
      // What the last part has removed cannot be put back as it was.
      if (stuck_ || late_done) return left(std::move(finished).error());
      out_.error = std::move(finished).error();
    }
    records_.journal->rolling_back("recover");
    undo(everyone());
    if (failures_.empty()) return end_undone();
    CHECK(std::ranges::is_sorted(unwilling_), "they are finished in the order of the plan");
    if (tried || stuck_ || unwilling_.empty()) return left(join(failures_));
    return try_goal();
  }

 private:
  using Devices = std::vector<std::size_t>;
  enum class Ids : std::uint8_t { kNeeded, kNotNeeded };  ///< dynamic ones, which are brief

  [[nodiscard]] Devices everyone() const {
    Devices out(plan_.devices.size());
    std::iota(out.begin(), out.end(), 0);
    return out;
  }

  /// A driver may not take back a device that it had by an id which is gone, or by force. Only such
  /// devices are given to what they were to go to; the others are back, and stay there.
  Recovered try_goal() {
    CHECK(!unwilling_.empty() && unwilling_.size() <= failures_.size(),
          "each device that is not taken back is a failure");
    const Devices unwilling = unwilling_;
    const std::vector<Error> failures = failures_;
    const bool nothing_else = failures.size() == unwilling.size();
    auto finished = finish(unwilling, Ids::kNeeded);
    if (finished && nothing_else && is_all_of_it(unwilling)) return end_finished();
    if (finished) {
      Error error = join(failures);
      error.why +=
          fmt::format("; {} where it was to go{}", unwilling.size() == 1 ? "it is" : "they are",
                      nothing_else ? ", the other devices are as before" : "");
      error.advice =
          Action::kRecover +
          fmt::format(" tries again; to leave it so, move journal-{}.open out of the way",
                      entry_.id);
      return left(std::move(error));
    }
    if (stuck_) return left(join(failures));
    // What that try left must not stay. Perhaps whoever was in the way of the first one has gone.
    undo(unwilling);
    if (failures_.empty() && nothing_else) return end_undone();
    return left(join(nothing_else ? failures_ : failures));
  }

  /// With these devices at their goals, all of them are.
  [[nodiscard]] bool is_all_of_it(const Devices& devices) const {
    if (std::ranges::any_of(plan_.settings, &Setting::lasting)) return false;
    for (std::size_t i = 0; i < plan_.devices.size(); ++i) {
      const DevicePlan& of = plan_.devices[i];
      const bool differs = of.goal.default_match || of.goal != as_goal(of.before);
      if (differs && std::ranges::find(devices, i) == devices.end() &&
          std::ranges::find(out_.gone, of.device.str()) == out_.gone.end())
        return false;
    }
    return true;
  }

  static Error join(const std::vector<Error>& errors) {
    CHECK(!errors.empty(), "what is left has a reason");
    Error out = errors.front();
    out.kind = ErrorKind::kIncomplete;
    if (errors.size() == 1) {
      if (!out.advice.names(Action::kRecover))
        out.advice += (out.advice.empty() ? "" : ", then: ") + Remark(Action::kRecover);
      return out;
    }
    std::vector<std::string> messages;
    out.details.clear();
    for (const Error& error : errors) {
      messages.push_back(error.message());
      for (const Remark& line : error.details) {
        if (std::ranges::find(out.details, line) == out.details.end()) out.details.push_back(line);
      }
    }
    out.err = {};
    out.operation = "put back";
    out.object = "these devices";
    out.why = join_words(messages);
    out.advice = Action::kRecover;
    return out;
  }

  Recovered left(Error error) {
    error.kind = ErrorKind::kIncomplete;
    return ended(What::kLeft, std::move(error));
  }

  Recovered ended(What what, std::optional<Error> error) {
    out_.what = what;
    if (error) out_.error = std::move(error);
    CHECK(out_.gone.size() <= entry_.devices.size(), "no more devices are gone than there were");
    out_.devices = entry_.devices.size() - out_.gone.size();
    return std::move(out_);
  }

  /// In this order: a crash in between leaves a memory of what is so again, which does no harm.
  Recovered end_finished() {
    if (!offer_those_who_came()) return left(std::move(failures_.back()));
    if (entry_.restores || entry_.undoes != 0) give_back_interfaces();
    Recovered out = close(Ending::kDone, What::kFinished);
    if (out.what == What::kFinished && records_.origins != nullptr) {
      forget_what_is_as_it_was();
      save(out);
    }
    return out;
  }

  Recovered end_undone() {
    if (!offer_those_who_came()) return left(std::move(failures_.back()));
    if (records_.origins != nullptr) {
      give_back_interfaces();
      forget_owners();
      for (const JournalDevice& device : entry_.devices) {
        if (device.fresh) records_.origins->forget(device.device);
      }
      save(out_);
    }
    return close(Ending::kUndone, What::kUndone);
  }

  /// Before anything is put back: of a flag that is on again nobody knows since when, and what has
  /// no driver by now may be meant to have none.
  void note_flags_that_are_off() {
    for (const Setting& setting : plan_.settings) {
      if (setting.youngest != Instance{} && is_written(root_, setting)) flags_.push_back(setting);
    }
  }

  /// While a flag was off that the dead process had not put back. False, with the reason in
  /// failures_, when such a write does not return.
  bool offer_those_who_came() {
    for (const Setting& flag : flags_) offer_newcomers(root_, flag, listener_, writer_);
    if (flags_.empty() || !stuck_) return true;
    failures_.push_back({.kind = ErrorKind::kIncomplete,
                         .operation = "offer",
                         .object = "a device that came meanwhile",
                         .why = "the kernel does not return from its probe",
                         .advice = Action::kRecover});
    return false;
  }

  /// What is remembered of a device that is as it was does no harm.
  void save(Recovered& out) const {
    auto saved = records_.origins->save();
    if (!saved) out.memory = std::move(saved).error();
  }

  Recovered close(Ending ending, What what) {
    CHECK(records_.journal->current() == entry_.id, "a transaction is closed once");
    auto closed = records_.journal->close(ending);
    if (closed) return ended(what, std::nullopt);
    Error error = std::move(closed).error();
    error.why = fmt::format("the devices are {}, but the journal is still open: {}",
                            ending == Ending::kDone ? "as asked" : "as before",
                            error.why.empty() ? error.err.text() : error.why);
    return left(std::move(error));
  }

  /// `devices`, to where they were to go.
  Result<> finish(const Devices& devices, Ids ids) {
    const std::size_t all = plan_.settings.size();
    // First, so that no dynamic id is there twice; then what is left to do may need it.
    TRY(take_back(0, all, Back::kBrief));
    if (ids == Ids::kNeeded) TRY(write_brief());
    const auto finished = finish_devices(devices);
    TRY(take_back(0, all, Back::kPassing));
    return finished;
  }

  Result<> finish_devices(const Devices& devices) {
    for (const std::size_t at : devices) TRY(finish(at));
    return {};
  }

  Result<> write_brief() {
    for (const Setting& setting : plan_.settings) {
      if (!setting.brief) continue;
      listener_.on_setting(setting);
      TRY(write_setting(root_, setting, writer_));
    }
    return {};
  }

  Result<> take_back(std::size_t from, std::size_t to, Back which) {
    return undo_settings(root_, plan_, from, to, which, listener_, writer_);
  }

  void forget_what_is_as_it_was() {
    forget_owners();
    for (const JournalDevice& device : entry_.devices) {
      const auto origin = records_.origins->find(device.device, device.instance);
      const bool owes =
          origin && origin->had.functions && !is_as_it_was(root_, device.device, *origin);
      if (entry_.restores && !owes) records_.origins->forget(device.device);
    }
  }

  void give_back_interfaces() {
    if (records_.origins == nullptr) return;
    for (const JournalDevice& device : entry_.devices) {
      if (const auto origin = records_.origins->find(device.device, device.instance))
        set_up_again(root_, device.device, *origin, listener_, writer_);
    }
  }

  /// Devices whose number of virtual functions is what it was.
  void forget_owners() {
    for (const Setting& setting : entry_.settings) {
      if (!setting.lasting || !setting.device) continue;
      const auto origin = records_.origins->find(*setting.device, setting.instance);
      if (origin && is_as_it_was(root_, *setting.device, *origin))
        records_.origins->forget(*setting.device);
    }
  }

  Result<> make_functions_again(const JournalDevice& of) {
    if (records_.origins == nullptr || !of.fresh) return {};
    const auto origin = records_.origins->find(of.device, of.instance);
    return origin ? anybind::make_functions_again(root_, of.device, *origin, listener_, writer_)
                  : Result<>();
  }

  Result<> finish(std::size_t at) {
    CHECK(at < plan_.devices.size(), "only devices of the transaction are finished");
    const DevicePlan& of = plan_.devices[at];
    DeviceRun device(host_, plan_.held, of, listener_, options_);
    device.rolling_back();  // recovering is not interrupted half way
    const auto opened = device.open(nullptr);
    if (!opened && opened.error().kind == ErrorKind::kNotFound) {
      note_gone(of.device);
      return offer_newcomer(root_, of, listener_, writer_);
    }
    TRY(opened);
    const auto observed = device.observe_at_rest();
    note_busy(observed);
    const Binding now = TRY(observed);
    if (of.goal.default_match && now.driver && !now.driver_override) return {};
    if (is_foreign(of, now)) {
      warn_of_foreign(of, now, listener_);
      return {};
    }
    const auto done = device.run(device.steps_to(now, of.goal));
    if (!done) note_stuck(at, device.abandoned(), false);
    return done;
  }

  /// `devices`, to what they were; of what is not, in failures_ and unwilling_.
  void undo(const Devices& devices) {
    failures_.clear();
    unwilling_.clear();
    const std::size_t early = plan_.early_settings();
    note(take_back(early, plan_.settings.size(), Back::kAll));
    note(take_back(0, early, Back::kBrief));
    for (const std::size_t at : std::views::reverse(devices)) {
      CHECK(at < plan_.devices.size(), "only devices of the transaction are put back");
      const DevicePlan& of = plan_.devices[at];
      WayBack back = put_back(host_, plan_.held, of, listener_, writer_);
      note_busy(back.result);
      if (back.gone) note_gone(of.device);
      if (back.result) back.result = make_functions_again(entry_.devices[at]);
      if (back.result) continue;
      note_stuck(at, back.abandoned, true);
      note(std::move(back.result));
      if (!back.in_use && has_left(root_, of)) unwilling_.push_back(at);
    }
    std::ranges::reverse(unwilling_);
    note(take_back(0, early, Back::kOthers));
  }

  void note_gone(const DeviceId& device) {
    if (std::ranges::find(out_.gone, device.str()) == out_.gone.end())
      out_.gone.push_back(device.str());
  }

  void note(Result<> result) {
    if (!result) failures_.push_back(std::move(result).error());
  }

  void note(const StuckWrite& write) {
    stuck_ = true;
    records_.journal->stuck(write);
  }

  void note_stuck(std::size_t at, const LeftWrite& abandoned, bool back) {
    if (abandoned.pid != 0) note(stuck_write(at, abandoned, abandoned.what, back, host_));
  }

  /// Another way would wait for the same lock.
  template <class T>
  void note_busy(const Result<T>& result) {
    if (!result && result.error().err.value == ETIMEDOUT) stuck_ = true;
  }

  const Host& host_;
  Sysfs& root_;
  const JournalEntry& entry_;
  HeldPlan plan_;  ///< holds nothing
  Records records_;
  Listener& listener_;
  const RunOptions& options_;
  PatientWriter writer_;
  bool stuck_ = false;
  std::vector<Setting> flags_;   ///< of buses, that were off when it began
  std::vector<Error> failures_;  ///< of the way back
  Devices unwilling_;            ///< which their drivers did not take back
  Recovered out_;
};

Recovered recover_one(const Host& host, std::uint64_t id, Records records, Listener& listener,
                      const RunOptions& options) {
  Journal& journal = *records.journal;
  Recovered out{.id = id};
  auto entry = journal.read(id);
  if (entry && *entry && ((*entry)->boot.empty() || journal.boot_id().empty())) {
    entry = fail({.kind = ErrorKind::kIncomplete,
                  .operation = "recover",
                  .object = fmt::format("transaction {}", id),
                  .why = "of which boot it is cannot be told: the boot id could not be read",
                  .advice = Remark("look at its devices with `") + Action::kList +
                            "`, then remove its file"});
  }
  if (!entry) {
    out.error = entry.error();
    return out;
  }
  const bool owed = *entry && (*entry)->boot == journal.boot_id();
  if (*entry) out.command = (*entry)->command;
  if (owed) {
    journal.resume(id);
    return OneRecovery(host, **entry, records, listener, options).run();
  }
  auto dropped = journal.drop(id);
  if (dropped) {
    out.what = What::kNothingOwed;
  } else {
    out.error = std::move(dropped).error();
  }
  return out;
}

/// What is thrown, for want of memory, leaves it open for another try.
Recovered recover_or_leave(const Host& host, std::uint64_t id, Records records, Listener& listener,
                           const RunOptions& options) {
  try {
    return recover_one(host, id, records, listener, options);
  } catch (const std::exception& thrown) {
    return {.id = id,
            .what = What::kLeft,
            .error = Error{.kind = ErrorKind::kIncomplete,
                           .operation = "recover",
                           .object = fmt::format("transaction {}", id),
                           .why = thrown.what(),
                           .advice = Action::kRecover}};
  }
}

}  // namespace

std::vector<Recovered> recover(const Host& host, Records records, Listener& listener,
                               const RunOptions& options) {
  CHECK(records.journal != nullptr, "recover() goes by the journal");
  CalmListener calm(listener);
  std::vector<Recovered> out;
  const std::vector<std::uint64_t> open = records.journal->open();
  for (const std::uint64_t id : std::views::reverse(open)) {
    out.push_back(recover_or_leave(host, id, records, calm, options));
  }
  return out;
}

}  // namespace anybind
