#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "drivercore/core/driver_core.h"
#include "race/mechanism.h"
#include "race/stage.h"

namespace anybind::race {

// The cast, by address. All network cards are of one type, as new_id sees it.
inline constexpr std::string_view kChosen = "0000:03:00.0";  ///< shall go to the target
inline constexpr std::string_view kSecond =
    "0000:04:00.0";  ///< of the same type, on the host driver
inline constexpr std::string_view kTarget = "vfio-pci";
inline constexpr std::string_view kHost = "e1000e";
inline constexpr std::string_view kChosenId = "8086 10d3";

/// What else happens while the administrator binds: a column of the table.
struct Scenario {
  std::string_view name;
  std::string_view head;  ///< three letters over its column
  std::string_view summary;
  std::string_view devices{};  ///< lines of the machine file, further to the usual ones
  std::string_view groups{};
  /// Done to the machine before anything else; `variant` counts from 0.
  void (*prepare)(drivercore::DriverCore& kernel, unsigned variant) = nullptr;
  unsigned variants = 1;
  /// Who does it: one more actor.
  std::string_view actor{};
  void (*act)(Stage& stage, unsigned variant) = nullptr;
  bool of_chosen = false;           ///< it happens to the chosen card, once that is there
  std::string_view parked{};        ///< a device that an administrator left without a driver
  bool retries = false;             ///< a deferred probe, which goes to synchronous drivers first
  bool host_loaded = true;          ///< the host driver is there from the start
  bool third_driver = false;        ///< one more driver matches by class, and is registered last
  std::string_view second_admin{};  ///< who does the same at the same time, with this device
  bool kill = false;                ///< the administrator is killed
  bool recover = false;  ///< and somebody puts right what that left, if the mechanism can
};

[[nodiscard]] std::span<const Scenario> scenarios();
[[nodiscard]] const Scenario* find_scenario(std::string_view name);

/// The kernel that is explored where none is named.
inline constexpr KernelVersion kUsualKernel{6, 12};

/// A row and a column, or several at once, on one kernel.
struct Question {
  const Mechanism* mechanism = nullptr;
  std::vector<const Scenario*> scenarios{};
  KernelVersion kernel = kUsualKernel;
};

/// A question with everything that was left open settled: in which order the drivers registered,
/// which of the kinds of each scenario, and how the host driver probes.
struct Setting {
  Question of{};
  bool target_first = true;          ///< the target driver registered before the host driver
  std::vector<unsigned> variants{};  ///< one a scenario
  bool host_is_async = false;        ///< the host driver prefers asynchronous probes
};

/// All settings of one cell, in a fixed order. The host driver is tried as an asynchronous one
/// where that can make a difference: when its module is loaded, when a deferred probe is retried,
/// and since 6.17 when a card is added.
[[nodiscard]] std::vector<Setting> settings_of(const Question& question);

/// The machine before the first step. An Error only when the machine file of a scenario is wrong,
/// and kUsage when the kernel does not have what the mechanism needs.
[[nodiscard]] Result<drivercore::DriverCore> machine_of(const Setting& setting);

}  // namespace anybind::race
