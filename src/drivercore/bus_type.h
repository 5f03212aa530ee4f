#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "drivercore/state.h"

namespace anybind::drivercore {

/// What a bus's own probe finds before it calls the driver's (pci_device_probe): 0 or a positive
/// errno, and the id that the driver is given.
struct Admission {
  int error = 0;
  std::optional<PciId> id;
};

/// struct bus_type: what tells one bus from another, as data and a few functions. Adding a bus is
/// one file with one of these, and a line in bus_type.cc.
struct BusType {
  std::string_view name;
  /// Its drivers have new_id and remove_id in the form of PCI.
  bool pci_id_files = false;
  /// Its devices have driver_override.
  bool has_override = false;
  /// A device is added in two parts: found first, and probed later under pci_rescan_remove_lock.
  bool two_part_add = false;

  /// struct bus_type.match, now.
  bool (*match)(const Device& device, const Driver& driver);
  /// Whether the driver was written for the device: by its static table, override or not. Only then
  /// does it make the device's children.
  bool (*made_for)(const Device& device, const Driver& driver);
  /// struct bus_type.probe up to the driver's probe. `pf`: the physical function of a virtual one.
  Admission (*admit)(const Device& device, const Driver& driver, const Device* pf);
  /// What stands behind MODALIAS=.
  std::string (*modalias)(const Device& device);
  /// The lines of an event before MODALIAS.
  void (*uevent)(const Device& device, std::vector<std::string>& lines);
  /// The directory of /sys/devices that a device without a parent is in: "pci0000:00".
  std::string (*root)(const Device& device);
};

[[nodiscard]] const BusType& bus_type(std::string_view name);
[[nodiscard]] std::span<const BusType* const> bus_types();
/// nullptr for a name that is none.
[[nodiscard]] const BusType* find_bus_type(std::string_view name);

[[nodiscard]] const BusType& pci_bus();       // bus_pci.cc
[[nodiscard]] const BusType& platform_bus();  // bus_platform.cc

/// A PCI function as an id sees it.
struct PciFunction {
  std::uint32_t vendor = 0;
  std::uint32_t device = 0;
  std::uint32_t subvendor = 0;
  std::uint32_t subdevice = 0;
  std::uint32_t class_code = 0;
};

/// Whether one id describes the function (pci_match_one_device).
[[nodiscard]] bool pci_match_one(const PciId& id, const PciFunction& function);

/// The id that a PCI driver's probe is given, in the order of
/// drivers/pci/pci-driver.c:pci_match_device: an override for another driver forbids; then dynamic
/// ids, oldest first, also under an override; then the static table, whose override_only entries
/// count only under an override for this driver; then, under such an override, an id of wildcards
/// with no driver data. nullopt: no match.
[[nodiscard]] std::optional<PciId> pci_match(const Device& device, const Driver& driver);

}  // namespace anybind::drivercore
