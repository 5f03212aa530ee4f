#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "host/sysfs.h"

namespace anybind {

/// What becomes of a device when another loses its driver.
enum class Goes : std::uint8_t {
  kPerhaps,     ///< sysfs does not tell whether that driver has made it, or its bus
  kAsFunction,  ///< it is a virtual function: most drivers remove theirs, and some (nvme) do not
  kSurely,      ///< that driver has made it, and takes it along
};

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
    Goes goes;
    friend bool operator==(const Maker&, const Maker&) = default;
  };
  /// Those of the devices that `device` goes with, when they lose their drivers; nearest first.
  [[nodiscard]] std::vector<Maker> of(const DeviceId& device) const;

  /// Does it go with any of them, surely or as a function of it?
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
