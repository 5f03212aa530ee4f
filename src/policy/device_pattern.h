#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "base/ids.h"

namespace anybind {

/// Where a device is, as a rule says it: an address, "bus/name", a glob over either, or a path.
struct DevicePattern {
  enum class Kind : std::uint8_t {
    kOne,        ///< one device: `bus` and `name` are its names
    kFunctions,  ///< all functions of a slot of PCI: "0000:03:00" is `name`
    kGlob,       ///< `bus` and `name` are globs
    kPath,       ///< the device whose path in sysfs is `name`: "/sys/devices/..."
    kBelow,      ///< the PCI functions whose path begins with `name`
  };
  Kind kind = Kind::kOne;
  std::string text{};  ///< as it is told to people, and compared: "0000:03:00.0", "platform/x"
  std::string bus{};
  std::string name{};

  /// The error says why the text cannot say where a device is.
  [[nodiscard]] static std::expected<DevicePattern, std::string> parse(const std::string& text);

  /// What does not match it elsewhere stands in another place.
  [[nodiscard]] bool is_exact() const { return kind == Kind::kOne || kind == Kind::kPath; }
  [[nodiscard]] bool is_path() const { return kind == Kind::kPath || kind == Kind::kBelow; }
  /// Not for paths.
  [[nodiscard]] bool names(const DeviceId& device) const;
  /// For paths only: `syspath` is that of `device`, "/sys/devices/...".
  [[nodiscard]] bool names(const DeviceId& device, const std::string& syspath) const;
  /// Whatever `narrower` names, this does too, as far as the texts tell.
  [[nodiscard]] bool covers(const DevicePattern& narrower) const;
  /// Of which bus it can name devices: a glob; "*" for a path.
  [[nodiscard]] std::string buses() const { return kind == Kind::kPath ? "*" : bus; }

  friend bool operator==(const DevicePattern&, const DevicePattern&) = default;
};

}  // namespace anybind
