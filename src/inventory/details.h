#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/sysfs.h"
#include "inventory/device.h"
#include "inventory/group.h"

namespace anybind {

/// What a function with SR-IOV says of its virtual functions.
struct SriovView {
  unsigned enabled = 0;   ///< sriov_numvfs
  unsigned total = 0;     ///< sriov_totalvfs
  bool autoprobe = true;  ///< sriov_drivers_autoprobe; when off, only an override gets a VF probed
  std::vector<DeviceId> functions;

  friend bool operator==(const SriovView&, const SriovView&) = default;
};

/// Everything that `show` knows of one device. What a device or its bus does not have is empty.
struct Details {
  Device device;
  std::string syspath;                ///< "devices/pci0000:00/0000:00:03.0"
  std::optional<std::string> module;  ///< of the driver; built-in ones may have none
  std::optional<GroupView> group;
  std::optional<unsigned> numa_node;          ///< none where the kernel says -1
  std::optional<std::string> power_state;     ///< "D0", "D3hot"
  std::optional<std::string> runtime_status;  ///< "active", "suspended"
  std::optional<unsigned> revision;
  std::optional<DeviceId> physical_function;  ///< of a virtual function
  std::optional<SriovView> sriov;             ///< of a physical function
  std::vector<std::string> users;             ///< "net:eth0", see read_users()
};

/// Reads all of it, for a few devices at most. kNotFound when the device is gone.
[[nodiscard]] Result<Details> read_details(Sysfs& root, const DeviceId& id);

}  // namespace anybind
