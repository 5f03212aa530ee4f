#pragma once

#include <optional>
#include <string>

#include "host/sysfs.h"
#include "inventory/device.h"
#include "inventory/virtual_functions.h"

namespace anybind {

/// Where a device is: its real path below the root of sysfs, its NUMA node, if there are several,
/// and what it is of SR-IOV.
struct Place {
  std::string syspath;
  std::optional<unsigned> numa_node{};
  std::optional<std::string> physical_function{};  ///< of a virtual one: the address of its maker
  FunctionRole function{};
};

/// Reads where `device` is; what cannot be read is left out.
[[nodiscard]] Place read_place(Sysfs& root, const Device& device);

}  // namespace anybind
