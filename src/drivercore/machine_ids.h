#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "drivercore/state.h"

namespace anybind::drivercore {

/// A static or dynamic id as a machine file writes it: "8086:10d3", "8086:10d3:1043:8534", "*:*",
/// with " class=0c0330/ffffff", " data=7" and " override_only" behind it as needed. nullopt: not of
/// that form.
[[nodiscard]] std::optional<PciId> parse_pci_id(std::string_view text);
[[nodiscard]] std::string format_pci_id(const PciId& id);

/// What a probe answers: "ok", "defer", or the name of an errno. nullopt: none of these.
[[nodiscard]] std::optional<int> parse_probe(std::string_view text);
[[nodiscard]] std::string format_probe(int result);

}  // namespace anybind::drivercore
