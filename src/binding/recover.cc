#include "binding/recover.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <ranges>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "binding/belongings.h"
#include "binding/calm_listener.h"
#include "binding/device_run.h"
#include "binding/patient_writer.h"

namespace anybind {
namespace {

using What = Recovered::What;

bool to_be_finished(Sysfs& root, const JournalEntry& entry) {
  const auto went_back = [](const StuckWrite& write) { return write.back; };
  const auto of_device = [](const StuckWrite& write) { return write.device.has_value(); };
  if (std::ranges::any_of(entry.stuck, of_device))
    return std::ranges::none_of(entry.stuck, went_back);
  if (entry.rolling_back) return false;
  // The last thing of all tells whether all has been done.
  if (!entry.settings.empty() && entry.settings.back().late)
    return is_written(root, entry.settings.back());
  return !entry.devices.empty() && std::ranges::all_of(entry.devices, &JournalDevice::done);
}

/// Ends one transaction.
class Recovery {
 public:
  Recovery(Sysfs& root, const JournalEntry& entry, Records records, Listener& listener,
           const RunOptions& options)
      : root_(root),
        entry_(entry),
        plan_(entry.plan()),
        records_(records),
        listener_(listener),
        options_(options),
        writer_(options, listener, [this](const StuckWrite& write) { note(write); }) {}

  Recovered run() {
    Recovered out{.id = entry_.id, .command = entry_.command};
    const auto end = [&](Result<> result, What what) {
      out.gone = std::move(gone_);
      out.devices = entry_.devices.size() - out.gone.size();
      if (result) {
        out.what = what;
      } else {
        out.what = What::kLeft;
        out.error = std::move(result).error();
      }
      return out;
    };
    if (entry_.ending) {
      return end(close(*entry_.ending),
                 *entry_.ending == Ending::kDone ? What::kFinished : What::kUndone);
    }
    const auto stuck = still_waiting(entry_, options_.proc);
    if (!stuck.empty()) {
      return end(fail({.code = Code::kIncomplete,
                       .operation = "recover",
                       .object = fmt::format("transaction {}", entry_.id),
                       .why = join_words(stuck),
                       .next = "wait until that has ended, or end whoever has the device open; "
                               "then: anybind recover"}),
                 What::kLeft);
    }
    const bool tried = to_be_finished(root_, entry_);
    if (tried) {
      const auto finished = finish();
      if (finished) return end(close_and_forget(), What::kFinished);
      if (stuck_) return end(finished, What::kLeft);
      out.error = finished.error();
    }
    const auto undone = undo();
    if (undone) return end(close(Ending::kUndone), What::kUndone);
    if (stuck_ || tried) return end(undone, What::kLeft);
    // A driver may not take back a device that it had by an id which is gone, or by force.
    if (finish()) return end(close_and_forget(), What::kFinished);
    // What that try left must not stay. Perhaps whoever was in the way of the first one has gone.
    if (!stuck_ && undo()) return end(close(Ending::kUndone), What::kUndone);
    return end(undone, What::kLeft);
  }

 private:
  Result<> finish() {
    const std::size_t all = plan_.settings.size();
    // First, so that no dynamic id is there twice; then what is left to do may need it.
    TRY(take_back(0, all, Back::kBrief));
    if (!std::ranges::all_of(entry_.devices, &JournalDevice::done)) TRY(write_brief());
    const auto finished = finish_devices();
    TRY(take_back(0, all, Back::kPassing));
    return finished;
  }

