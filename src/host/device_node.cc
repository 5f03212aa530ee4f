#include "host/device_node.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "base/try.h"
#include "host/descriptor.h"

namespace anybind {

namespace {

/// The very node with this number, held without being opened.
Reply<Descriptor> hold(const std::string& path, const NodeNumber& number, NodeOwner& owner) {
  Descriptor node(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (node.get() < 0) return failed();
  struct stat status{};
  if (::fstat(node.get(), &status) != 0) return failed();
  const bool is_it = (number.is_block ? S_ISBLK(status.st_mode) : S_ISCHR(status.st_mode)) &&
                     status.st_rdev == makedev(number.major, number.minor);
  if (!is_it) return std::unexpected(Errno{EXDEV});
  owner = {.uid = status.st_uid, .gid = status.st_gid, .permissions = status.st_mode & 07777U};
  return node;
}

/// A descriptor of O_PATH cannot change the mode before Linux 6.6, hence by name.
Reply<void> set_permissions(const std::string& path, std::uint32_t permissions) {
  if (::fchmodat(AT_FDCWD, path.c_str(), permissions, 0) != 0) return failed();
  return {};
}

}  // namespace

Reply<NodeOwner> give_node(const std::string& path, const NodeNumber& number, std::uint32_t uid,
                           std::optional<std::uint32_t> gid) {
  NodeOwner before;
  const Descriptor node = TRY(hold(path, number, before));
  constexpr auto kLeave = static_cast<gid_t>(-1);
  if (::fchownat(node.get(), "", uid, gid.value_or(kLeave), AT_EMPTY_PATH) != 0) return failed();
  constexpr std::uint32_t kGroupMayUse = S_IRGRP | S_IWGRP;
  if (gid) TRY(set_permissions(path, before.permissions | kGroupMayUse));
  return before;
}

Reply<void> give_node_back(const std::string& path, const NodeNumber& number,
                           const NodeOwner& owner) {
  NodeOwner now;
  const Descriptor node = TRY(hold(path, number, now));
  if (::fchownat(node.get(), "", owner.uid, owner.gid, AT_EMPTY_PATH) != 0) return failed();
  return set_permissions(path, owner.permissions);
}

}  // namespace anybind
