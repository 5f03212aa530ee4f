#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "base/errno.h"

namespace anybind {

inline constexpr std::size_t kMostNetDump = 64U << 20;

/// All addresses and routes of the network namespace of this process, as the messages RTM_NEWADDR
/// and RTM_NEWROUTE of rtnetlink(7), one behind the other and each whole. ETIMEDOUT after `limit`:
/// the kernel waits for the lock of all network devices first (linux net/core/rtnetlink.c), which a
/// driver that never returns may hold, so a child asks. EFBIG past kMostNetDump.
[[nodiscard]] Reply<std::string> read_net_dump(std::chrono::milliseconds limit);

}  // namespace anybind
