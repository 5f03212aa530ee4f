#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "anybind/base/ids.h"
#include "anybind/host/sysfs.h"
#include "anybind/plan/mechanism.h"

namespace anybind {

/// The guard over devices that a dynamic id would bind too, beside those of users/guards.h.
inline constexpr std::string_view kSameId = "same-id";

/// What keeps a device where it was put.
enum class Stays : std::uint8_t {
  /// Its driver_override, which names the driver or "none", also when it is plugged in again; but a
  /// device that is on the driver already is left as it is.
  kHeld,
  kNamed,      ///< the same, and one that is on the driver already is named too
  kLoose,      ///< nothing: its driver_override is clear in the end
  kOnlyNamed,  ///< kBind: its driver_override names the driver, but it is on none yet
};

/// What someone asks for. A value: it compares, and goes to JSON and back (wire/request.h).
struct Request {
  enum class Verb : std::uint8_t {
    kBind,           ///< `devices` to `driver`
    kUnbind,         ///< `devices` to no driver, and kept so
    kRestore,        ///< `devices` to what they were before anybind
    kUndo,           ///< a change of the journal is taken back
    kMakeFunctions,  ///< the physical function `devices[0]` gets `count` virtual ones
  };
  Verb verb = Verb::kBind;
  std::vector<DeviceId> devices{};  ///< none for kUndo, and for `everything`
  /// kBind; kMakeFunctions: where the functions go, nullopt: to none, and kept so.
  /// "none": no driver, and kept so; "default": whichever the bus chooses, with no override.
  std::optional<DriverName> driver{};
  /// By which of its interfaces a device is known to who asks ("eth0"): it is found by that name
  /// afterwards too, when the interface has gone with its driver.
  std::map<DeviceId, std::string> names{};
  /// Of these devices only the card that is named here: when another one has come to the address,
  /// nothing is done (kNotFound).
  std::map<DeviceId, Instance> instances{};
  /// Also every other member of the IOMMU groups, but bridges; kRestore: only what anybind changed.
  bool whole_group = false;
  bool everything = false;  ///< kRestore: in place of `devices` all that anybind has changed
  std::optional<Mechanism> mechanism{};  ///< kBind; nullopt: the safest there is for each device
  /// kBind: a VFIO driver may have a device without an IOMMU, which is then unsafe.
  bool no_iommu = false;
  /// kBind: a VFIO driver may have a device whose IOMMU group no user can open yet, as other
  /// members are on host drivers: for who gives the members one by one.
  bool part_of_group = false;
  Stays stays = Stays::kHeld;  ///< kBind, kUnbind
  /// kBind, kMakeFunctions: "USER[:GROUP]", by name or number, who gets the files by which user
  /// space opens the devices; empty: they stay as they are.
  std::string owner{};
  unsigned count = 0;  ///< kMakeFunctions
  /// kMakeFunctions: where the functions of these numbers, from 0, go in place of `driver`.
  std::map<unsigned, DriverName> function_drivers{};
  std::optional<std::uint64_t> change{};  ///< kUndo: its number; nullopt: the last one

  std::vector<std::string> ignored{};  ///< names of guards that shall not stop it
  /// To wait for another change to end, and (a second at least) for each write that does not
  /// return. nullopt: for the other as long as it takes, and for writes as RunOptions says.
  std::optional<std::chrono::milliseconds> patience{};

  friend bool operator==(const Request&, const Request&) = default;
};

}  // namespace anybind
