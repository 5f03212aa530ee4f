#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/host.h"
#include "host/sysfs.h"
#include "inventory/device.h"
#include "inventory/group.h"

namespace anybind {

/// A driver, or a module that would bring one, which matches a device.
struct Candidate {
  std::string module;  ///< as modules.alias names it; empty for a driver that is built in
  std::string driver;  ///< registered on the bus; empty when the module is not loaded
  std::string rule;    ///< why it matches, in words
  bool is_vfio =
      false;  ///< a variant of vfio-pci made for this device: alias vfio_pci:, by override only
  friend bool operator==(const Candidate&, const Candidate&) = default;
};

/// By what name a change asks for it. While its module is not loaded a driver is taken to be called
/// as that, but for vfio_pci, whose driver is vfio-pci (linux drivers/vfio/pci/vfio_pci.c:
/// vfio_pci_driver).
[[nodiscard]] std::string name_to_ask_for(const Candidate& candidate);

/// What speaks against a binding, and what to do about it.
struct Obstacle {
  std::string what;
  Remark advice;  ///< what to do; may be empty
  friend bool operator==(const Obstacle&, const Obstacle&) = default;
};

/// Who may drive a device, and why. What sysfs does not show is said, not guessed: the dynamic ids
/// of PCI drivers cannot be listed, and the order of registration, which decides between several
/// drivers, is not the order of any directory.
struct Explanation {
  Device device;
  std::vector<Candidate> candidates;  ///< in the order of modules.alias, each once
  std::string verdict;                ///< which driver has it or would get it, and by which rule
  std::optional<GroupView> group;
  bool is_gated = false;  ///< a virtual function whose PF has sriov_drivers_autoprobe off
};

/// Modules whose alias in `modules_alias` (the text of modules.alias) matches `modalias`; patterns
/// are shell globs, as depmod writes them. For pci also the vfio_pci: aliases of variant drivers.
[[nodiscard]] std::vector<Candidate> match_aliases(std::string_view modules_alias,
                                                   const std::string& modalias);

/// Of the text of modules.alias, the lines of drivers that are made to give one kind of PCI device
/// to user space (aliases vfio_pci:), without vfio-pci itself. Empty on most machines.
[[nodiscard]] std::string vfio_variant_aliases(std::string_view modules_alias);

/// Such drivers for a device of this modalias; `aliases` is from vfio_variant_aliases(). One that
/// is not loaded is taken to be called as its module, which all of Linux's are.
[[nodiscard]] std::vector<Candidate> vfio_variants(Sysfs& root, const BusName& bus,
                                                   const std::string& modalias,
                                                   std::string_view aliases);

/// Explains the device. kNotFound when it is gone.
[[nodiscard]] Result<Explanation> explain_device(Sysfs& root, const DeviceId& id,
                                                 std::string_view modules_alias);

/// Of a device that is in no IOMMU group, and shall go to a VFIO driver: what read_iommu_state()
/// says of this machine.
[[nodiscard]] Obstacle no_group_obstacle(const Host& host);

/// What would stop `driver` from getting the device of `explanation`; empty: nothing that can be
/// seen. `candidates` tells whether it matches without an override. A driver whose module the
/// host can load is as good as there.
[[nodiscard]] std::vector<Obstacle> obstacles_for(const Host& host, const Explanation& explanation,
                                                  const DriverName& driver);

}  // namespace anybind
