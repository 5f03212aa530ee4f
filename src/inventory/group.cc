#include "inventory/group.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "inventory/device.h"

namespace anybind {
namespace {

/// Drivers that never take a use count on their group's default domain (driver_managed_dma).
bool manages_dma(const std::string& driver) {
  static constexpr std::array<std::string_view, 3> kNames = {"pci-stub", "pcieport", "shpchp"};
  return driver.contains("vfio") || std::ranges::find(kNames, driver) != kNames.end();
}

}  // namespace

bool GroupMember::blocks_user_space() const {
  return !is_bridge && driver.has_value() && !manages_dma(driver->str());
}

Result<GroupView> read_group_view(Sysfs& root, unsigned group) {
  GroupView view{.number = group, .members = {}};
  for (const DeviceId& id : TRY(read_group(root, group))) {
    const auto dir = root.open_dir(id.path());
    if (!dir) continue;
    const auto device = read_device(**dir, id);
    if (!device) continue;
    view.members.push_back({.id = id,
                            .driver = device->driver,
                            .is_bridge = device->pci.has_value() && device->pci->is_bridge()});
  }
  return view;
}

}  // namespace anybind
