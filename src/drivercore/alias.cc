#include "drivercore/alias.h"

#include <algorithm>

#include "base/text.h"
#include "drivercore/bus_type.h"

namespace anybind::drivercore {
namespace {

/// Between the letters of a field's name and the first character that is no upper-case hex digit.
bool is_value(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
}
bool is_letter(char c) {
  return c >= 'a' && c <= 'z';
}

}  // namespace

std::string modalias_of(const Device& device) {
  return device.modalias.empty() ? bus_type(device.bus).modalias(device) : device.modalias;
}

std::string matched_as(const Device& device) {
  return device.probe_id.empty() ? modalias_of(device) : device.probe_id;
}

std::optional<std::string> in_table(const std::string& modalias, const Driver& driver) {
  const auto found = std::ranges::find_if(
      driver.aliases, [&](const std::string& pattern) { return glob_match(pattern, modalias); });
  return found == driver.aliases.end() ? std::nullopt : std::optional(*found);
}

std::string alias_field(std::string_view modalias, std::string_view field) {
  modalias.remove_prefix(std::min(modalias.find(':') + 1, modalias.size()));
  while (!modalias.empty()) {
    const auto* const name_end = std::ranges::find_if_not(modalias, is_letter);
    const auto* const value_end = std::find_if_not(name_end, modalias.end(), is_value);
    if (std::string_view(modalias.begin(), name_end) == field) return {name_end, value_end};
    if (value_end == modalias.begin()) break;  // no field begins here
    modalias = {value_end, modalias.end()};
  }
  return "0";
}

bool is_plain(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

bool match_table(const KernelProfile& /*kernel*/, const Device& device, const Driver& driver) {
  return in_table(matched_as(device), driver).has_value();
}

bool match_override_or_table(const KernelProfile& kernel, const Device& device,
                             const Driver& driver) {
  if (device.driver_override) return *device.driver_override == driver.name;
  return match_table(kernel, device, driver);
}

bool match_override_and_table(const KernelProfile& kernel, const Device& device,
                              const Driver& driver) {
  if (device.driver_override && *device.driver_override != driver.name) return false;
  return match_table(kernel, device, driver);
}

}  // namespace anybind::drivercore
