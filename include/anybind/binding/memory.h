#pragma once

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

  /// To look at only. `boot` is boot_id(); `command` says in the journal what is being done.
  /// kIncomplete: a file is there that cannot be understood. kNotPermitted: it may not be read.
  [[nodiscard]] static Result<Memory> load(Storage& storage, const std::string& boot,
                                           const std::string& command);

  /// The same, for whoever changes bindings: takes the lock of `storage`, which is held until that
  /// object goes. Blocks while another process has it and `wait`, which is told its owner several
  /// times a second, says so; kRefused otherwise. kNotPermitted: no right to the directory.
  [[nodiscard]] static Result<Memory> lock(Storage& storage, const std::string& boot,
                                           const std::string& command, const Storage::Wait& wait);
};

/// Names this boot, after which nothing that was remembered holds any more
/// (sys/kernel/random/boot_id); empty when it cannot be read.
[[nodiscard]] std::string boot_id(const Proc& proc);

}  // namespace anybind
