// HID, after drivers/hid/hid-core.c of Linux 6.12: dynamic ids before the table; new_id without
// remove_id. That hid-generic steps aside when another driver matches is not modelled.
#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "base/text.h"
#include "drivercore/core/bus_type.h"
#include "drivercore/core/kernel_text.h"

namespace anybind::drivercore {
namespace {

/// "BUS VENDOR PRODUCT [DATA]", for any group; all ones are a wildcard.
Reply<void> add_id(const KernelProfile& /*kernel*/, Driver& driver, std::string_view text) {
  constexpr std::uint64_t kAnyBus = 0xFFFF;
  constexpr std::uint64_t kAnyId = 0xFFFFFFFF;
  const HexFields fields = scan_hex(text);
  if (fields.count < 3) return std::unexpected(Errno{EINVAL});
  const std::uint64_t bus = fields.value[0] & kAnyBus;
  const auto id = [&](std::size_t i) {
    return fields.value.at(i) == kAnyId ? "*" : fmt::format("{:08X}", fields.value.at(i));
  };
  driver.dynamic_names.push_back(fmt::format(
      "hid:b{}g*v{}p{}", bus == kAnyBus ? "*" : fmt::format("{:04X}", bus), id(1), id(2)));
  return {};
}

constexpr IdFiles kIdFiles = {.add = add_id};

bool match(const KernelProfile& kernel, const Device& device, const Driver& driver) {
  const std::string modalias = matched_as(device);
  const auto describes = [&](const std::string& id) { return glob_match(id, modalias); };
  return std::ranges::any_of(driver.dynamic_names, describes) ||
         match_table(kernel, device, driver);
}

void uevent(const Device& device, std::vector<std::string>& lines) {
  const std::string alias = modalias_of(device);
  lines.push_back("HID_ID=" + alias_field(alias, "b") + ":" + alias_field(alias, "v") + ":" +
                  alias_field(alias, "p"));
}

}  // namespace

const BusType& hid_bus() {
  static constexpr BusType kType = {
      .name = "hid", .id_files = &kIdFiles, .match = match, .uevent = uevent};
  return kType;
}

}  // namespace anybind::drivercore
