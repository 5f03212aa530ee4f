#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "anybind/base/errno.h"

namespace anybind {

/// /proc, or a directory that looks like it. Unlike an attribute of sysfs, a file of it may be
/// longer than a page. Reads only. Paths are relative to the directory.
class Proc {
 public:
  static constexpr std::size_t kMaxFile = 16U << 20;

  /// `root` is "" for a machine that has none (a tree, a lab): everything is ENOENT then.
  explicit Proc(std::string root) : root_(std::move(root)) {}

  /// The whole file; EFBIG when it is longer than kMaxFile.
  [[nodiscard]] Reply<std::string> read(std::string_view path) const;
  /// The text of a symbolic link, as of PID/ns/mnt.
  [[nodiscard]] Reply<std::string> read_link(std::string_view path) const;
  /// The numbers among its entries: the processes, in numeric order.
  [[nodiscard]] std::vector<std::string> processes() const;

 private:
  [[nodiscard]] Reply<std::string> path_of(std::string_view path) const;
  std::string root_;
};

}  // namespace anybind
