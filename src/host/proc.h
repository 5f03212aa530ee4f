#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/errno.h"

namespace anybind {

/// The number of a device node: "b 8:1".
struct NodeNumber {
  bool is_block = false;
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  friend auto operator<=>(const NodeNumber&, const NodeNumber&) = default;
};

/// "8:1", as sysfs writes it; nullopt for anything else.
[[nodiscard]] std::optional<NodeNumber> parse_node_number(std::string_view text, bool is_block);

/// Whose a file is, and what it is.
struct FileStatus {
  std::uint32_t mode = 0;  ///< type and permissions
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint64_t size = 0;  ///< of PID/fd since Linux 6.2: how many files the process has open
  std::optional<NodeNumber> node{};  ///< of a device node
};

/// The device nodes that a process has open, each once, sorted.
struct OpenNodes {
  std::vector<NodeNumber> nodes;
  /// Devices that it has open by VFIO, however it came to them: real paths in sysfs,
  /// "devices/pci0000:00/0000:00:04.0", each once, sorted. The kernel tells since Linux 6.18
  /// (Documentation/filesystems/proc.rst: VFIO device files).
  std::vector<std::string> vfio_devices;
  bool complete = true;  ///< false: there are files that could not be looked at
};

/// /proc, or a directory that looks like it. Unlike an attribute of sysfs, a file of it may be
/// longer than a page. Reads only. Paths are relative to the directory.
class Proc {
 public:
  static constexpr std::size_t kMaxFile = 16U << 20;

  /// `root` is "" for a machine that has none (a tree, a lab): everything is ENOENT then.
  explicit Proc(std::string root) : root_(std::move(root)) {}

  /// One of its directories. ENOENT for everything below when there is none.
  [[nodiscard]] Proc below(std::string_view path) const;

  /// The whole file; EFBIG when it is longer than kMaxFile.
  [[nodiscard]] Reply<std::string> read(std::string_view path) const;
  /// The text of a symbolic link, as of PID/ns/mnt.
  [[nodiscard]] Reply<std::string> read_link(std::string_view path) const;
  /// The numbers among its entries: the processes, in numeric order.
  [[nodiscard]] std::vector<std::string> processes() const;
  /// Names in a directory, in its order; EOVERFLOW past kMostEntries.
  [[nodiscard]] Reply<std::vector<std::string>> list(std::string_view path) const;
  /// Of the path itself, not of what a link there leads to.
  [[nodiscard]] Reply<FileStatus> status(std::string_view path) const;
  /// Asks the files themselves, not their names: a node counts wherever it stands, also in another
  /// mount namespace. At most kMostEntries files.
  [[nodiscard]] Reply<OpenNodes> open_nodes(const std::string& pid) const;
  /// All addresses and routes of the network namespace of this process: the messages RTM_NEWADDR
  /// and RTM_NEWROUTE of rtnetlink(7), one behind the other, at most 64 MiB. In a directory that
  /// is no procfs such messages are in the file net/rtnetlink. Blocks for two seconds at most, then
  /// ETIMEDOUT: a driver that hangs may keep the kernel from answering.
  [[nodiscard]] Reply<std::string> net_dump() const;

 private:
  static constexpr std::size_t kMostEntries = 1U << 16;
  [[nodiscard]] Reply<std::string> path_of(std::string_view path) const;
  std::string root_;
};

}  // namespace anybind
