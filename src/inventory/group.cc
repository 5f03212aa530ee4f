#include "inventory/group.h"

#include "base/text.h"
#include "base/try.h"
#include "inventory/vfio_driver.h"

namespace anybind {

bool manages_dma(const DriverName& driver) {
  return is_for_user_space(driver.str()) || driver.str() == "pcieport";
}

bool GroupMember::blocks_user_space(GroupRule rule) const {
  constexpr std::uint32_t kPciToPci = 0x0604;
  if (rule == GroupRule::kDriverList && pci && pci->class_code >> 8 == kPciToPci) return false;
  return driver ? !manages_dma(*driver) : busy;
}

std::string GroupMember::driver_words() const {
  if (driver) return driver->str();
  return busy ? "a driver that is not known, as it is busy" : "no driver";
}

Result<GroupView> read_group_view(Sysfs& root, unsigned group) {
  GroupView view{.number = group, .members = {}};
  for (const DeviceId& id : TRY(read_group(root, group))) {
    const auto dir = root.open_dir(id.path());
    if (!dir) continue;
    auto device = read_device(**dir, id);
    if (!device) continue;
    view.members.push_back({.id = id,
                            .driver = std::move(device->driver),
                            .is_bridge = device->pci.has_value() && device->pci->is_bridge(),
                            .pci = device->pci,
                            .busy = device->busy});
  }
  return view;
}

}  // namespace anybind
