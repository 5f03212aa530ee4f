#include "lab/mount_table.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <sstream>

namespace anybind::lab {
namespace {

/// mountinfo writes blanks and the like as \040.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](std::size_t at) { return text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && i + 3 < text.size() && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      out +=
          static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + text[i + 3] - '0');
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::vector<MountPoint> parse_mounts(std::string_view text) {
  std::vector<MountPoint> out;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    MountPoint mount;
    for (int i = 0; i < 4; ++i) words >> word;
    if (!(words >> mount.path)) continue;
    while (words >> word && word != "-") {
    }
    if (!(words >> mount.type)) continue;
    mount.path = unescape(mount.path);
    out.push_back(std::move(mount));
  }
  return out;
}

std::vector<MountPoint> mounts_here() {
  std::ifstream in("/proc/self/mountinfo");
  return parse_mounts(std::string(std::istreambuf_iterator<char>(in), {}));
}

bool is_of_the_kernel(std::string_view type) {
  static constexpr auto kTypes = std::to_array<std::string_view>(
      {"sysfs",   "proc",       "devtmpfs",   "devpts",    "debugfs",     "tracefs",    "configfs",
       "cgroup",  "cgroup2",    "securityfs", "selinuxfs", "smackfs",     "apparmorfs", "efivarfs",
       "pstore",  "bpf",        "fusectl",    "mqueue",    "binfmt_misc", "rpc_pipefs", "nfsd",
       "resctrl", "functionfs", "hugetlbfs",  "xenfs",     "openpromfs",  "spufs",      "hypfs"});
  return std::ranges::find(kTypes, type) != kTypes.end();
}

bool is_below(std::string_view path, std::string_view directory) {
  return path.starts_with(directory) &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

bool is_for_work(std::string_view directory) {
  static constexpr auto kSystem =
      std::to_array<std::string_view>({"/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64",
                                       "/libx32", "/proc", "/run", "/sbin", "/sys", "/usr"});
  if (!directory.starts_with('/') || directory == "/" || directory == "/var") return false;
  if (is_below(directory, "/usr/src") || is_below(directory, "/usr/local/src")) return true;
  return std::ranges::none_of(kSystem, [&](auto system) { return is_below(directory, system); });
}

}  // namespace anybind::lab
