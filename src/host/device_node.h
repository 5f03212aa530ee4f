#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "host/proc.h"

namespace anybind {

/// Whose a device node is, and who may do what with it.
struct NodeOwner {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t permissions = 0;
  friend bool operator==(const NodeOwner&, const NodeOwner&) = default;
};

/// Gives the device node at `path` to a user, and with `gid` to a group, which then may read and
/// write it too. Only the node with this number is given: EXDEV when `path` is anything else, also
/// a link. The directory must be one that only root writes to, as those of /dev are. Does not open
/// the node itself, which a driver would notice. Returns whose it was; otherwise the kernel's
/// errno: ENOENT, EPERM ...
[[nodiscard]] Reply<NodeOwner> give_node(const std::string& path, const NodeNumber& number,
                                         std::uint32_t uid, std::optional<std::uint32_t> gid);

/// Gives it back to whom it was taken from, by the same rules.
[[nodiscard]] Reply<void> give_node_back(const std::string& path, const NodeNumber& number,
                                         const NodeOwner& owner);

}  // namespace anybind
