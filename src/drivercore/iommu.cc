// Who may do DMA in an IOMMU group, and what a driver makes below its device.
//
// Since Linux 5.19 a driver without driver_managed_dma takes a use count on the default domain of
// the group before its probe (drivers/iommu/iommu.c:iommu_device_use_default_domain), and user
// space takes the group (iommu_group_claim_dma_owner); each keeps the other out.
#include <utility>

#include "drivercore/bus_type.h"
#include "drivercore/operation.h"

namespace anybind::drivercore {
namespace {

Uevent group_event(const std::string& action, unsigned group) {
  Uevent event = make_uevent(action, "/devices/virtual/vfio/" + std::to_string(group), "vfio");
  event.lines.push_back("DEVNAME=vfio/" + std::to_string(group));
  return event;
}

}  // namespace

/// False: the group belongs to user space.
bool DriverCore::use_domain(DeviceKey key, DriverKey driver_key) {
  Device& dev = *device(key);
  if (!state_.profile.dma_ownership || !dev.group || driver(driver_key)->managed_dma) return true;
  Group& group = state_.groups[*dev.group];
  if (group.held) return false;
  ++group.in_use;
  dev.counted = true;
  return true;
}

void DriverCore::unuse_domain(Device& dev) {
  if (std::exchange(dev.counted, false)) --state_.groups[*dev.group].in_use;
}

/// The end of a probe: a host driver makes its children, a VFIO driver its vfio-dev and, if it is
/// the first in the group, the group's device.
void DriverCore::make_children(DeviceKey key, DriverKey driver_key) {
  Device& dev = *device(key);
  const Driver& drv = *driver(driver_key);
  const std::string path = devpath(dev);
  if (drv.needs_group) {
    dev.vfio = index_.free_vfio();
    if (index_.vfio_users(*dev.group) == 0) send(group_event("add", *dev.group));
    const std::string name = "vfio" + std::to_string(*dev.vfio);
    send(make_uevent("add", path + "/vfio-dev/" + name, "vfio-dev"));
  } else if (!bus_type(dev.bus).made_for(dev, drv)) {
    return;
  }
  dev.children_shown = true;
  index_.show(dev, key);
  for (const Child& child : drv.needs_group ? std::vector<Child>{} : dev.children) {
    Uevent event = make_uevent("add", path + "/" + child_path(child), child.kind);
    for (std::string& line : uevent_lines(child)) event.lines.push_back(std::move(line));
    send(std::move(event));
  }
}

void DriverCore::remove_children(DeviceKey key) {
  Device& dev = *device(key);
  if (!std::exchange(dev.children_shown, false)) return;
  index_.hide(dev);
  const std::string path = devpath(dev);
  if (const auto number = std::exchange(dev.vfio, std::nullopt)) {
    const std::string name = "vfio" + std::to_string(*number);
    send(make_uevent("remove", path + "/vfio-dev/" + name, "vfio-dev"));
    if (dev.group && index_.vfio_users(*dev.group) == 0) {
      send(group_event("remove", *dev.group));
    }
    return;
  }
  for (const Child& child : dev.children) {
    Uevent event = make_uevent("remove", path + "/" + child_path(child), child.kind);
    for (std::string& line : uevent_lines(child)) event.lines.push_back(std::move(line));
    send(std::move(event));
  }
}

bool DriverCore::hold_group(unsigned number, bool held) {
  const auto found = state_.groups.find(number);
  if (found == state_.groups.end()) return false;
  Group& group = found->second;
  if (held && (group.held || group.in_use > 0 || index_.vfio_users(number) == 0)) return false;
  group.held = held;
  return true;
}

}  // namespace anybind::drivercore
