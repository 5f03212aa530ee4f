#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "host/host.h"
#include "inventory/device.h"

namespace anybind::compat {

/// A kind of device that dpdk-devbind.py knows: what it is called in titles, and by --status-dev.
struct DevbindKind {
  std::string_view word;
  std::string_view title;
};
[[nodiscard]] std::span<const DevbindKind> devbind_kinds();
[[nodiscard]] bool is_devbind_kind(std::string_view word);
/// "'baseband', 'compress', ..."
[[nodiscard]] std::string devbind_kind_words();

/// A device of at least one kind.
struct DevbindDevice {
  Device device;
  std::vector<std::string_view> kinds{};  ///< words of devbind_kinds()
  std::string product{};                  ///< "I210 Gigabit Network Connection", or "Device"
  std::optional<unsigned> numa_node{};    ///< nullopt: it is near to none
  std::vector<std::string> interfaces{};  ///< of the network
  std::vector<std::string> unused{};      ///< drivers that it could have, without its own
  bool active = false;                    ///< an IPv4 route goes through it
  [[nodiscard]] bool is_network() const;
};

/// The drivers that let DPDK have a device.
[[nodiscard]] bool is_for_dpdk(std::string_view driver);
/// Whether a driver of this name is there: loaded, or part of the kernel.
[[nodiscard]] bool is_there(Sysfs& root, const std::string& driver);
/// Is any of those for DPDK there?
[[nodiscard]] bool has_dpdk_driver(Sysfs& root);

/// All PCI devices of the kinds, in the order of their addresses.
[[nodiscard]] Result<std::vector<DevbindDevice>> read_devbind_devices(const Host& host);

}  // namespace anybind::compat
