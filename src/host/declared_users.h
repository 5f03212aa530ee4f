#pragma once

#include <string>
#include <vector>

#include "base/ids.h"

namespace anybind {

/// Who uses one device, because somebody said so.
struct DeclaredUse {
  DeviceId device;
  std::vector<std::string> guards;  ///< names (docs/guards.md) that shall find it in use
};

/// Who uses devices where nobody can be seen: what a lab's machine file says.
class DeclaredUsers {
 public:
  DeclaredUsers() = default;
  DeclaredUsers(const DeclaredUsers&) = delete;
  DeclaredUsers& operator=(const DeclaredUsers&) = delete;
  virtual ~DeclaredUsers() = default;
  /// All devices that are in use now, on every bus, each once.
  [[nodiscard]] virtual std::vector<DeclaredUse> all() const = 0;
};

}  // namespace anybind
