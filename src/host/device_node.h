#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "host/proc.h"

namespace anybind {

/// Gives the device node at `path` to a user, and with `gid` to a group, which then may read and
/// write it too. Only the node with this number is given: EXDEV when `path` is anything else, also
/// a link. The directory must be one that only root writes to, as those of /dev are. Does not open
/// the node itself, which a driver would notice. Otherwise the kernel's errno: ENOENT, EPERM ...
[[nodiscard]] Reply<void> give_node(const std::string& path, const NodeNumber& number,
                                    std::uint32_t uid, std::optional<std::uint32_t> gid);

}  // namespace anybind
