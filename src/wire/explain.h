#pragma once

#include <optional>
#include <vector>

#include "inventory/match.h"
#include "inventory/viability.h"
#include "plan/mechanism.h"
#include "wire/json.h"
#include "wire/remark.h"

namespace anybind::wire {

/// Whether a driver could have a device, and how.
struct DriverAnswer {
  DriverName driver;
  std::vector<Obstacle> obstacles{};
  std::optional<Mechanism> mechanism{};
  std::optional<Viability> group{};   ///< for a VFIO driver, of a device in a group
  std::vector<Candidate> variants{};  ///< of vfio-pci, made for this device
  bool loads_module = false;          ///< before anything else
};

[[nodiscard]] Json to_json(const Candidate& candidate);
[[nodiscard]] Json to_json(const Viability& viability, Wording wording);
[[nodiscard]] Json to_json(const DriverAnswer& answer, Wording wording);
/// An element of docs/schema/explain.schema.json; "asked" is there when a driver was asked for.
[[nodiscard]] Json to_json(const Explanation& explanation, const DriverAnswer* asked,
                           Wording wording);

}  // namespace anybind::wire
