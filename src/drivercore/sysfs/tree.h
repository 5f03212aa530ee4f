#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "drivercore/core/driver_core.h"
#include "drivercore/sysfs/entry.h"
#include "drivercore/sysfs/place.h"

namespace anybind::drivercore {

/// A directory on the way from the root, and the name that it has in the one above.
struct Level {
  std::string name;
  Place place;
};
/// A directory and all that are above it, the root first.
using Way = std::vector<Level>;

/// The tree that Linux shows, computed from the State at each look: there is no second copy of the
/// truth. Looking a name up does not list the directory.
class Tree {
 public:
  explicit Tree(const DriverCore& core) : core_(core) {}

  [[nodiscard]] std::optional<Entry> find(const Place& at, const std::string& name) const;
  /// Sorted.
  [[nodiscard]] std::vector<std::string> list(const Place& at) const;
  /// Where a link leads, from the root: "bus/pci/drivers/x".
  [[nodiscard]] std::string target(const Entry& link) const;
  /// What a walk along the target of a link to this device comes to, without the root; nullopt
  /// where a directory is missing.
  [[nodiscard]] std::optional<Way> way_to(DeviceKey device) const;
  /// Whether a directory that was found before is still there.
  [[nodiscard]] bool exists(const Place& at) const;

 private:
  const DriverCore& core_;
};

/// The text of a link in the directory with these names from the root on, to `target`, which is
/// from the root too: "../../../bus/pci/drivers/x". Up to the nearest directory that `target` is
/// in, also when the link is in `target` (fs/kernfs/symlink.c:kernfs_get_target_path).
[[nodiscard]] std::string relative_link(std::span<const std::string> directory,
                                        std::string_view target);

}  // namespace anybind::drivercore
