#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "host/sysfs.h"
#include "inventory/device.h"

namespace anybind {

/// What a device has by its driver, and loses with it.
struct Belongings {
  std::optional<unsigned> functions{};  ///< how many virtual functions; nullopt: it can have none
  std::vector<std::string> up{};        ///< its network interfaces that are up
  friend bool operator==(const Belongings&, const Belongings&) = default;
};

/// What a device was before anybind first changed it.
struct Origin {
  Instance instance;
  Binding binding;
  Belongings had{};
  /// The interface by which it was asked for, and so is known to people; empty: by its address.
  std::string called{};
  std::uint64_t order = 0;  ///< the more, the later it was taken; 0: not known
  friend bool operator==(const Origin&, const Origin&) = default;
};

/// Of the devices that anybind has changed and not yet restored.
using OriginTable = std::map<DeviceId, Origin>;

/// nullopt when nothing is known of this instance.
[[nodiscard]] inline std::optional<Origin> find_origin(const OriginTable& table,
                                                       const DeviceId& device,
                                                       const Instance& instance) {
  const auto found = table.find(device);
  if (found == table.end() || found->second.instance != instance) return std::nullopt;
  return found->second;
}

}  // namespace anybind
