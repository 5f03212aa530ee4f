#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "drivercore/core/kernel_profile.h"
#include "host/storage.h"
#include "host/sysfs.h"

namespace anybind::race {

/// What a mechanism is asked to do, and where.
struct Task {
  Sysfs& sysfs;
  std::string device;  ///< "0000:03:00.0"
  std::string driver;  ///< "vfio-pci"
  std::string id;      ///< of the device, as new_id wants it: "8086 10d3"
  /// Waits until no other anybind changes things; held until the program ends (cli/session.h).
  std::function<void()> lock;
  /// What outlives the program; nullptr where nobody will want it (it costs time in every run).
  Storage* storage = nullptr;
};

/// A way to bind a device to a driver, as somebody does it: a row of the table.
struct Mechanism {
  std::string_view name;
  /// What it needs of a kernel; nullopt: nothing that not every kernel has.
  std::optional<drivercore::Mechanism> needs;
  std::string_view summary;  ///< its writes, in order
  /// Does it. True: it says that the device is on the driver. All of them look at the `driver` link
  /// at their end, stop at the first write that fails, and then still take back what they added.
  bool (*run)(Task& task);
  bool ids_given_before = false;  ///< the driver was loaded with `ids=` of the device
  /// Puts right what run() left when it was killed. What it says then: that the device is on the
  /// driver, that it is not; nothing if there was nothing to be done. nullptr: nobody can.
  std::optional<bool> (*recover)(Task& task) = nullptr;
  /// It is no program that binds what is there, but anybindd with a rule for a card that comes
  /// (race/daemon.h): no run().
  bool is_policy = false;
};

[[nodiscard]] std::span<const Mechanism> mechanisms();
/// Linux of this version as the mechanism needs it: for one that was only proposed, with that
/// proposal. nullopt when that kernel does not have what it needs.
[[nodiscard]] std::optional<drivercore::KernelProfile> profile_of(const Mechanism& mechanism,
                                                                  KernelVersion kernel);
/// nullptr when there is none of that name.
[[nodiscard]] const Mechanism* find_mechanism(std::string_view name);

}  // namespace anybind::race