  Result<> finish_devices() {
    gone_.clear();
    for (std::size_t i = 0; i < plan_.devices.size(); ++i) TRY(finish(i));
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

  /// In this order: a crash in between leaves a memory of what is so again, which does no harm.
  Result<> close_and_forget() {
    if (entry_.restores || entry_.undoes != 0) give_back_interfaces();
    TRY(close(Ending::kDone));
    if (records_.origins == nullptr) return {};
    forget_owners();
    for (const JournalDevice& device : entry_.devices) {
      const auto origin = records_.origins->find(device.device, device.instance);
      const bool owes =
          origin && origin->had.functions && !is_as_it_was(root_, device.device, *origin);
      if (entry_.restores && !owes) records_.origins->forget(device.device);
    }
    return records_.origins->save();
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
    const DevicePlan& of = plan_.devices[at];
    DeviceRun device(root_, plan_, of, listener_, options_);
    device.rolling_back();  // recovering is not interrupted half way
    const auto opened = device.open(nullptr);
    if (!opened && opened.error().code == Code::kNotFound) {
      gone_.push_back(of.device.str());
      return offer_newcomer(root_, of, listener_, writer_);
    }
    TRY(opened);
    const auto observed = device.observe_at_rest();
    note_busy(observed);
    const Binding now = TRY(observed);
    if (of.goal.default_match && now.driver && !now.driver_override) return {};
    const auto done = device.run(device.steps_to(now, of.goal));
    if (!done) note_stuck(at, device.abandoned(), false);
    return done;
  }

  Result<> undo() {
    std::vector<Error> errors;
    gone_.clear();
    const std::size_t early = plan_.early_settings();
    TRY(take_back(early, plan_.settings.size(), Back::kAll));
    TRY(take_back(0, early, Back::kBrief));
    for (std::size_t i = plan_.devices.size(); i-- > 0;) {
      LeftWrite abandoned;
      const auto there = put_back(root_, plan_, plan_.devices[i], listener_, writer_, abandoned);
      note_busy(there);
      if (there && !*there) gone_.push_back(plan_.devices[i].device.str());
      auto back = there ? make_functions_again(entry_.devices[i]) : fail(there.error());
      if (back) continue;
      note_stuck(i, abandoned, true);
      errors.push_back(std::move(back).error());
    }
    TRY(take_back(0, early, Back::kOthers));
    if (!errors.empty()) {
      errors.front().code = Code::kIncomplete;
      return fail(errors.front());
    }
    if (records_.origins == nullptr) return {};
    give_back_interfaces();
    forget_owners();
    for (const JournalDevice& device : entry_.devices) {
      if (device.fresh) records_.origins->forget(device.device);
    }
    return records_.origins->save();
  }

  void note(const StuckWrite& write) {
    stuck_ = true;
    records_.journal->stuck(write);
  }

  void note_stuck(std::size_t at, const LeftWrite& abandoned, bool back) {
    if (abandoned.pid != 0) note(stuck_write(at, abandoned, abandoned.what, back, options_));
  }

  /// Another way would wait for the same lock.
  template <class T>
  void note_busy(const Result<T>& result) {
    if (!result && result.error().err.value == ETIMEDOUT) stuck_ = true;
  }

  Result<> close(Ending ending) { return records_.journal->close(ending); }

  Sysfs& root_;
  const JournalEntry& entry_;
  Plan plan_;
  Records records_;
  Listener& listener_;
  const RunOptions& options_;
  PatientWriter writer_;
  bool stuck_ = false;
  std::vector<std::string> gone_;
};

Recovered recover_one(Sysfs& root, std::uint64_t id, Records records, Listener& listener,
                      const RunOptions& options) {
  Journal& journal = *records.journal;
  Recovered out{.id = id};
  const auto entry = journal.read(id);
  if (!entry) {
    out.error = entry.error();
    return out;
  }
  const bool owed = *entry && (*entry)->boot == journal.boot_id();
  if (*entry) out.command = (*entry)->command;
  const auto begun = owed ? journal.resume(id) : journal.drop(id);
  if (!begun) {
    out.error = begun.error();
    return out;
  }
  if (owed) return Recovery(root, **entry, records, listener, options).run();
  out.what = What::kNothingOwed;
  return out;
}

/// What is thrown, for want of memory, leaves it open for another try.
Recovered recover_or_leave(Sysfs& root, std::uint64_t id, Records records, Listener& listener,
                           const RunOptions& options) {
  try {
    return recover_one(root, id, records, listener, options);
  } catch (const std::exception& thrown) {
    return {.id = id,
            .what = What::kLeft,
            .error = Error{.code = Code::kIncomplete,
                           .operation = "recover",
                           .object = fmt::format("transaction {}", id),
                           .why = thrown.what(),
                           .next = "anybind recover"}};
  }
}

}  // namespace

std::vector<Recovered> recover(Sysfs& root, Records records, Listener& listener,
                               const RunOptions& options) {
  CalmListener calm(listener);
  std::vector<Recovered> out;
  const std::vector<std::uint64_t> open = records.journal->open();
  for (const std::uint64_t id : std::views::reverse(open)) {
    out.push_back(recover_or_leave(root, id, records, calm, options));
  }
  return out;
}

}  // namespace anybind
