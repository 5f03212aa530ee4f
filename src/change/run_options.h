#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "host/accounts.h"
#include "record/journal.h"
#include "record/origins.h"
#include "users/refusal.h"

namespace anybind {

/// Where a run writes down what it does; nullptr: nothing is kept.
struct Records {
  // NOLINTNEXTLINE(google-explicit-constructor,hicpp-explicit-conversions): most have only origins
  Records(Origins* o, Journal* j = nullptr) : origins(o), journal(j) {}
  Origins* origins;
  Journal* journal;
};

struct RunOptions {
  /// For an unbind from a VFIO driver, which waits for a user who may never go, and for what
  /// somebody else does to a device. After that the write is left behind in a process.
  std::chrono::milliseconds patience{10'000};
  /// The same for all other writes: a driver may load firmware, or reset hardware that is slow.
  std::chrono::milliseconds long_patience{120'000};
  bool find_causes = true;  ///< of a failure: reads more, before anything is put back
  /// Asked of all devices of a plan once the intention is durable, just before the first write;
  /// and of each device before it loses its driver on its way back, or by recover(): one that is in
  /// use is then left as it is. nullptr: nobody uses any. Must outlive the run.
  const Users* users = nullptr;
  /// Names of what VFIO refuses that shall not stop virtual functions which are made meanwhile.
  std::vector<std::string> ignored{};
  /// Gets the nodes of the devices, which go to a VFIO driver, once every device is where it shall
  /// be, also when it was there already; an error of that puts everything back.
  std::optional<Owner> owner{};
};

}  // namespace anybind
