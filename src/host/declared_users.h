#pragma once

#include <string>
#include <vector>

#include "base/ids.h"

namespace anybind {

/// Who uses devices where nobody can be seen, because somebody said so: a lab's machine file.
class DeclaredUsers {
 public:
  DeclaredUsers() = default;
  DeclaredUsers(const DeclaredUsers&) = delete;
  DeclaredUsers& operator=(const DeclaredUsers&) = delete;
  virtual ~DeclaredUsers() = default;
  /// Names of guards (docs/guards.md) that shall find `device` in use, as it is now.
  [[nodiscard]] virtual std::vector<std::string> of(const DeviceId& device) const = 0;
};

}  // namespace anybind
