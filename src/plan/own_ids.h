#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "host/modules.h"
#include "host/sysfs.h"

namespace anybind {

/// Which devices a driver matches by the ids that it came with, or that can be read.
class OwnIds {
 public:
  enum class Answer : std::uint8_t { kYes, kNo, kUnknown };

  /// Asks `modules`, which may be nullptr, for modules.alias.
  OwnIds(Sysfs& root, const BusName& bus, const DriverName& driver, ModuleLoader* modules);
  [[nodiscard]] Answer match(const std::string& modalias) const;
  /// Patterns over modaliases, as depmod writes them.
  [[nodiscard]] const std::vector<std::string>& patterns() const { return patterns_; }

 private:
  std::vector<std::string> patterns_;
  bool complete_ = false;  ///< what is not among them does not match
};

}  // namespace anybind
