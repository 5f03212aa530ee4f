#pragma once

#include <optional>

#include "drivercore/state.h"

namespace anybind::drivercore {

/// Whether the bus of `device` lets `driver` have a try at it (struct bus_type.match), now.
[[nodiscard]] bool matches(const Device& device, const Driver& driver);

/// The id that a PCI driver's probe is given, in the order of
/// drivers/pci/pci-driver.c:pci_match_device: an override for another driver forbids; then dynamic
/// ids, oldest first, also under an override; then the static table, whose override_only entries
/// count only under an override for this driver; then, under such an override, an id of wildcards
/// with no driver data. nullopt: no match.
[[nodiscard]] std::optional<PciId> pci_match(const Device& device, const Driver& driver);

/// Whether one id describes the device (pci_match_one_device).
[[nodiscard]] bool pci_match_one(const PciId& id, const Device& device);

}  // namespace anybind::drivercore
