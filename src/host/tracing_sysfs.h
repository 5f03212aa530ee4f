#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/sysfs.h"

namespace anybind {

/// One call as it went through the seam. Paths are full, relative to the root that was traced.
struct Operation {
  enum class Kind { kRead, kWrite, kReadLink, kList, kOpenDir, kInstance };
  Kind kind;
  std::string path;
  std::string bytes;  ///< what was written
  Errno err{};        ///< 0 when it succeeded

  friend bool operator==(const Operation&, const Operation&) = default;
  /// "write bus/pci/drivers_probe 0000:03:00.0 = EINVAL", for transcripts.
  [[nodiscard]] std::string str() const;
};

/// What a TracingSysfs and all directories opened through it saw, in order.
using Trace = std::vector<Operation>;

/// Passes every call on to `inner` and appends it to `trace`. Owns neither; both must outlive it
/// and all directories opened through it. Not thread-safe.
[[nodiscard]] std::unique_ptr<Sysfs> trace_sysfs(Sysfs& inner, Trace& trace);

}  // namespace anybind
