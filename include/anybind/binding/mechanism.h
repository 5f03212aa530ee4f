#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "anybind/base/error.h"
#include "anybind/base/ids.h"
#include "anybind/host/sysfs.h"
#include "anybind/inventory/device.h"

namespace anybind {

/// A way to give a device to a driver (docs/mechanisms.md). Those of a device itself come first:
/// nothing else can be meant by them.
enum class Mechanism : std::uint8_t {
  kDriverOverride,   ///< the device names its driver
  kPreferredDriver,  ///< the same, as it was first proposed
  kDrvctl,           ///< serio: the device takes the name of a driver, and binds at once
  kBind,             ///< unbind and bind: the driver matches by its own ids
  kSysfsBindOnly,    ///< the same: the driver matches everything, and only its bind file binds
  kVfioBind,         ///< the driver has a bind file that asks for no match
  kDriverProbeId,    ///< the device gets an id that nothing else has, and the driver too, meanwhile
  kAutoprobeFlag,    ///< a dynamic id for a driver that is not probed unasked meanwhile
  kNewId,            ///< a dynamic id, meanwhile
  kNewIdWindow,      ///< the same, with the bus's drivers_autoprobe off
};

/// What people are told of a mechanism.
struct MechanismInfo {
  Mechanism mechanism;
  std::string_view name;     ///< as --mechanism takes it
  std::string_view row;      ///< its row of `anybind race`; empty: none
  std::string_view warning;  ///< what can go wrong (docs/races.md); empty: nothing that is known
};

/// All, in the order of the enumeration.
[[nodiscard]] std::span<const MechanismInfo> all_mechanisms();
[[nodiscard]] std::string_view name_of(Mechanism mechanism);
[[nodiscard]] std::optional<Mechanism> mechanism_named(std::string_view name);

/// By `driver_override` or `preferred_driver`, which last.
[[nodiscard]] constexpr bool names_driver(Mechanism mechanism) {
  return mechanism == Mechanism::kDriverOverride || mechanism == Mechanism::kPreferredDriver;
}

/// The text of modules.alias; asked for only where there is no override. Empty: not known.
using ModuleAliases = std::function<std::string()>;

/// Which devices a driver matches by the ids that it came with, or that can be read.
class OwnIds {
 public:
  enum class Answer : std::uint8_t { kYes, kNo, kUnknown };

  OwnIds(Sysfs& root, const BusName& bus, const DriverName& driver, const ModuleAliases& aliases);
  [[nodiscard]] Answer match(const std::string& modalias) const;
  /// Patterns over modaliases, as depmod writes them.
  [[nodiscard]] const std::vector<std::string>& patterns() const { return patterns_; }

 private:
  std::vector<std::string> patterns_;
  bool complete_ = false;  ///< what is not among them does not match
};

/// The mechanisms that the tree has the files for, to give `device`, held open in `dir`, to
/// `driver`. Only looks.
[[nodiscard]] std::vector<Mechanism> offered_mechanisms(Sysfs& root, const DeviceId& device,
                                                        Sysfs& dir, const DriverName& driver);

/// `forced`, or the safest that is offered: what the device says itself; then bind, where the
/// driver matches by itself; then what takes fewest other devices along. kRefused, with the reason
/// and what can be typed instead: `forced` is not offered, or nothing is that could work.
[[nodiscard]] Result<Mechanism> choose_mechanism(Sysfs& root, const DeviceId& device, Sysfs& dir,
                                                 const DriverName& driver,
                                                 const ModuleAliases& aliases,
                                                 std::optional<Mechanism> forced = {});

/// To take its driver from a device, or to give it back to one that had it: never by an id. The
/// first is of a device that has an override.
[[nodiscard]] Mechanism plain_mechanism(const Binding& binding);
[[nodiscard]] Mechanism plain_mechanism(const Binding& binding, Sysfs& dir);

}  // namespace anybind
