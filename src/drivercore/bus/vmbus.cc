// VMBus, the devices of Hyper-V, after drivers/hv/vmbus_drv.c of Linux 6.12 (hv_vmbus_get_id): the
// override decides both ways; else dynamic ids before the table. An id is one GUID.
#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>

#include "drivercore/core/bus_type.h"

namespace anybind::drivercore {
namespace {

/// "f8615163-df3e-46c5-913f-f2d2f965ed0e", whatever follows, as the alias that the kernel makes of
/// it: 32 digits, the first three numbers with their last byte first.
std::optional<std::string> alias_in(std::string_view text) {
  constexpr std::size_t kLength = 36;
  constexpr std::array<std::size_t, 16> kByteAt = {6,  4,  2,  0,  11, 9,  16, 14,
                                                   19, 21, 24, 26, 28, 30, 32, 34};
  if (text.size() < kLength) return std::nullopt;
  for (std::size_t i = 0; i < kLength; ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const bool hex = std::isxdigit(static_cast<unsigned char>(text[i])) != 0;
    if (dash ? text[i] != '-' : !hex) return std::nullopt;
  }
  std::string out = "vmbus:";
  for (const std::size_t at : kByteAt) {
    for (const char c : text.substr(at, 2)) {
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  return out;
}

Reply<void> add_id(const KernelProfile& /*kernel*/, Driver& driver, std::string_view text) {
  auto alias = alias_in(text);
  if (!alias) return std::unexpected(Errno{EINVAL});
  if (std::ranges::find(driver.dynamic_names, *alias) != driver.dynamic_names.end()) {
    return std::unexpected(Errno{EEXIST});
  }
  driver.dynamic_names.push_back(*std::move(alias));
  return {};
}

Reply<void> remove_id(Driver& driver, std::string_view text) {
  const auto alias = alias_in(text);
  if (!alias) return std::unexpected(Errno{EINVAL});
  return std::erase(driver.dynamic_names, *alias) > 0 ? Reply<void>()
                                                      : std::unexpected(Errno{ENODEV});
}

constexpr IdFiles kIdFiles = {.add = add_id, .remove = remove_id};

bool match(const KernelProfile& kernel, const Device& device, const Driver& driver) {
  if (device.driver_override) return *device.driver_override == driver.name;
  const auto dynamic = std::ranges::find(driver.dynamic_names, matched_as(device));
  return dynamic != driver.dynamic_names.end() || match_table(kernel, device, driver);
}

}  // namespace

const BusType& vmbus_bus() {
  static constexpr BusType kType = {
      .name = "vmbus", .id_files = &kIdFiles, .has_override = true, .match = match};
  return kType;
}

}  // namespace anybind::drivercore
