#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>

#include "base/ids.h"
#include "host/sysfs.h"
#include "plan/plan.h"

namespace anybind {

/// Directories that planning holds open since it looked at them. That of a device reaches that card
/// or nothing (kernel-facts: E4d); what is not held is opened by name. Copies hold the same
/// directories.
class Handles {
 public:
  /// So many of each kind at most: a process may have 1024 files open by default.
  static constexpr std::size_t kMost = 256;

  /// nullptr when it is not held.
  [[nodiscard]] std::shared_ptr<Sysfs> device(const DeviceId& device) const {
    const auto found = devices_.find(device);
    return found == devices_.end() ? nullptr : found->second;
  }
  /// By the path of its directory; nullptr when it is not held.
  [[nodiscard]] Sysfs* driver(const std::string& path) const {
    const auto found = drivers_.find(path);
    return found == drivers_.end() ? nullptr : found->second.get();
  }

  /// Nothing to hold is nothing done, and so is one more than kMost.
  void hold_device(const DeviceId& device, std::shared_ptr<Sysfs> dir) {
    if (dir != nullptr && devices_.size() < kMost)
      devices_.insert_or_assign(device, std::move(dir));
  }
  void hold_driver(const std::string& path, std::shared_ptr<Sysfs> dir) {
    if (dir != nullptr && drivers_.size() < kMost) drivers_.emplace(path, std::move(dir));
  }
  /// Also those of `other`.
  void join(Handles other) {
    devices_.merge(other.devices_);
    drivers_.merge(other.drivers_);
  }

 private:
  std::map<DeviceId, std::shared_ptr<Sysfs>> devices_;
  std::map<std::string, std::shared_ptr<Sysfs>> drivers_;
};

/// A plan, and beside it what its planner holds: it is run on the tree that it was made on. A plan
/// alone, from a file or for another tree, holds nothing.
struct HeldPlan : Plan {
  HeldPlan() = default;
  // NOLINTNEXTLINE(google-explicit-constructor,hicpp-explicit-conversions): a plan can be run as it
  // is
  HeldPlan(Plan plan) : Plan(std::move(plan)) {}
  Handles held;
};

}  // namespace anybind
