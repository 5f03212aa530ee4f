#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "anybind/base/errno.h"

namespace anybind {

/// Tells instances of a device at one address apart: the inode of its directory in sysfs. A card
/// that is unplugged and another that gets its address have different ones (kernel-facts: E4c), and
/// the younger has the larger one: the kernel numbers in order, in 64 bits (linux
/// fs/kernfs/dir.c:__kernfs_new_node).
struct Instance {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  friend auto operator<=>(const Instance&, const Instance&) = default;
};

/// How long somebody waits for a write that may never return.
struct Patience {
  std::chrono::milliseconds limit{10'000};
  std::function<bool()> give_up{};  ///< asked several times a second; true: a second more at most
};

/// The process that was left behind in a call that did not return in time.
struct Abandoned {
  long pid = 0;  ///< 0: none
};

/// The one seam of the project: a directory of a sysfs tree, held open. Real /sys, the modelled
/// driver core and every decorator implement it; whatever stands above is ordinary code that runs
/// unchanged on all of them.
///
/// Paths are relative to this directory, without a leading '/', and cannot leave it: neither "..",
/// nor a symbolic link, nor an absolute link leads outside (EXDEV). Empty means the directory
/// itself.
///
/// One call is one visible interaction with the kernel: nothing is cached and nothing is retried.
/// A held device directory pins the instance: after remove and re-add at the same address it
/// answers ENOENT and never reaches the newcomer (kernel-facts: E4d).
///
/// Thread-safety: the real one may be used from several threads at once; others say so if they can.
class Sysfs {
 public:
  static constexpr std::size_t kPageSize = 4096;        ///< an attribute is at most this long
  static constexpr std::size_t kMaxEntries = 1U << 20;  ///< bound on a directory

  Sysfs() = default;
  Sysfs(const Sysfs&) = delete;
  Sysfs& operator=(const Sysfs&) = delete;
  virtual ~Sysfs() = default;

  /// The whole attribute, as it is, with its newline. EFBIG when longer than a page (not sysfs).
  /// ENOENT, EACCES (write-only attribute), EISDIR, EXDEV, EIO ... Some attributes wait for the
  /// device's lock, which a bind, an unbind or a reset holds: `sriov_numvfs`; and, by kernel,
  /// `uevent` and `driver_override`. The real one then answers ETIMEDOUT after about a second: the
  /// device is busy. It does not ask that device again, until a patient write to any has returned.
  virtual Reply<std::string> read(std::string_view path) = 0;

  /// One write(2) of `bytes`; the attribute's store sees exactly these. Returns the count that it
  /// took. An empty write reaches no store and returns 0 (fs/kernfs/file.c:kernfs_fop_write_iter).
  /// May block, for ever too (unbind of a vfio device in use).
  virtual Reply<std::size_t> write(std::string_view path, std::string_view bytes) = 0;

  /// The same for a write that may block, for ever too. When it has not returned in time, a process
  /// of ours is left behind in it, and the answer is ETIMEDOUT with `abandoned` set: the write may
  /// still happen. EOWNERDEAD: the process that wrote for us was killed; the write is over, and
  /// whether it had its effect is not known: look.
  virtual Reply<std::size_t> write_patiently(std::string_view path, std::string_view bytes,
                                             const Patience& /*patience*/,
                                             Abandoned& /*abandoned*/) {
    return write(path, bytes);
  }

  /// write_patiently(), then read() of the same attribute: two interactions, for which the real
  /// sysfs opens the file only once where neither waits. An error does not tell which of the two
  /// failed, but for `abandoned`, which is the write's.
  virtual Reply<std::string> write_and_read_back(std::string_view path, std::string_view bytes,
                                                 const Patience& patience, Abandoned& abandoned) {
    const auto count = write_patiently(path, bytes, patience, abandoned);
    if (!count) return std::unexpected(count.error());
    return read(path);
  }

  /// The text of a symbolic link: "../../../bus/pci/drivers/e1000e". EINVAL when it is none.
  virtual Reply<std::string> read_link(std::string_view path) = 0;

  /// Names in a directory, without "." and "..", in the order the kernel gives, which says nothing
  /// about registration. EOVERFLOW past kMaxEntries.
  virtual Reply<std::vector<std::string>> list(std::string_view path) = 0;

  /// Holds the directory at `path` open (following links). ENOTDIR when it is none. The result does
  /// not outlive this object's tree; it is independent of this object itself.
  virtual Reply<std::unique_ptr<Sysfs>> open_dir(std::string_view path) = 0;

  /// Which instance this directory is. Never changes for a held directory.
  virtual Reply<Instance> instance() = 0;
};

/// The last component of a link's text: "e1000e".
[[nodiscard]] inline std::string_view link_name(std::string_view target) {
  return target.substr(target.rfind('/') + 1);
}

}  // namespace anybind
