#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "host/host.h"
#include "host/storage.h"
#include "record/journal.h"
#include "record/origins.h"

namespace anybind {

/// What anybind remembers between two commands: what each changed device was before (restore), and
/// the changes themselves (undo, recover). Refers to the Storage that it was read from.
struct Memory {
  Origins origins;
  Journal journal;
  std::optional<Error> damage{};  ///< why `origins` is empty: its file could not be read

  enum class OnDamage : std::uint8_t { kFail, kGoOn };  ///< of the file of `origins`

  /// To look at only; `host` keeps it. kIncomplete: a file is there that cannot be understood.
  /// kNotPermitted: it may not be read.
  [[nodiscard]] static Result<Memory> load(const Host& host);

  /// The same, for whoever changes bindings: takes the lock of `host.storage`, which is held until
  /// it is unlocked, or that object goes. Blocks while another process has it and `wait`, which is
  /// told its owner several times a second, says so; kRefused otherwise. kNotPermitted: no right to
  /// the directory. kFailed: the boot has no name; what was done could then not be told from what
  /// another boot did. kGoOn is for recover(), which can put devices back without `origins`.
  [[nodiscard]] static Result<Memory> lock(const Host& host, const Storage::Wait& wait,
                                           OnDamage on_damage = OnDamage::kFail);
};

}  // namespace anybind
