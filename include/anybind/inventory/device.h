#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "anybind/base/error.h"
#include "anybind/base/ids.h"
#include "anybind/host/sysfs.h"

namespace anybind {

/// Base class 06. Bridges are left alone when a whole IOMMU group is bound.
[[nodiscard]] constexpr bool is_bridge_class(std::uint32_t class_code) {
  return class_code >> 16 == 0x06;
}

/// The ids of a PCI function, from its `uevent` (PCI_ID, PCI_SUBSYS_ID, PCI_CLASS).
struct PciIds {
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
  std::uint16_t subvendor = 0;
  std::uint16_t subdevice = 0;
  std::uint32_t class_code = 0;  ///< base class << 16 | sub-class << 8 | programming interface

  friend bool operator==(const PciIds&, const PciIds&) = default;
  [[nodiscard]] bool is_bridge() const { return is_bridge_class(class_code); }
};

/// One device as it was observed at one moment. Each field is a separate read: not an atomic
/// snapshot.
struct Device {
  DeviceId id;
  std::string modalias;       ///< empty when the bus has none
  std::optional<PciIds> pci;  ///< only on the pci bus
  std::optional<DriverName> driver;
  bool has_override = false;                   ///< the bus offers driver_override for this device
  std::optional<std::string> driver_override;  ///< unset reads "(null)" or empty: nullopt
  std::optional<unsigned> iommu_group;
  /// The kernel holds its lock, for a bind, an unbind or a reset, and did not tell of it: `driver`
  /// is what the link says, which then proves little, and `driver_override` is not known.
  bool busy = false;
};

/// The state that binding changes and checks: a held handle, the instance and who drives it.
struct Binding {
  std::optional<DriverName> driver;
  bool has_override = false;
  std::optional<std::string> driver_override;
  bool is_preferred = false;  ///< its file is preferred_driver, of a kernel that never came

  friend bool operator==(const Binding&, const Binding&) = default;
};

/// Lifts the errno of reading something of `device`; ETIMEDOUT says that it is busy: the kernel
/// holds its lock.
[[nodiscard]] Error read_error(Errno err, std::string operation, const DeviceId& device);

/// Holds the directory of `device` open; nullptr when there is no such device. Any other failure is
/// an error (kFailed, kNotPermitted): it says nothing about whether the device is there.
[[nodiscard]] Result<std::unique_ptr<Sysfs>> open_device(Sysfs& root, const DeviceId& device);

/// Reads the `driver` link of a held device directory; nullopt when there is none.
/// The link is not the whole truth while a bind or unbind runs (kernel-facts: finding 6).
[[nodiscard]] Reply<std::optional<DriverName>> read_driver(Sysfs& device);

/// Reads `driver_override` of a held device directory: nullopt when unset, ENOENT when the bus has
/// none, ETIMEDOUT when the device is busy.
[[nodiscard]] Reply<std::optional<std::string>> read_override(Sysfs& device);

/// What the text of `driver_override` says: nullopt for unset, which reads "(null)" or empty.
[[nodiscard]] std::optional<std::string> parse_override(std::string_view text);

/// `driver` and `driver_override`, or else `preferred_driver`, of a held device directory. ENOENT
/// when the device is gone, ETIMEDOUT when it is busy.
[[nodiscard]] Reply<Binding> read_binding(Sysfs& device);

/// The number behind the `iommu_group` link of a held device directory; nullopt without an IOMMU.
[[nodiscard]] Reply<std::optional<unsigned>> read_iommu_group(Sysfs& device);

/// The class code of a PCI function, from `class` of its held directory; nullopt on other buses.
[[nodiscard]] Reply<std::optional<std::uint32_t>> read_pci_class(Sysfs& device);

/// Everything `list` shows of the device `id` whose directory is held open in `device`: one read of
/// `uevent` (driver, ids, modalias), one of `driver_override`, one link. A tree without `uevent` is
/// asked for `modalias` and the `driver` link instead. Text that is not as Linux writes it (missing
/// keys, binary, over-long) leaves the field empty; of two equal keys the first counts. Only a
/// vanished device (an empty directory) is an error (kNotFound); a busy one is told of as far as
/// it is known.
[[nodiscard]] Result<Device> read_device(Sysfs& device, const DeviceId& id);
/// The same into `out`, which has nothing but its id yet.
[[nodiscard]] Result<> read_device(Sysfs& device, Device& out);

/// The ids that a modalias of the pci bus carries: "pci:v00008086d000010D3sv...bc02sc00i00".
[[nodiscard]] std::optional<PciIds> pci_ids_of_modalias(std::string_view modalias);

/// Address order: by bus, on pci by domain, bus, slot and function, elsewhere by name.
[[nodiscard]] bool address_less(const DeviceId& a, const DeviceId& b);

/// The members of an IOMMU group in address order. kNotFound when there is no such group; kFailed
/// when a member's bus cannot be told (to leave it out could make the group look viable).
[[nodiscard]] Result<std::vector<DeviceId>> read_group(Sysfs& root, unsigned group);

/// Names of the drivers registered on `bus`, sorted (readdir order says nothing about
/// registration). kNotFound when there is no such bus.
[[nodiscard]] Result<std::vector<std::string>> read_driver_names(Sysfs& root, const BusName& bus);

/// The instance of the device on `bus` that came last; none of them: an Instance without numbers.
/// kNotFound: no such bus. kFailed: a device cannot be looked at.
[[nodiscard]] Result<Instance> youngest_on(Sysfs& root, const BusName& bus);

/// The devices on `bus` in address order. kNotFound: no such bus.
[[nodiscard]] Result<std::vector<DeviceId>> read_device_ids(Sysfs& root, const BusName& bus);

}  // namespace anybind
