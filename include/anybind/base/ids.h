#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "anybind/base/error.h"

namespace anybind {

/// True for a text that can be the name of a directory in sysfs: 1 to 255 bytes, no '/', no control
/// character, not "." or "..". (The kernel writes a '/' in a kobject name as '!'.)
[[nodiscard]] bool is_sysfs_name(std::string_view text);

/// A checked name of one kind; a bus cannot be passed where a driver belongs.
template <class Tag>
class Name {
 public:
  /// Error kUsage when `text` is no possible sysfs name.
  [[nodiscard]] static Result<Name> parse(std::string_view text) {
    if (!is_sysfs_name(text)) {
      return fail({.kind = ErrorKind::kUsage,
                   .object = std::string(text),
                   .why = std::string("not a possible ") + Tag::kWhat + " name"});
    }
    return Name(std::string(text));
  }
  /// For names in our own source code.
  [[nodiscard]] static Name literal(std::string_view text) { return Name(std::string(text)); }

  [[nodiscard]] const std::string& str() const { return text_; }
  friend auto operator<=>(const Name&, const Name&) = default;

 private:
  explicit Name(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

struct BusTag {
  static constexpr const char* kWhat = "bus";
};
struct DriverTag {
  static constexpr const char* kWhat = "driver";
};
struct DeviceTag {
  static constexpr const char* kWhat = "device";
};

using BusName = Name<BusTag>;
using DriverName = Name<DriverTag>;
using DeviceName = Name<DeviceTag>;

/// A device as sysfs names it: its bus and its name there. The name is an address, not an identity:
/// another card can have it a moment later (see `Instance` in host/sysfs.h).
struct DeviceId {
  BusName bus;
  DeviceName name;

  friend auto operator<=>(const DeviceId&, const DeviceId&) = default;
  /// "0000:03:00.0" on pci, "platform/serial8250" elsewhere: what a person types to name it.
  [[nodiscard]] std::string str() const;
  /// "bus/pci/devices/0000:03:00.0", relative to the root of sysfs.
  [[nodiscard]] std::string path() const;
};

/// "bus/pci/drivers/vfio-pci", relative to the root of sysfs.
[[nodiscard]] std::string driver_path(const BusName& bus, const DriverName& driver);

/// [DDDD:]BB:DD[.F] as typed by people: domain of 4 to 8 hex digits (VMD uses 10000), 0000 when
/// left out; the function may be left out and then means all of them. Also libvirt's
/// pci_DDDD_BB_DD_F.
struct PciAddress {
  std::uint32_t domain = 0;
  std::uint8_t bus = 0;
  std::uint8_t slot = 0;
  std::optional<std::uint8_t> function;

  friend auto operator<=>(const PciAddress&, const PciAddress&) = default;
  [[nodiscard]] static std::optional<PciAddress> parse(std::string_view text);
  /// Canonical, lower case, always with the domain: "0000:03:00.0", or "0000:03:00" for all
  /// functions.
  [[nodiscard]] std::string str() const;
};

}  // namespace anybind
