#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/errno.h"
#include "drivercore/core/driver_core.h"
#include "drivercore/sysfs/place.h"

namespace anybind::drivercore {

/// One attribute file of a directory: whether it is there, its text, and what a write to it does.
struct Attribute {
  using Show = Reply<std::string> (*)(DriverCore&, const Place&);
  using Store = Reply<void> (*)(DriverCore&, const Place&, std::string_view);
  using Applies = bool (*)(const DriverCore&, const Place&);

  std::string_view name;
  Show show = nullptr;                   ///< nullptr: cannot be read, not even by root
  Store store = nullptr;                 ///< nullptr: cannot be written
  Applies applies = nullptr;             ///< nullptr: always
  KernelVersion since{};                 ///< the first that has it
  std::optional<Mechanism> mechanism{};  ///< only on a kernel with this one
  bool binary = false;     ///< its size is that of its text, and it is read at an offset
  bool is_secret = false;  ///< only root may read it

  /// The permission bits: 0200, 0400, 0444 or 0644.
  [[nodiscard]] unsigned mode() const {
    const unsigned readers = is_secret ? 0400U : 0444U;
    return (show != nullptr ? readers : 0U) | (store != nullptr ? 0200U : 0U);
  }
};

/// Names of the attributes that are in the directory now, sorted.
[[nodiscard]] std::vector<std::string> attribute_names(const DriverCore& core, const Place& at);
/// A parameter that a machine file gives a module: of the place called MODULE/PARAMETER.
[[nodiscard]] const Attribute& parameter_attribute();
/// nullptr when none of this name is there now.
[[nodiscard]] const Attribute* find_attribute(const DriverCore& core, const Place& at,
                                              std::string_view name);

/// Reads it. EACCES where its mode forbids that, also for root (fs/kernfs/file.c:kernfs_fop_open).
[[nodiscard]] Reply<std::string> show_attribute(DriverCore& core, const Place& at,
                                                const Attribute& attribute);

/// One write(2): at most a page reaches the store, and nothing of an empty write. The count taken.
Reply<std::size_t> store_attribute(DriverCore& core, const Place& at, const Attribute& attribute,
                                   std::string_view bytes);

}  // namespace anybind::drivercore
