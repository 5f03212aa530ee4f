#pragma once

#include <set>
#include <string>

#include "host/sysfs.h"
#include "operation.h"

namespace anybind::conformance {

/// Who holds the cards: the program that runs the guest (tests/kernel/README.md). It is asked on
/// descriptor 3, which the guest's first process has opened, and does it while the guest runs on.
/// Nothing is plugged in at first.
class Outside {
 public:
  explicit Outside(Sysfs& sysfs) : sysfs_(sysfs) {}
  /// Waits until the kernel has found every function and is done with it. False: it is in its slot
  /// already, or nobody plugs it in.
  bool plug(const Card& card);
  /// Waits until the card has left the machine. False: it is not in its slot.
  bool unplug(const Card& card, bool by_power);

 private:
  bool wait_for_the_worker();
  bool power_off(const std::string& slot);

  Sysfs& sysfs_;
  std::set<std::string> plugged_;  ///< slots
};

}  // namespace anybind::conformance
