// Buses whose devices can name their driver, beside pci, platform and vmbus: amba_match,
// fsl_mc_bus_match, cdx_bus_match, rpmsg_dev_match, spi_match_device, vdpa_dev_match and
// css_bus_match of Linux 6.12.
#include <algorithm>
#include <array>

#include "drivercore/core/bus_type.h"

namespace anybind::drivercore {
namespace {

/// An entry with override_only has the alias vfio_cdx:, and counts only under an override; without
/// an entry that matches, no override binds.
bool match_cdx(const KernelProfile& kernel, const Device& device, const Driver& driver) {
  if (match_override_and_table(kernel, device, driver)) return true;
  return device.driver_override == driver.name &&
         in_table("vfio_" + matched_as(device), driver).has_value();
}

/// As platform: where the driver has an id table, its name is not tried. Entries for device tree
/// and ACPI are not in that table.
bool match_spi(const KernelProfile& kernel, const Device& device, const Driver& driver) {
  if (match_override_or_table(kernel, device, driver)) return true;
  const auto is_entry = [](const std::string& pattern) { return pattern.starts_with("spi:"); };
  return !device.driver_override && std::ranges::none_of(driver.aliases, is_entry) &&
         matched_as(device) == "spi:" + driver.name;
}

bool made_for_spi(const Device& device, const Driver& driver) {
  return match_spi({}, {.bus = device.bus, .name = device.name, .modalias = device.modalias},
                   driver);
}

/// Every driver must support every device.
bool match_vdpa(const KernelProfile& /*kernel*/, const Device& device, const Driver& driver) {
  return !device.driver_override || *device.driver_override == driver.name;
}

bool made_for_vdpa(const Device& /*device*/, const Driver& /*driver*/) {
  return true;
}

bool described_by_firmware(const Device& /*device*/) {
  return true;
}

void amba_uevent(const Device& device, std::vector<std::string>& lines) {
  lines.push_back("AMBA_ID=" + alias_field(modalias_of(device), "d"));
}

void css_uevent(const Device& device, std::vector<std::string>& lines) {
  lines.push_back("ST=" + alias_field(modalias_of(device), "t"));
}

std::string css_root(const Device& /*device*/) {
  return "css0";
}

constexpr std::array kBuses = std::to_array<BusType>({
    {.name = "amba",
     .has_override = true,
     .match = match_override_or_table,
     .by_firmware = described_by_firmware,
     .uevent = amba_uevent},
    {.name = "fsl-mc", .has_override = true, .match = match_override_or_table},
    {.name = "cdx", .has_override = true, .match = match_cdx},
    {.name = "rpmsg", .has_override = true, .match = match_override_or_table},
    {.name = "spi", .has_override = true, .match = match_spi, .made_for = made_for_spi},
    {.name = "vdpa",
     .has_override = true,
     .has_modalias = false,
     .match = match_vdpa,
     .made_for = made_for_vdpa},
    {.name = "css",
     .has_override = true,
     .match = match_override_and_table,
     .uevent = css_uevent,
     .root = css_root},
});

}  // namespace

std::span<const BusType> buses_with_override() {
  return kBuses;
}

}  // namespace anybind::drivercore
