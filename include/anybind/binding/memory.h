#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "anybind/base/error.h"
#include "anybind/binding/journal.h"
#include "anybind/binding/origins.h"
#include "anybind/host/proc.h"
#include "anybind/host/storage.h"

namespace anybind {

/// What anybind remembers between two commands: what each changed device was before (restore), and
/// the changes themselves (undo, recover). Refers to the Storage that it was read from.
struct Memory {
  Origins origins;
  Journal journal;
  std::optional<Error> damage{};  ///< why `origins` is empty: its file could not be read

  enum class OnDamage : std::uint8_t { kFail, kGoOn };  ///< of the file of `origins`

  /// To look at only. `boot` is boot_id(), and may be empty here; `command` says in the journal
  /// what is being done. kIncomplete: a file is there that cannot be understood. kNotPermitted: it
  /// may not be read.
  [[nodiscard]] static Result<Memory> load(Storage& storage, const std::string& boot,
                                           const std::string& command);

  /// The same, for whoever changes bindings: takes the lock of `storage`, which is held until that
  /// object goes. Blocks while another process has it and `wait`, which is told its owner several
  /// times a second, says so; kRefused otherwise. kNotPermitted: no right to the directory.
  /// kFailed: `boot` is empty; what was done could then not be told from what another boot did.
  /// kGoOn is for recover(), which can put devices back without `origins`.
  [[nodiscard]] static Result<Memory> lock(Storage& storage, const std::string& boot,
                                           const std::string& command, const Storage::Wait& wait,
                                           OnDamage on_damage = OnDamage::kFail);
};

/// Names this boot, after which nothing that was remembered holds any more
/// (sys/kernel/random/boot_id); empty when it cannot be read.
[[nodiscard]] std::string boot_id(const Proc& proc);

}  // namespace anybind
