#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/errno.h"
#include "drivercore/core/state.h"

namespace anybind::drivercore {

// Buses other than PCI describe a device by its modalias ("usb:v046DpC077d...") and what a driver
// can drive by patterns over it, as modules.alias has them ("usb:v046DpC077d*"). These are the
// parts that their match functions are made of.

/// What ids are compared with: the modalias, or what was written to driver_probe_id in its place.
[[nodiscard]] std::string matched_as(const Device& device);
/// The modalias of the device, or of its bus for it; empty: it has none.
[[nodiscard]] std::string modalias_of(const Device& device);
/// The first entry of the driver's static table that matches this modalias.
[[nodiscard]] std::optional<std::string> in_table(const std::string& modalias,
                                                  const Driver& driver);
/// The value of a field of a modalias: "046D" for "v" in "usb:v046DpC077". Fields are lower-case
/// letters, each before its hex digits in upper case. "0" where it has no such field.
[[nodiscard]] std::string alias_field(std::string_view modalias, std::string_view field);
/// Printable ASCII, and not empty: what an id in words can be.
[[nodiscard]] bool is_plain(std::string_view text);

// struct bus_type.match of several buses each.
/// By the static table alone.
[[nodiscard]] bool match_table(const KernelProfile& kernel, const Device& device,
                               const Driver& driver);
/// The override decides both ways; without one, the table.
[[nodiscard]] bool match_override_or_table(const KernelProfile& kernel, const Device& device,
                                           const Driver& driver);
/// The override keeps other drivers away; the table must match all the same.
[[nodiscard]] bool match_override_and_table(const KernelProfile& kernel, const Device& device,
                                            const Driver& driver);

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
  /// nullptr: there is no remove_id.
  Reply<void> (*remove)(Driver& driver, std::string_view text) = nullptr;
  /// What both read as; nullptr: they cannot be read.
  std::string (*show)(const Driver& driver) = nullptr;
  /// Which drivers have them; nullptr: all.
  bool (*applies)(const Driver& driver) = nullptr;
  /// Only on kernels that have it; nullopt: on all.
  std::optional<Mechanism> mechanism{};
};

// What a bus does that has nothing of its own: bus_type.cc.
[[nodiscard]] bool made_for_by_alias(const Device& device, const Driver& driver);
[[nodiscard]] Admission admit_all(const KernelProfile& kernel, const Device& device,
                                  const Driver& driver, const Device* pf, bool unmatched);
[[nodiscard]] std::optional<std::string> plain_probe_id(std::string_view text);
[[nodiscard]] std::string no_modalias(const Device& device);
void no_uevent_lines(const Device& device, std::vector<std::string>& lines);
[[nodiscard]] std::string root_of_bus(const Device& device);
[[nodiscard]] std::string no_maker(const Device& device, const std::string& above);
[[nodiscard]] bool not_this_one(const Device& device);

/// struct bus_type: what tells one bus from another, as data and a few functions. The defaults are
/// those of a bus that matches modaliases against the table of the driver. Adding a bus
/// is one of these, in a table of a few that are alike or in a file of its own, and with the latter
/// a line in bus_type.cc.
struct BusType {
  std::string_view name;
  /// nullptr: its drivers have no such files.
  const IdFiles* id_files = nullptr;
  /// Its devices can name their driver.
  bool has_override = false;
  /// Every device has one, of its own or by `modalias`.
  bool has_modalias = true;
  /// A device is added in two parts: found first, and probed later under pci_rescan_remove_lock.
  bool two_part_add = false;
  /// Its devices have power/.
  bool has_power = true;
  /// Since when Linux has it; nullopt: always.
  std::optional<Change> since{};

  /// struct bus_type.match, now.
  bool (*match)(const KernelProfile& kernel, const Device& device,
                const Driver& driver) = match_table;
  /// What a driver has that it may match by, each as a number: it matches no device that has none
  /// of them. nullptr: nobody knows without asking (driver_lookup.h).
  std::vector<std::uint64_t> (*driver_marks)(const Driver& driver) = nullptr;
  std::vector<std::uint64_t> (*device_marks)(const Device& device) = nullptr;
  /// Whether the driver was written for the device: by its static table, override or not. Only then
  /// does it make the device's children.
  bool (*made_for)(const Device& device, const Driver& driver) = made_for_by_alias;
  /// struct bus_type.probe up to the driver's probe. `pf`: the physical function of a virtual one.
  /// `unmatched`: the driver asks for the device itself, without a match.
  Admission (*admit)(const KernelProfile& kernel, const Device& device, const Driver& driver,
                     const Device* pf, bool unmatched) = admit_all;
  /// The id that drivers are matched against, as driver_probe_id shows it: "8086 10d3".
  std::string (*probe_id)(const Device& device) = modalias_of;
  /// What can be written there: the text to keep. nullopt: EINVAL.
  std::optional<std::string> (*parse_probe_id)(std::string_view text) = plain_probe_id;
  /// Of a device below one of the same bus, called `above`: the name of the one whose driver made
  /// it; empty: no driver did. What stands below a device of another bus was made by its driver.
  std::string (*maker)(const Device& device, const std::string& above) = no_maker;
  /// Except for what firmware describes, which is there whoever drives the device above.
  bool (*by_firmware)(const Device& device) = not_this_one;
  /// Whether its driver makes devices that stand beside it: that of a USB hub does.
  bool (*makes_beside)(const Device& device) = not_this_one;
  /// What stands behind MODALIAS=.
  std::string (*modalias)(const Device& device) = no_modalias;
  /// The lines of an event before MODALIAS.
  void (*uevent)(const Device& device, std::vector<std::string>& lines) = no_uevent_lines;
  /// The directory of /sys/devices that a device without a parent is in: "pci0000:00".
  std::string (*root)(const Device& device) = root_of_bus;
};

/// Whether this kernel has the bus.
[[nodiscard]] bool has_bus(const KernelProfile& kernel, const BusType& bus);
[[nodiscard]] const BusType& bus_type(std::string_view name);
[[nodiscard]] std::span<const BusType* const> bus_types();
/// nullptr for a name that is none.
[[nodiscard]] const BusType* find_bus_type(std::string_view name);

extern const IdFiles kPciIdFiles;  // dynamic_ids.cc

[[nodiscard]] const BusType& pci_bus();                        // bus_pci.cc
[[nodiscard]] const BusType& platform_bus();                   // bus_platform.cc
[[nodiscard]] const BusType& usb_bus();                        // bus_usb.cc
[[nodiscard]] const BusType& hid_bus();                        // bus_hid.cc
[[nodiscard]] const BusType& vmbus_bus();                      // bus_vmbus.cc
[[nodiscard]] std::span<const BusType> buses_with_override();  // bus_with_override.cc
[[nodiscard]] std::span<const BusType> buses_by_table();       // bus_by_table.cc

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
