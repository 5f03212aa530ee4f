#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "inventory/pci_pattern.h"
#include "policy/device_pattern.h"

// The declared state: which device shall have which driver. Values only; docs/policy.md is for who
// writes them.
namespace anybind {

/// Where a rule is written.
struct RulePlace {
  std::string file;  ///< as people are told of it: "/etc/anybind.d/50-guest.toml"
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  /// "/etc/anybind.d/50-guest.toml:3:1"
  [[nodiscard]] std::string str() const;
  friend bool operator==(const RulePlace&, const RulePlace&) = default;
};

/// A range of numbers, both ends included.
struct Range {
  unsigned first = 0;
  unsigned last = 0;
  friend bool operator==(const Range&, const Range&) = default;
};

/// "0-3,7"
[[nodiscard]] std::string text_of(const std::vector<Range>& ranges);

/// Which devices a rule is about: those that meet every condition that is there; one at least is.
struct RuleMatch {
  // Where it is plugged in.
  std::vector<DevicePattern> device{};  ///< any of these
  std::string slot{};                   ///< the physical slot by the firmware's name
  std::optional<DeviceId> pf{};         ///< a virtual function of this physical one
  std::vector<Range> functions{};       ///< and of these numbers; empty: all

  // What it is.
  std::optional<IdPattern> id{};
  std::optional<ClassPattern> device_class{};
  std::string serial{};  ///< as parse_serial_number() writes it
  std::string mac{};     ///< as parse_mac_address() writes it

  /// It says where one device is and no other: what else stands there is another card.
  [[nodiscard]] bool is_exact_place() const;

  friend bool operator==(const RuleMatch&, const RuleMatch&) = default;
};

/// What becomes of the other members of a device's IOMMU group.
enum class GroupTreatment : std::uint8_t {
  kListed,  ///< nothing: only what rules name is touched
  kWhole,   ///< they go along, but bridges: the group as it is at that moment
  kRefuse,  ///< the rule does not hold for a device whose group has others
};

struct Rule {
  std::string name;
  RulePlace place;
  RuleMatch match;
  /// "none": no driver, and kept so. "default": whatever the bus chooses. nullopt: only `functions`
  /// is declared.
  std::optional<DriverName> driver{};
  GroupTreatment group = GroupTreatment::kListed;
  std::string owner{};                  ///< "USER[:GROUP]" of the VFIO files; empty: as they are
  std::optional<unsigned> functions{};  ///< how many virtual functions it shall have
  /// No driver of the host may ever have it, not for a moment; else it gets its driver as soon as
  /// that can be.
  bool before_probe = false;
  std::vector<std::string> ignored{};  ///< names of guards that shall not stop it

  [[nodiscard]] bool wants_default() const { return driver && driver->str() == "default"; }
  [[nodiscard]] bool wants_none() const { return driver && driver->str() == "none"; }
  friend bool operator==(const Rule&, const Rule&) = default;
};

/// All rules, in their order: of a device the first that matches counts.
struct Spec {
  std::vector<Rule> rules;
  friend bool operator==(const Spec&, const Spec&) = default;
};

}  // namespace anybind
