#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "drivercore/state.h"

namespace anybind::drivercore {

// Buses other than PCI describe a device by its modalias ("usb:v046DpC077d...") and what a driver
// can drive by patterns over it, as modules.alias has them ("usb:v046DpC077d*"). These are the
// parts that their match functions are made of.

/// What ids are compared with: the modalias, or what was written to driver_probe_id in its place.
[[nodiscard]] std::string matched_as(const Device& device);
/// The modalias of the device, or of its bus for it; empty: it has none.
[[nodiscard]] std::string modalias_of(const Device& device);
/// The first entry of the driver's static table that matches this modalias.
[[nodiscard]] std::optional<std::string> in_table(const std::string& modalias,
                                                  const Driver& driver);
/// The value of a field of a modalias: "046D" for "v" in "usb:v046DpC077". Fields are lower-case
/// letters, each before its hex digits in upper case. "0" where it has no such field.
[[nodiscard]] std::string alias_field(std::string_view modalias, std::string_view field);
/// Printable ASCII, and not empty: what an id in words can be.
[[nodiscard]] bool is_plain(std::string_view text);

// struct bus_type.match of several buses each.
/// By the static table alone.
[[nodiscard]] bool match_table(const KernelProfile& kernel, const Device& device,
                               const Driver& driver);
/// The override decides both ways; without one, the table.
[[nodiscard]] bool match_override_or_table(const KernelProfile& kernel, const Device& device,
                                           const Driver& driver);
/// The override keeps other drivers away; the table must match all the same.
[[nodiscard]] bool match_override_and_table(const KernelProfile& kernel, const Device& device,
                                            const Driver& driver);

}  // namespace anybind::drivercore
