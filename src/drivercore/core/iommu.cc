// Who may do DMA in an IOMMU group, and what a driver makes below its device.
//
// Since Linux 5.19 a driver without driver_managed_dma takes a use count on the default domain of
// the group before its probe (drivers/iommu/iommu.c:iommu_device_use_default_domain), and user
// space takes the group (iommu_group_claim_dma_owner); each keeps the other out.
#include <algorithm>
#include <array>
#include <cerrno>
#include <ranges>
#include <utility>

#include "drivercore/core/bus_type.h"
#include "drivercore/core/kernel_text.h"
#include "drivercore/core/operation.h"

namespace anybind::drivercore {
namespace {

Uevent group_event(const std::string& action, unsigned group) {
  Uevent event = make_uevent(action, "/devices/virtual/vfio/" + std::to_string(group), "vfio");
  event.lines.push_back("DEVNAME=vfio/" + std::to_string(group));
  return event;
}

Uevent vfio_dev_event(const std::string& action, const std::string& path, unsigned number) {
  return make_uevent(action, path + "/vfio-dev/vfio" + std::to_string(number), "vfio-dev");
}

Uevent child_event(const std::string& action, const std::string& path, const Child& child) {
  Uevent event = make_uevent(action, path + "/" + child_path(child), child.kind);
  for (std::string& line : uevent_lines(child)) event.lines.push_back(std::move(line));
  return event;
}

}  // namespace

/// False: the group belongs to user space.
bool DriverCore::use_domain(DeviceKey key, DriverKey driver_key) {
  Device& dev = the_device(key);
  if (!state_.profile.has(Change::kDmaOwnership) || !dev.group ||
      the_driver(driver_key).managed_dma)
    return true;
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
  Device& dev = the_device(key);
  const Driver& drv = the_driver(driver_key);
  if (drv.needs_group) {
    dev.vfio = index_.free_vfio();
    if (index_.vfio_users(*dev.group) == 0) send(group_event("add", *dev.group));
    index_.show(dev, key);
    show_vfio_dev(key);
    return;
  }
  if (!bus_type(dev.bus).made_for(dev, drv)) return;
  dev.children_shown = true;
  index_.show(dev, key);
  for (const Child& child : dev.children) send(child_event("add", devpath(dev), child));
}

void DriverCore::remove_children(DeviceKey key) {
  Device& dev = the_device(key);
  if (!std::exchange(dev.children_shown, false)) return;
  index_.hide(dev);
  for (const Child& child : dev.children | std::views::reverse)
    send(child_event("remove", devpath(dev), child));
}

// ---- VFIO

void DriverCore::show_vfio_dev(DeviceKey key) {
  Device& dev = the_device(key);
  dev.children_shown = true;
  index_.list_vfio(dev, key);
  send(vfio_dev_event("add", devpath(dev), *dev.vfio));
}

void DriverCore::hide_vfio_dev(DeviceKey key) {
  Device& dev = the_device(key);
  dev.children_shown = false;
  index_.unlist_vfio(dev);
  send(vfio_dev_event("remove", devpath(dev), *dev.vfio));
}

/// vfio_unregister_group_dev: for as long as user space has the device open, however long.
Reply<void> DriverCore::wait_for_user(DeviceKey key) {
  if (the_device(key).open) step(KernelStep::Kind::kUserAsked, key);
  while (the_device(key).open) {
    if (!wait({.by = Blocked::By::kUser, .device = key})) return kernel_error(EDEADLK);
  }
  return {};
}

/// With the last device of its group the group goes, even out of the hands of its user.
Reply<void> DriverCore::remove_vfio(DeviceKey key) {
  const bool early = state_.profile.has(Change::kVfioDevGoesFirst);
  if (early) hide_vfio_dev(key);
  if (const auto closed = wait_for_user(key); !closed) {
    if (early) show_vfio_dev(key);
    return closed;
  }
  if (!early) hide_vfio_dev(key);
  Device& dev = the_device(key);
  index_.leave_vfio(dev);
  dev.vfio.reset();
  if (index_.vfio_users(*dev.group) > 0) return {};
  send(group_event("remove", *dev.group));
  state_.groups.at(*dev.group).held = false;
  return {};
}

bool DriverCore::open_device(const std::string& bus, const std::string& name, bool open) {
  Device* dev = device(key_of(bus, name));
  if (dev == nullptr || dev->open == open) return false;
  if (open && (!dev->vfio || !dev->driver_link || !state_.groups.at(*dev->group).held))
    return false;
  dev->open = open;
  return true;
}

/// iommu_group_store_type.
Reply<void> DriverCore::group_type(unsigned number, std::string_view text) {
  static constexpr std::array<std::string_view, 4> kTypes = {"DMA", "DMA-FQ", "auto", "identity"};
  const std::string_view wanted = name_in(text);
  if (std::ranges::find(kTypes, wanted) == kTypes.end()) return kernel_error(EINVAL);
  Group& group = state_.groups.at(number);
  const bool only_queue = wanted == "DMA-FQ" && group.type == "DMA";
  const auto& members = index_.members(number);
  if (!state_.profile.has(Change::kChangesSharedGroupType)) {
    if (members.size() != 1) return kernel_error(EINVAL);
    const bool bound = state_.devices.at(members.begin()->second).driver.has_value();
    if (bound && !only_queue) return kernel_error(EBUSY);
  } else if (!only_queue && (members.empty() || group.held || group.in_use > 0)) {
    return kernel_error(EPERM);
  }
  group.type = wanted == "auto" ? Group::kUsualType : std::string(wanted);
  return {};
}

bool Group::has_direct_region() const {
  return std::ranges::any_of(
      regions, [](const std::string& line) { return std::string_view(line).ends_with(" direct"); });
}

bool DriverCore::hold_group(unsigned number, bool held) {
  const auto found = state_.groups.find(number);
  if (found == state_.groups.end()) return false;
  Group& group = found->second;
  if (held && (group.held || group.in_use > 0 || index_.vfio_users(number) == 0)) return false;
  if (held && group.has_direct_region()) return false;
  const auto open = [&](const auto& member) { return state_.devices.at(member.second).open; };
  if (!held && std::ranges::any_of(index_.members(number), open)) return false;
  group.held = held;
  return true;
}

}  // namespace anybind::drivercore
