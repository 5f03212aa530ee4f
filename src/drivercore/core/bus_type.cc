#include "drivercore/core/bus_type.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "base/check.h"
#include "base/text.h"

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

bool made_for_by_alias(const Device& device, const Driver& driver) {
  return in_table(modalias_of(device), driver).has_value();
}

Admission admit_all(const KernelProfile& /*kernel*/, const Device& /*device*/,
                    const Driver& /*driver*/, const Device* /*pf*/, bool /*unmatched*/) {
  return {};
}

std::optional<std::string> plain_probe_id(std::string_view text) {
  return is_plain(text) ? std::optional(std::string(text)) : std::nullopt;
}

std::string no_modalias(const Device& /*device*/) {
  return "";
}

void no_uevent_lines(const Device& /*device*/, std::vector<std::string>& /*lines*/) {}

std::string root_of_bus(const Device& device) {
  return device.bus;
}

std::string no_maker(const Device& /*device*/, const std::string& /*above*/) {
  return "";
}

bool not_this_one(const Device& /*device*/) {
  return false;
}

std::span<const BusType* const> bus_types() {
  static const std::vector<const BusType*> kAll = [] {
    std::vector<const BusType*> all = {&pci_bus(), &platform_bus(), &usb_bus(), &hid_bus(),
                                       &vmbus_bus()};
    for (const BusType& type : buses_with_override()) all.push_back(&type);
    for (const BusType& type : buses_by_table()) all.push_back(&type);
    return all;
  }();
  return kAll;
}

bool has_bus(const KernelProfile& kernel, const BusType& bus) {
  return !bus.since || kernel.has(*bus.since);
}

const BusType* find_bus_type(std::string_view name) {
  const auto all = bus_types();
  const auto found = std::ranges::find(all, name, [](const BusType* type) { return type->name; });
  return found == all.end() ? nullptr : *found;
}

const BusType& bus_type(std::string_view name) {
  const BusType* type = find_bus_type(name);
  CHECK(type != nullptr, "a State holds no other buses: machine files are checked");
  return *type;
}

}  // namespace anybind::drivercore
