#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "host/storage.h"
#include "plan/plan.h"

namespace anybind {

/// A device of a transaction: what there was and what is intended.
struct JournalDevice {
  DeviceId device;
  Instance instance;
  Binding before;
  Goal goal;
  bool fresh = false;   ///< `restore` did not know it before this transaction
  bool parked = false;  ///< it slept, and was to be woken
  Mechanism mechanism = Mechanism::kDriverOverride;
  bool done = false;  ///< it has reached its goal
};

/// A write that has not returned, and the process that hangs in it.
struct StuckWrite {
  std::optional<std::size_t> device;  ///< which of the transaction's devices; none: a setting's
  long pid = 0;
  std::uint64_t started = 0;    ///< tells it from another process with this number
  bool back = false;            ///< it happened while putting things back
  std::string what = "unbind";  ///< "bind", "write to bus/pci/drivers/e1000e/new_id"
};

enum class Ending : std::uint8_t { kDone, kUndone };

/// One file of the journal.
struct JournalEntry {
  std::uint64_t id = 0;
  std::int64_t time = 0;  ///< seconds since 1970
  std::string boot;
  std::string command;
  bool restores = false;
  std::uint64_t undoes = 0;
  std::vector<Setting> settings;
  std::vector<JournalDevice> devices;
  std::vector<StuckWrite> stuck;
  bool rolling_back = false;
  std::optional<Ending> ending;

  /// A plan with the same devices and no steps.
  [[nodiscard]] Plan plan() const;
};

/// What is durably known of changes (docs/journal-format.md): an open file for a transaction that
/// is running or was cut off, and closed ones for `history` and `undo`. Whoever begins or closes
/// one holds the lock of `storage`.
class Journal {
 public:
  static constexpr std::uint64_t kKept = 100;  ///< closed transactions

  /// Reads the names of the files. `boot_id` names this boot; `command` is what this process does.
  [[nodiscard]] static Result<Journal> load(Storage& storage, std::string boot_id,
                                            std::string command, std::int64_t now);

  [[nodiscard]] const std::vector<std::uint64_t>& open() const { return open_; }
  [[nodiscard]] const std::vector<std::uint64_t>& closed() const { return closed_; }
  [[nodiscard]] const std::string& boot_id() const { return boot_id_; }

  /// nullopt: its file has gone. kIncomplete: it cannot be understood, or read. kNotPermitted: it
  /// tells of writes that anybind never makes.
  [[nodiscard]] Result<std::optional<JournalEntry>> read(std::uint64_t id) const;

  /// Durably before the first write: an entry with `plan`. `fresh`: one for each device.
  [[nodiscard]] Result<> begin(const Plan& plan, const std::vector<bool>& fresh);
  /// Goes on with an open one. That later lines cannot be written to it only loses those.
  void resume(std::uint64_t id);

  // Of the transaction that was begun or resumed. What these cannot write is only missed.
  void device_done(std::size_t device);
  /// Devices that came to `plan` after it was begun, those from `from` on; `fresh` as for begin().
  void more(const Plan& plan, std::size_t from, const std::vector<bool>& fresh);
  void rolling_back(const std::string& why);
  void stuck(const StuckWrite& write);

  /// It has ended.
  [[nodiscard]] Result<> close(Ending ending);
  /// Removes an open one for which nothing is owed.
  [[nodiscard]] Result<> drop(std::uint64_t id);

  /// The transaction that was begun or resumed; 0 when there is none.
  [[nodiscard]] std::uint64_t current() const { return current_; }

 private:
  Journal(Storage& storage, std::string boot_id, std::string command, std::int64_t now)
      : storage_(&storage), boot_id_(std::move(boot_id)), command_(std::move(command)), now_(now) {}
  void append(const std::string& json_text);

  Storage* storage_;
  std::string boot_id_;
  std::string command_;
  std::int64_t now_;
  std::vector<std::uint64_t> open_;
  std::vector<std::uint64_t> closed_;
  std::uint64_t current_ = 0;
  std::unique_ptr<Log> log_;
};

}  // namespace anybind
