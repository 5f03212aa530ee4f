#pragma once

#include "host/storage.h"

namespace anybind {

/// Whoever keeps a Host for long, as a library's user may, holds the lock for a change and no
/// longer: it is given back when this goes.
class HeldForAChange {
 public:
  explicit HeldForAChange(Storage& storage) : storage_(storage) {}
  HeldForAChange(const HeldForAChange&) = delete;
  HeldForAChange& operator=(const HeldForAChange&) = delete;
  ~HeldForAChange() { storage_.unlock(); }

 private:
  Storage& storage_;
};

}  // namespace anybind
