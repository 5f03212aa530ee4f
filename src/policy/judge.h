#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/advice.h"
#include "base/error.h"
#include "host/clock.h"
#include "host/host.h"
#include "inventory/device.h"
#include "policy/rule.h"

namespace anybind {

/// A device that a rule is about, beside what it is now.
struct Standing {
  enum class State : std::uint8_t {
    kMet,        ///< as declared
    kDrift,      ///< otherwise: `differs` says how
    kNotObeyed,  ///< the rule does not hold for it: `differs` says why
    kUnknown,    ///< it is busy: the kernel holds its lock
  };
  DeviceId device;
  Instance instance;
  std::size_t rule = 0;                  ///< of Spec::rules
  std::optional<unsigned> with_group{};  ///< no rule names it: it goes along with this IOMMU group
  State state = State::kMet;
  std::string differs{};
  Device now;
  std::optional<unsigned>
      functions{};              ///< how many virtual ones it has, where a rule declares that
  unsigned most_functions = 0;  ///< and how many it can have
};

/// Something about rules that somebody has to look at.
struct PolicyProblem {
  std::optional<std::size_t> rule{};
  std::optional<DeviceId> device{};
  std::string what;
  Remark advice{};
};

/// The declared state beside the actual one, at one moment.
struct Judgement {
  Clock::Time began{};              ///< before the first device was looked at
  std::vector<Standing> devices{};  ///< in address order
  std::vector<PolicyProblem> problems{};
  /// Of each rule, what it counts for, in address order.
  std::vector<std::vector<DeviceId>> matches{};

  /// Every device is as declared, and nothing is to be looked at.
  [[nodiscard]] bool holds() const;
};

/// The buses of the devices that rules can mean: pci, and those that they name.
[[nodiscard]] std::set<BusName> buses_of(const Host& host, const Spec& spec);

/// Looks at every device of these buses, each at
/// its own moment, and judges it. Reads only. Errors are those of a machine that does not let
/// itself be read.
[[nodiscard]] Result<Judgement> judge(const Host& host, const Spec& spec);

/// What a rule declares, in words: "vfio-pci", "no driver", "8 virtual functions".
[[nodiscard]] std::string declared_words(const Rule& rule);
/// What there is instead: "e1000e (driver_override vfio-pci)", "no driver".
[[nodiscard]] std::string actual_words(const Standing& standing, const Rule& rule);

}  // namespace anybind
