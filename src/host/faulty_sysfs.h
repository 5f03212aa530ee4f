#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "host/sysfs.h"

namespace anybind {

/// Which operation fails, and how. Shared by a FaultySysfs and all directories opened through it.
struct Fault {
  std::size_t fail_at = 0;   ///< the n-th operation from now fails, counted from 1; 0: none
  Errno err{};               ///< with this
  bool only_writes = false;  ///< count only writes
  bool after = false;        ///< the operation takes effect first, then its success is denied
  std::size_t count = 0;     ///< operations counted so far; kept up by the decorator
  /// A device by its name whose lock is held: what waits for it is not answered in time.
  std::string busy{};
  /// A file by the end of its path, "e1000e/bind": a patient write to it is left behind in process
  /// `pid`; it takes effect first with `after`.
  std::string left_behind{};
  long pid = 0;
};

/// Passes calls on to `inner`, except for the one that `fault` names. Owns neither; both must
/// outlive it and all directories opened through it. Not thread-safe.
[[nodiscard]] std::unique_ptr<Sysfs> faulty_sysfs(Sysfs& inner, Fault& fault);

}  // namespace anybind
