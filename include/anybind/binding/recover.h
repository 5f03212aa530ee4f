#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "anybind/base/error.h"
#include "anybind/binding/journal.h"
#include "anybind/binding/origins.h"
#include "anybind/binding/transaction.h"
#include "anybind/host/sysfs.h"

namespace anybind {

/// What became of one open transaction.
struct Recovered {
  enum class What : std::uint8_t {
    kNothingOwed,  ///< of another boot, or never begun: only its file was removed
    kFinished,     ///< its devices are where they were to go
    kUndone,       ///< its devices are what they were
    kLeft,         ///< still open; `error` says why
  };
  std::uint64_t id = 0;
  What what = What::kLeft;
  std::string command;
  std::size_t devices = 0;          ///< without those that are gone
  std::vector<std::string> gone{};  ///< unplugged since, or another card has the address
  std::optional<Error> error{};     ///< of kLeft; with kUndone, why it could not be finished
};

/// Ends each open transaction of the journal, newest first, by the table of docs/journal-format.md:
/// from what is found now, to the goal or to what there was. Whoever calls holds the lock. May be
/// called again after any failure or crash.
[[nodiscard]] std::vector<Recovered> recover(Sysfs& root, Records records, Listener& listener,
                                             const RunOptions& options = {});

}  // namespace anybind
