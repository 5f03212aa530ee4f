#include "host/device_node.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "host/descriptor.h"

namespace anybind {

Reply<void> give_node(const std::string& path, const NodeNumber& number, std::uint32_t uid,
                      std::optional<std::uint32_t> gid) {
  const Descriptor node(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (node.get() < 0) return failed();
  struct stat status{};
  if (::fstat(node.get(), &status) != 0) return failed();
  const bool is_it = (number.is_block ? S_ISBLK(status.st_mode) : S_ISCHR(status.st_mode)) &&
                     status.st_rdev == makedev(number.major, number.minor);
  if (!is_it) return std::unexpected(Errno{EXDEV});
  constexpr auto kLeave = static_cast<gid_t>(-1);
  if (::fchownat(node.get(), "", uid, gid.value_or(kLeave), AT_EMPTY_PATH) != 0) return failed();
  constexpr mode_t kGroupMayUse = S_IRGRP | S_IWGRP;
  // A descriptor of O_PATH cannot change the mode before Linux 6.6, hence by name.
  if (gid && ::fchmodat(AT_FDCWD, path.c_str(), (status.st_mode & 07777U) | kGroupMayUse, 0) != 0)
    return failed();
  return {};
}

}  // namespace anybind
