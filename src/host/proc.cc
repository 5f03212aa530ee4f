#include "host/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "base/try.h"
#include "host/descriptor.h"
#include "host/net_dump.h"

namespace anybind {
namespace {

struct CloseDir {
  void operator()(DIR* stream) const { ::closedir(stream); }
};
using Directory = std::unique_ptr<DIR, CloseDir>;

/// The next name, without "." and ".."; empty at the end.
std::string_view next_name(DIR* stream) {
  while (const dirent* entry = ::readdir(stream)) {  // NOLINT(concurrency-mt-unsafe)
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") return name;
  }
  return {};
}

std::optional<NodeNumber> node_in(const struct statx& status) {
  const bool is_block = S_ISBLK(status.stx_mode);
  if (!is_block && !S_ISCHR(status.stx_mode)) return std::nullopt;
  return NodeNumber{
      .is_block = is_block, .major = status.stx_rdev_major, .minor = status.stx_rdev_minor};
}

/// What stands behind an open file of another process.
Reply<struct statx> look_behind(int dir, const char* name) {
  struct statx status{};
  // AT_STATX_DONT_SYNC: a network file system shall not ask its server for news, which may be gone.
  if (::statx(dir, name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &status) != 0)
    return failed();
  return status;
}

/// A file without a name, as those of VFIO's devices are: of no type (linux
/// fs/anon_inodes.c:anon_inode_getattr). In a copy of /proc its link leads nowhere.
bool may_be_anonymous(const Reply<struct statx>& status) {
  return status ? (status->stx_mode & S_IFMT) == 0 : status.error().value == ENOENT;
}

Reply<bool> is_vfio_device(int dir, const char* name) {
  constexpr std::string_view kText = "anon_inode:[vfio-device]";
  std::array<char, kText.size() + 1> target{};
  const ssize_t count = ::readlinkat(dir, name, target.data(), target.size());
  if (count < 0) return failed();
  return std::string_view(target.data(), static_cast<std::size_t>(count)) == kText;
}

/// "devices/pci0000:00/0000:00:04.0" of the text of a descriptor's fdinfo; empty when it tells
/// none.
std::string vfio_device_in(std::string_view fdinfo) {
  constexpr std::string_view kKey = "vfio-device-syspath:";
  const auto at = fdinfo.starts_with(kKey) ? 0 : fdinfo.find("\nvfio-device-syspath:");
  if (at == std::string_view::npos) return "";
  std::string_view line = fdinfo.substr(fdinfo.find(':', at) + 1);
  line = line.substr(0, line.find('\n'));
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  constexpr std::string_view kSys = "/sys/";  // as the kernel writes it, never opened
  return std::string(line.starts_with(kSys) ? line.substr(kSys.size()) : std::string_view{});
}

template <class T>
void sort_once(std::vector<T>& values) {
  std::ranges::sort(values);
  const auto twice = std::ranges::unique(values);
  values.erase(twice.begin(), twice.end());
}

}  // namespace

std::optional<NodeNumber> parse_node_number(std::string_view text, bool is_block) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto major = parse_decimal(text.substr(0, colon), UINT32_MAX);
  const auto minor = parse_decimal(text.substr(colon + 1), UINT32_MAX);
  if (!major || !minor) return std::nullopt;
  return NodeNumber{.is_block = is_block,
                    .major = static_cast<std::uint32_t>(*major),
                    .minor = static_cast<std::uint32_t>(*minor)};
}

Reply<std::string> Proc::path_of(std::string_view path) const {
  if (root_.empty()) return std::unexpected(Errno{ENOENT});
  return root_ + "/" + std::string(path);
}

Proc Proc::below(std::string_view path) const {
  return Proc(path_of(path).value_or(""));
}

Reply<std::string> Proc::read(std::string_view path) const {
  const std::string full = TRY(path_of(path));
  const Descriptor file(::open(full.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.get() < 0) return failed();
  std::string out;
  std::array<char, 16384> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  for (;;) {
    const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed();
    if (count == 0) return out;
    out.append(buffer.data(), static_cast<std::size_t>(count));
    if (out.size() > kMaxFile) return std::unexpected(Errno{EFBIG});
  }
}

Reply<std::string> Proc::read_link(std::string_view path) const {
  const std::string full = TRY(path_of(path));
  std::array<char, 4096> target;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  const ssize_t count = ::readlink(full.c_str(), target.data(), target.size());
  if (count < 0) return failed();
  return std::string(target.data(), static_cast<std::size_t>(count));
}

Reply<std::vector<std::string>> Proc::list(std::string_view path) const {
  const std::string full = TRY(path_of(path));
  const Directory stream(::opendir(full.c_str()));
  if (!stream) return failed();
  std::vector<std::string> out;
  for (auto name = next_name(stream.get()); !name.empty(); name = next_name(stream.get())) {
    if (out.size() == kMostEntries) return std::unexpected(Errno{EOVERFLOW});
    out.emplace_back(name);
  }
  return out;
}

Reply<FileStatus> Proc::status(std::string_view path) const {
  const std::string full = TRY(path_of(path));
  struct statx status{};
  if (::statx(AT_FDCWD, full.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS,
              &status) != 0)
    return failed();
  return FileStatus{.mode = status.stx_mode,
                    .uid = status.stx_uid,
                    .gid = status.stx_gid,
                    .size = status.stx_size,
                    .node = node_in(status)};
}

Reply<OpenNodes> Proc::open_nodes(const std::string& pid) const {
  const std::string full = TRY(path_of(pid + "/fd"));
  const Directory stream(::opendir(full.c_str()));
  if (!stream) return failed();
  const Proc infos = below(pid + "/fdinfo");
  OpenNodes out;
  std::size_t files = 0;
  for (auto name = next_name(stream.get()); !name.empty(); name = next_name(stream.get())) {
    const std::string number(name);
    const auto status = look_behind(::dirfd(stream.get()), number.c_str());
    if (!status && status.error().value != ENOENT) out.complete = false;
    if (const auto node = status ? node_in(*status) : std::nullopt) out.nodes.push_back(*node);
    const auto is_vfio = may_be_anonymous(status)
                             ? is_vfio_device(::dirfd(stream.get()), number.c_str())
                             : Reply<bool>(false);
    const auto info = is_vfio && *is_vfio ? infos.read(number) : Reply<std::string>("");
    for (const Errno err : {is_vfio ? Errno{} : is_vfio.error(), info ? Errno{} : info.error()})
      if (err.value != 0 && err.value != ENOENT) out.complete = false;
    auto device = vfio_device_in(info.value_or(""));
    if (!device.empty()) out.vfio_devices.push_back(std::move(device));
    if (++files == kMostEntries) {
      out.complete = false;
      break;
    }
  }
  sort_once(out.nodes);
  sort_once(out.vfio_devices);
  return out;
}

std::vector<std::string> Proc::processes() const {
  std::vector<std::string> out;
  const Directory stream(root_.empty() ? nullptr : ::opendir(root_.c_str()));
  if (!stream) return out;
  for (auto name = next_name(stream.get()); !name.empty(); name = next_name(stream.get())) {
    if (parse_decimal(name)) out.emplace_back(name);
  }
  std::ranges::sort(out, [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  });
  return out;
}

Reply<std::string> Proc::net_dump() const {
  struct statfs status{};
  const bool is_procfs = ::statfs(root_.c_str(), &status) == 0 && status.f_type == PROC_SUPER_MAGIC;
  return is_procfs ? read_net_dump(std::chrono::seconds(2)) : read("net/rtnetlink");
}

}  // namespace anybind
