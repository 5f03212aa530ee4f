#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/errno.h"
#include "drivercore/core/state.h"

namespace anybind::drivercore {

/// An event has room for no more (linux include/linux/kobject.h: UEVENT_NUM_ENVP and
/// UEVENT_BUFFER_SIZE).
inline constexpr std::size_t kMaxUeventLines = 64;
inline constexpr std::size_t kMaxUeventBytes = 2048;

/// One message of the kernel about an object, as it would go out by netlink.
struct Uevent {
  std::string action;              ///< "add"
  std::string devpath;             ///< "/devices/pci0000:00/0000:00:03.0"
  std::vector<std::string> lines;  ///< "KEY=VALUE" in the kernel's order, SEQNUM last
  friend bool operator==(const Uevent&, const Uevent&) = default;
};

/// ACTION, DEVPATH and SUBSYSTEM; the sender adds SEQNUM.
[[nodiscard]] Uevent make_uevent(std::string action, std::string devpath,
                                 const std::string& subsystem);

/// The lines that a device's bus has for it, as in its `uevent` file: DRIVER first, when it has
/// one, MODALIAS last.
[[nodiscard]] std::vector<std::string> uevent_lines(const State& state, const Device& device,
                                                    bool with_modalias = true);
/// The lines of a child's `uevent` file.
[[nodiscard]] std::vector<std::string> uevent_lines(const Child& child);

/// What a write to a `uevent` file asks for: ACTION[ UUID[ KEY=VALUE...]]
/// (lib/kobject_uevent.c:kobject_synth_uevent). EINVAL for anything else.
struct SyntheticUevent {
  std::string action;
  std::vector<std::string> lines;  ///< SYNTH_UUID=..., SYNTH_ARG_KEY=VALUE
};
[[nodiscard]] Reply<SyntheticUevent> parse_synthetic(std::string_view text);

}  // namespace anybind::drivercore
