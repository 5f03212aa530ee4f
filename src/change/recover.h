#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "change/transaction.h"
#include "host/host.h"
#include "record/journal.h"
#include "record/origins.h"

namespace anybind {

/// What became of one open transaction.
struct Recovered {
  enum class What : std::uint8_t {
    kNothingOwed,  ///< of another boot: only its file was removed
    kFinished,     ///< its devices are where they were to go
    kUndone,       ///< its devices are what they were
    kLeft,         ///< still open; `error` says why, and of which devices
  };
  std::uint64_t id = 0;
  What what = What::kLeft;
  std::string command;
  std::size_t devices = 0;          ///< without those that are gone
  std::vector<std::string> gone{};  ///< unplugged since, or another card has the address
  std::optional<Error> error{};     ///< of kLeft; with kUndone, why it could not be finished
  /// What `restore` remembers could not be brought up to date: no harm to the devices.
  std::optional<Error> memory{};
};

/// Ends each open transaction of the journal, newest first, by the table of docs/journal-format.md:
/// from what is found now, to the goal or to what there was. A device that would lose its driver to
/// it, and is in use (RunOptions::users), is left as it is, and its transaction stays open.
/// Without `origins` the devices are put back all the same; what went with their drivers (virtual
/// functions, interfaces that were up) then is not. Whoever calls holds the lock. May be called
/// again after any failure or crash.
[[nodiscard]] std::vector<Recovered> recover(const Host& host, Records records, Listener& listener,
                                             const RunOptions& options = {});

}  // namespace anybind
