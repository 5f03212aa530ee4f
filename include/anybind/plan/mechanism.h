#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

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

}  // namespace anybind
