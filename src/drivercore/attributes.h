#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/errno.h"
#include "drivercore/driver_core.h"

namespace anybind::drivercore {

/// What an attribute belongs to: the bus alone, a driver of it, or a device. A name that is empty,
/// or a key of 0, is not meant.
struct Owner {
  std::string bus;
  std::string driver;
  DeviceKey device = 0;
};

/// Names of the attributes that the owner has, sorted.
[[nodiscard]] std::vector<std::string> attribute_names(const DriverCore& core, const Owner& owner);
[[nodiscard]] bool has_attribute(const DriverCore& core, const Owner& owner, std::string_view name);

/// The text of an attribute. EACCES where its mode does not let it be read, also for root
/// (fs/kernfs/file.c:kernfs_fop_open).
[[nodiscard]] Reply<std::string> show_attribute(const DriverCore& core, const Owner& owner,
                                                std::string_view name);

/// One write(2): at most a page reaches the store, none of it when `bytes` is empty. The count
/// taken.
Reply<std::size_t> store_attribute(DriverCore& core, const Owner& owner, std::string_view name,
                                   std::string_view bytes);

}  // namespace anybind::drivercore
