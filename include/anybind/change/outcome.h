#pragma once

#include "anybind/base/ids.h"
#include "anybind/inventory/device.h"

namespace anybind {

/// Where a device stands after the run, as read back.
struct Outcome {
  DeviceId device;
  Binding before;
  Binding after;
  bool changed = false;  ///< a write was made
  bool gone = false;     ///< the plan has removed it: a virtual function, whose `after` was before
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

}  // namespace anybind
