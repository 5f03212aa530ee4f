#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "host/sysfs.h"

namespace anybind {

/// Which devices go away when others lose their drivers: a driver makes devices (the usb devices of
/// a host controller, the virtual functions of a card), and takes them along when it goes. By paths
/// and links of sysfs, on every bus; reads two links a device, and a few more where one is below
/// another.
class Makers {
 public:
  /// `devices`: those that may lose their drivers. `root` is used as long as this object is there.
  Makers(Sysfs& root, const std::vector<DeviceId>& devices);

  struct Maker {
    std::size_t at;  ///< in `devices`
    /// Its driver has made what stands below it. Else it may have, or the bus did: sysfs does not
    /// tell.
    bool surely;
    friend bool operator==(const Maker&, const Maker&) = default;
  };
  /// Those of the devices that `device` goes with, when they lose their drivers; nearest first.
  [[nodiscard]] std::vector<Maker> of(const DeviceId& device) const;

  /// Does it surely go with any of them?
  [[nodiscard]] bool takes(const DeviceId& device) const;

 private:
  void add_of_path(std::string_view real, std::vector<Maker>& out) const;

  Sysfs& root_;
  std::vector<DeviceId> devices_;
  std::map<std::string, std::size_t, std::less<>> at_path_;
  /// The paths of usb hubs, by whose interface a driver has them: what hangs on a hub stands beside
  /// that interface.
  std::map<std::string, std::size_t, std::less<>> hubs_;
};

}  // namespace anybind
