#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/errno.h"
#include "drivercore/state.h"

namespace anybind::drivercore {

/// What a bus's own probe finds before it calls the driver's (pci_device_probe): 0 or a positive
/// errno, and the id that the driver is given.
struct Admission {
  int error = 0;
  std::optional<PciId> id;
};

/// The new_id and remove_id of a bus's drivers: what a write to them does to the driver's list.
/// That the driver is then offered every device is the same for all.
struct IdFiles {
  Reply<void> (*add)(const KernelProfile& kernel, Driver& driver, std::string_view text);
  Reply<void> (*remove)(Driver& driver, std::string_view text);
  /// Only on kernels that have it; nullopt: on all.
  std::optional<Mechanism> mechanism{};
};

/// struct bus_type: what tells one bus from another, as data and a few functions. Adding a bus is
/// one file with one of these, and a line in bus_type.cc.
struct BusType {
  std::string_view name;
  /// nullptr: its drivers have no such files.
  const IdFiles* id_files = nullptr;
  /// Its devices can name their driver.
  bool has_override = false;
  /// A device is added in two parts: found first, and probed later under pci_rescan_remove_lock.
  bool two_part_add = false;

  /// struct bus_type.match, now.
  bool (*match)(const KernelProfile& kernel, const Device& device, const Driver& driver);
  /// Whether the driver was written for the device: by its static table, override or not. Only then
  /// does it make the device's children.
  bool (*made_for)(const Device& device, const Driver& driver);
  /// struct bus_type.probe up to the driver's probe. `pf`: the physical function of a virtual one.
  /// `unmatched`: the driver asks for the device itself, without a match.
  Admission (*admit)(const KernelProfile& kernel, const Device& device, const Driver& driver,
                     const Device* pf, bool unmatched);
  /// The id that drivers are matched against, as driver_probe_id shows it: "8086 10d3".
  std::string (*probe_id)(const Device& device);
  /// What can be written there: the text to keep. nullopt: EINVAL.
  std::optional<std::string> (*parse_probe_id)(std::string_view text);
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

extern const IdFiles kPciIdFiles;       // dynamic_ids.cc
extern const IdFiles kPlatformIdFiles;  // bus_platform.cc

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

/// Whether the entry of a static table is there on this kernel and can match by itself: one for
/// driver_override is not, where there is no such thing; under sysfs_bind_only it is an id as any.
[[nodiscard]] bool counts_always(const KernelProfile& kernel, const PciId& id);

/// The id that a PCI driver's probe is given, in the order of
/// drivers/pci/pci-driver.c:pci_match_device: an override for another driver forbids; then dynamic
/// ids, oldest first, also under an override; then the static table, whose override_only entries
/// count only under an override for this driver; then, under such an override, an id of wildcards
/// with no driver data (for preferred_driver: one made of the device's own numbers). nullopt: no
/// match.
[[nodiscard]] std::optional<PciId> pci_match(const KernelProfile& kernel, const Device& device,
                                             const Driver& driver);

}  // namespace anybind::drivercore
