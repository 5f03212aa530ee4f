#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "drivercore/core/state.h"

namespace anybind::drivercore {

/// A static or dynamic id as a machine file writes it: "8086:10d3", "8086:10d3:1043:8534", "*:*",
/// or "class:0c0330" (also "class:03": by its first bytes); then, as needed, " class=0c0330",
/// " class=030000/ff0000", " data=7" and " override_only". All numbers are hexadecimal. nullopt:
/// not of that form.
[[nodiscard]] std::optional<PciId> parse_pci_id(std::string_view text);
/// parse_pci_id() of it gives `id` again.
[[nodiscard]] std::string format_pci_id(const PciId& id);

/// Whether its table has an entry for when it is asked for by name: what makes a driver one that
/// sysfs_bind_only was proposed for, unless the file says otherwise.
[[nodiscard]] bool has_override_only_id(const Driver& driver);

/// A line of a group's reserved_regions as the kernel writes it, from "0xcd000000 0xcd0fffff
/// direct", with any number of digits. nullopt: not of that form, or of another type than direct,
/// direct-relaxable, reserved and msi.
[[nodiscard]] std::optional<std::string> parse_region(std::string_view text);

/// What a probe answers, 0 or a negative errno: "ok", "defer", the name of an errno, or its number.
/// nullopt: none of these.
[[nodiscard]] std::optional<int> parse_probe(std::string_view text);
[[nodiscard]] std::string format_probe(int result);

}  // namespace anybind::drivercore
