#pragma once

#include <string>
#include <vector>

#include "cli/table.h"
#include "inventory/details.h"
#include "inventory/device.h"
#include "inventory/names.h"
#include "inventory/net_interface.h"
#include "users/guards.h"

namespace anybind::cli {

/// The table of `list`: a line a device, address, class, name, driver, override and group; with
/// `uses` two last columns that name its interfaces, and the guards that find it in use.
struct Uses {
  UsersByDevice users;
  InUse in_use;
};
void print_devices(const std::vector<Device>& devices, const Uses* uses, PciNames& names,
                   const Look& look, const Sink& sink);

/// The page of `show`: what is known of one device, a line each; what it does not have is left out.
/// `sysfs_root` stands before paths; `why_busy` is told of a busy one.
[[nodiscard]] std::string device_page(const Details& details, const InUse& in_use, PciNames& names,
                                      std::string_view sysfs_root, std::string_view why_busy,
                                      const Look& look);

}  // namespace anybind::cli
