#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/errno.h"
#include "drivercore/driver_core.h"

namespace anybind::drivercore {

/// What an attribute belongs to: a device, a driver, a bus, a module, or else an IOMMU group; the
/// first that is given.
struct Owner {
  DeviceKey device = 0;
  bool power = false;  ///< of a device: its directory power/
  DriverKey driver = 0;
  std::string bus{};
  std::string module{};
  unsigned group = 0;
};

/// One attribute: who has it, its text, and what a write to it does.
struct Attribute {
  using Show = Reply<std::string> (*)(DriverCore&, const Owner&);
  using Store = Reply<void> (*)(DriverCore&, const Owner&, std::string_view);
  using Applies = bool (*)(const DriverCore&, const Owner&);

  std::string_view name;
  Show show = nullptr;        ///< nullptr: cannot be read, not even by root
  Store store = nullptr;      ///< nullptr: cannot be written
  Applies applies = nullptr;  ///< nullptr: always
  unsigned since = 0;         ///< the first version of Linux that has it (KernelProfile::version)
  std::optional<Mechanism> mechanism{};  ///< only on a kernel with this one
  bool binary = false;  ///< its size is that of its text, and it is read at an offset

  /// The permission bits: 0200, 0444 or 0644.
  [[nodiscard]] unsigned mode() const {
    return (show != nullptr ? 0444U : 0U) | (store != nullptr ? 0200U : 0U);
  }
};

/// Names of the attributes that the owner has now, sorted.
[[nodiscard]] std::vector<std::string> attribute_names(const DriverCore& core, const Owner& owner);
/// nullptr when the owner has none of this name now.
[[nodiscard]] const Attribute* find_attribute(const DriverCore& core, const Owner& owner,
                                              std::string_view name);

/// The same for what stands in module/NAME/parameters.
[[nodiscard]] std::vector<std::string> parameter_names(const DriverCore& core,
                                                       const std::string& module);
[[nodiscard]] const Attribute* find_parameter_attribute(const DriverCore& core,
                                                        const std::string& module,
                                                        std::string_view name);

/// Reads it. EACCES where its mode forbids that, also for root (fs/kernfs/file.c:kernfs_fop_open).
[[nodiscard]] Reply<std::string> show_attribute(DriverCore& core, const Owner& owner,
                                                const Attribute& attribute);

/// One write(2): at most a page reaches the store, and nothing of an empty write. The count taken.
Reply<std::size_t> store_attribute(DriverCore& core, const Owner& owner, const Attribute& attribute,
                                   std::string_view bytes);

}  // namespace anybind::drivercore
