// Buses that have neither an override nor new_id: what is in a driver's table is all that it gets.
// i2c_device_match, virtio_dev_match, scsi_bus_match, serio_bus_match and auxiliary_match of
// Linux 6.12. And faux, whose one driver stands for the code that made the device up
// (drivers/base/faux.c:faux_match); that driver has no bind and unbind files.
#include <array>
#include <cerrno>

#include "drivercore/core/bus_type.h"

namespace anybind::drivercore {
namespace {

/// Any driver matches any device; its probe says ENODEV where the type is not its own. Hosts and
/// targets, which are on the bus too and have no modalias, are nobody's.
bool match_scsi(const KernelProfile& /*kernel*/, const Device& device, const Driver& /*driver*/) {
  return !matched_as(device).empty();
}
Admission admit_scsi(const KernelProfile& kernel, const Device& device, const Driver& driver,
                     const Device* /*pf*/, bool /*unmatched*/) {
  return {.error = match_table(kernel, device, driver) ? 0 : ENODEV};
}

void serio_uevent(const Device& device, std::vector<std::string>& lines) {
  const std::string modalias = modalias_of(device);
  lines.push_back("SERIO_TYPE=" + alias_field(modalias, "ty"));
  lines.push_back("SERIO_PROTO=" + alias_field(modalias, "pr"));
  lines.push_back("SERIO_ID=" + alias_field(modalias, "id"));
  lines.push_back("SERIO_EXTRA=" + alias_field(modalias, "ex"));
}

/// "auxiliary:mlx5_core.eth" of mlx5_core.eth.0
std::string auxiliary_modalias(const Device& device) {
  return "auxiliary:" + device.name.substr(0, device.name.rfind('.'));
}

bool match_faux(const KernelProfile& /*kernel*/, const Device& /*device*/,
                const Driver& /*driver*/) {
  return true;
}
bool made_for_faux(const Device& /*device*/, const Driver& /*driver*/) {
  return true;
}

constexpr std::array kBuses = std::to_array<BusType>({
    {.name = "i2c", .has_modalias = false},  // adapters have none
    {.name = "virtio"},
    {.name = "scsi", .has_modalias = false, .match = match_scsi, .admit = admit_scsi},
    {.name = "serio", .uevent = serio_uevent},
    {.name = "auxiliary", .modalias = auxiliary_modalias},
    {.name = "faux",
     .has_modalias = false,
     .has_power = false,
     .since = Change::kFauxBus,
     .match = match_faux,
     .made_for = made_for_faux},
});

}  // namespace

std::span<const BusType> buses_by_table() {
  return kBuses;
}

}  // namespace anybind::drivercore
