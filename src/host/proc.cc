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

/// What stands behind an open file of another process; nullopt for what is no device node.
Reply<std::optional<NodeNumber>> node_of(int dir, const char* name) {
  struct statx status{};
  // AT_STATX_DONT_SYNC: a network file system shall not ask its server for news, which may be gone.
  if (::statx(dir, name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &status) != 0)
    return failed();
  return node_in(status);
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
  OpenNodes out;
  std::size_t files = 0;
  for (auto name = next_name(stream.get()); !name.empty(); name = next_name(stream.get())) {
    const auto node = node_of(::dirfd(stream.get()), std::string(name).c_str());
    if (node && *node) out.nodes.push_back(**node);
    if (!node && node.error().value != ENOENT) out.complete = false;
    if (++files == kMostEntries) {
      out.complete = false;
      break;
    }
  }
  std::ranges::sort(out.nodes);
  const auto twice = std::ranges::unique(out.nodes);
  out.nodes.erase(twice.begin(), twice.end());
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
