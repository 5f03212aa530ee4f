#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace anybind::lab {

struct MountPoint {
  std::string path;
  std::string type;
};

/// Every mount of this process's namespace, in the order in which they were made, of the text of
/// /proc/self/mountinfo. Lines that are not understood are left out.
[[nodiscard]] std::vector<MountPoint> parse_mounts(std::string_view text);
[[nodiscard]] std::vector<MountPoint> mounts_here();

/// Is that one of the file systems in which the kernel shows itself, and takes orders: sysfs,
/// cgroups, debugfs...?
[[nodiscard]] bool is_of_the_kernel(std::string_view type);

/// Is `path` this directory or below it?
[[nodiscard]] bool is_below(std::string_view path, std::string_view directory);

/// May a lab's command write to this directory of the machine, because somebody works in it? Not
/// when it is `/`, or one of those that make up the system, or in one.
[[nodiscard]] bool is_for_work(std::string_view directory);

}  // namespace anybind::lab
