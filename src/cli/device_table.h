#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/table.h"
#include "host/host.h"
#include "inventory/details.h"
#include "inventory/device.h"
#include "inventory/names.h"
#include "inventory/net_interface.h"
#include "inventory/virtual_functions.h"
#include "users/guards.h"

namespace anybind::cli {

/// What is known of the devices of a table beside themselves.
struct TableFacts {
  NamesByDevice names{};
  std::optional<InUse> in_use{};                 ///< nullopt: nobody was asked
  std::map<DeviceId, FunctionRole> functions{};  ///< may be empty
  bool with_ids = false;
  bool in_full = false;  ///< all guards of a device, and not only the first
};

/// The table of `list`: a line a device. A column in which nothing would stand is left out; so are
/// the domains of addresses when all are 0000.
void print_devices(const std::vector<Device>& devices, const TableFacts& known, PciNames& names,
                   const Look& look, const Sink& sink);

/// A group of `list --groups`.
struct ListedGroup {
  std::optional<unsigned> number;  ///< nullopt: those without one
  std::vector<Device> members;
};

[[nodiscard]] GroupMember as_member(const Device& device);

/// The table of `list --groups`: a line a group, which says whether it is viable by `rule`, and
/// below it a line a member.
void print_groups(const std::vector<ListedGroup>& groups, GroupRule rule, const TableFacts& known,
                  PciNames& names, const Look& look, const Sink& sink);

/// The page of `show`: what is known of one device, a line each; what it does not have is left out.
/// `sysfs_root` stands before paths; `why_busy` is told of a busy one.
[[nodiscard]] std::string device_page(const Details& details, const InUse& in_use, PciNames& names,
                                      std::string_view sysfs_root, std::string_view why_busy,
                                      const Look& look);

}  // namespace anybind::cli
