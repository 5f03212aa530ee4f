// The real sysfs. Everything is relative to a directory descriptor:
//  - a path with a '/' in it is resolved by openat2(RESOLVE_BENEATH), so the kernel itself refuses
//  to
//    leave the tree, whatever links stand in it;
//  - a single name, the everyday case on a held device directory, needs only openat(O_NOFOLLOW).
// O_NONBLOCK and O_NOCTTY keep a FIFO or a terminal in a hostile tree from holding us up; sysfs
// ignores them. No O_TRUNC and no O_CREAT: an attribute is written, never replaced.
#include "host/posix_sysfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <set>
#include <span>
#include <thread>
#include <utility>

#include "base/text.h"
#include "base/try.h"
#include "host/descriptor.h"
#include "host/waiting_process.h"

namespace anybind {
namespace {

constexpr int kLinkMax = 4096;
constexpr int kQuickTries = 8;
constexpr int kResolveTries = 1000;
constexpr std::chrono::milliseconds kResolvePause{1};

/// A path as a C string on the stack: no allocation on the hot path, no embedded NUL, never copied.
class CPath {
 public:
  explicit CPath(std::string_view path) {
    if (path.empty()) path = ".";
    if (path.size() >= text_.size()) {
      error_ = ENAMETOOLONG;
    } else if (path.find('\0') != std::string_view::npos) {
      error_ = EINVAL;
    } else {
      *std::ranges::copy(path, text_.begin()).out = '\0';
    }
  }
  CPath(const CPath&) = delete;
  CPath& operator=(const CPath&) = delete;

  /// 0, or why there is no c_str().
  [[nodiscard]] int error() const { return error_; }
  [[nodiscard]] const char* c_str() const { return text_.data(); }

 private:
  int error_ = 0;
  std::array<char, 1024> text_;
};

/// RESOLVE_BENEATH can answer EAGAIN when a rename or a mount anywhere on the machine came during a
/// path with "..": openat2(2) asks to be called again. Through FUSE the walk is long and the
/// machine may be busy, so a second passes before that becomes an error.
Reply<Descriptor> open_beneath(int dir, const char* path, int flags) {
  open_how how{};
  how.flags = static_cast<__u64>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  for (int i = 0; i < kResolveTries; ++i) {
    const long fd = ::syscall(SYS_openat2, dir, path, &how, sizeof how);
    if (fd >= 0) return Descriptor(static_cast<int>(fd));
    if (errno != EAGAIN) break;
    if (i >= kQuickTries) std::this_thread::sleep_for(kResolvePause);
  }
  return failed();
}

Reply<Descriptor> open_at(int dir, std::string_view path, int flags) {
  const CPath text(path);
  if (text.error() != 0) return std::unexpected(Errno{text.error()});
  const bool plain = !path.empty() && path != ".." && path.find('/') == std::string_view::npos &&
                     (flags & O_DIRECTORY) == 0;
  if (!plain) return open_beneath(dir, text.c_str(), flags);
  const int fd = ::openat(dir, text.c_str(), flags | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return failed();
  return Descriptor(fd);
}

/// The devices of which an attribute was not answered in time: nobody waits for them again.
class BusyDevices {
 public:
  static BusyDevices& of_this_process() {
    static BusyDevices all;
    return all;
  }
  [[nodiscard]] bool any() const { return any_.load(std::memory_order_relaxed); }
  bool contains(const Instance& device) {
    const std::scoped_lock lock(mutex_);
    return devices_.contains(device);
  }
  void add(const Instance& device) {
    const std::scoped_lock lock(mutex_);
    devices_.insert(device);
    any_ = true;
  }
  void clear() {
    const std::scoped_lock lock(mutex_);
    devices_.clear();
    any_ = false;
  }
  /// The first one costs a second, many of them little more each.
  std::chrono::milliseconds patience() {
    const std::scoped_lock lock(mutex_);
    return devices_.empty() ? kFirst : kMore;
  }

 private:
  static constexpr std::chrono::milliseconds kFirst{1000};
  static constexpr std::chrono::milliseconds kMore{250};
  std::mutex mutex_;
  std::set<Instance> devices_;
  std::atomic<bool> any_ = false;
};

/// A process that waits for us, for one call.
class Waiter {
 public:
  Waiter() : process_(WaitingProcesses::of_this_process().take()) {}
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter() { WaitingProcesses::of_this_process().give_back(std::move(process_)); }
  WaitingProcess* operator->() { return process_.get(); }

 private:
  std::unique_ptr<WaitingProcess> process_;
};

class PosixSysfs final : public Sysfs {
 public:
  PosixSysfs(Descriptor dir, const LockedAttributes& locked)
      : dir_(std::move(dir)), locked_(locked) {}

  Reply<std::string> read(std::string_view path) override {
    if (waits_for_lock(path)) return read_patiently(path);
    const Descriptor file = TRY(open_at(dir_.get(), path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
    std::array<char, kPageSize + 1> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    return taken(buffer, ::read(file.get(), buffer.data(), buffer.size()));
  }

  Reply<std::size_t> write(std::string_view path, std::string_view bytes) override {
    const Descriptor file = TRY(open_at(dir_.get(), path, O_WRONLY | O_NONBLOCK | O_NOCTTY));
    const ssize_t count = ::write(file.get(), bytes.data(), bytes.size());
    if (count < 0) return failed();
    return static_cast<std::size_t>(count);
  }

  Reply<std::size_t> write_patiently(std::string_view path, std::string_view bytes,
                                     const Patience& patience, Abandoned& abandoned) override {
    const bool waits = link_name(path) != kOverride || locked_.driver_override;
    if (!waits || bytes.empty()) return write(path, bytes);
    bytes = bytes.substr(0, kPageSize);  // as the kernel does
    const Descriptor file = TRY(open_at(dir_.get(), path, O_WRONLY | O_NONBLOCK | O_NOCTTY));
    auto reply = Waiter()->write(file, bytes, patience, abandoned);
    BusyDevices& busy = BusyDevices::of_this_process();
    if (reply && busy.any()) busy.clear();
    return reply;
  }

  Reply<std::string> write_and_read_back(std::string_view path, std::string_view bytes,
                                         const Patience& patience, Abandoned& abandoned) override {
    if (link_name(path) != kOverride || locked_.driver_override)
      return Sysfs::write_and_read_back(path, bytes, patience, abandoned);
    const Descriptor file = TRY(open_at(dir_.get(), path, O_RDWR | O_NONBLOCK | O_NOCTTY));
    if (::write(file.get(), bytes.data(), bytes.size()) < 0) return failed();
    std::array<char, kPageSize + 1> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    return taken(buffer, ::pread(file.get(), buffer.data(), buffer.size(), 0));
  }

  Reply<std::string> read_link(std::string_view path) override {
    std::array<char, kLinkMax> target;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    const auto slash = path.rfind('/');
    Descriptor parent;
    if (slash != std::string_view::npos) {
      parent = TRY(open_at(dir_.get(), path.substr(0, slash), O_PATH | O_DIRECTORY));
      path.remove_prefix(slash + 1);
    }
    if (path.empty() || path == "..") return std::unexpected(Errno{EINVAL});
    const CPath text(path);
    if (text.error() != 0) return std::unexpected(Errno{text.error()});
    const int base = parent.get() >= 0 ? parent.get() : dir_.get();
    const ssize_t count = ::readlinkat(base, text.c_str(), target.data(), target.size());
    if (count < 0) return failed();
    if (count == kLinkMax) return std::unexpected(Errno{ENAMETOOLONG});
    return std::string(target.data(), static_cast<std::size_t>(count));
  }

  Reply<std::vector<std::string>> list(std::string_view path) override {
    const Descriptor dir = TRY(open_at(dir_.get(), path, O_RDONLY | O_DIRECTORY));
    // Not by readdir(), which makes three more system calls and allocates a buffer each time.
    alignas(dirent64) std::array<char, 16384> buffer;  // NOLINT(*-pro-type-member-init)
    std::vector<std::string> names;
    for (;;) {
      const ssize_t count = ::getdents64(dir.get(), buffer.data(), buffer.size());
      // A directory that is gone (ENOENT) has no names.
      if (count == 0 || (count < 0 && errno == ENOENT)) return names;
      if (count < 0) return failed();
      for (std::size_t at = 0; at < static_cast<std::size_t>(count);) {
        const auto* entry = reinterpret_cast<const dirent64*>(&buffer[at]);
        at += entry->d_reclen;
        const std::string_view name = entry->d_name;
        if (name == "." || name == "..") continue;
        if (names.size() == kMaxEntries) return std::unexpected(Errno{EOVERFLOW});
        names.emplace_back(name);
      }
    }
  }

  Reply<std::unique_ptr<Sysfs>> open_dir(std::string_view path) override {
    return std::make_unique<PosixSysfs>(TRY(open_at(dir_.get(), path, O_PATH | O_DIRECTORY)),
                                        locked_);
  }

  Reply<Instance> instance() override {
    struct stat status{};
    if (::fstat(dir_.get(), &status) != 0) return failed();
    return Instance{.device = status.st_dev, .inode = status.st_ino};
  }

 private:
  static constexpr std::string_view kOverride = "driver_override";

  [[nodiscard]] bool waits_for_lock(std::string_view path) const {
    const std::string_view name = link_name(path);
    return (locked_.uevent && name == "uevent") || (locked_.driver_override && name == kOverride) ||
           (locked_.sriov_numvfs && name == "sriov_numvfs");
  }

  Reply<std::string> read_patiently(std::string_view path) {
    const auto slash = path.rfind('/');
    Descriptor above;
    if (slash != std::string_view::npos)
      above = TRY(open_at(dir_.get(), path.substr(0, slash), O_PATH | O_DIRECTORY));
    const int dir = above.get() >= 0 ? above.get() : dir_.get();
    struct stat status{};
    if (::fstat(dir, &status) != 0) return failed();
    const Instance device{.device = status.st_dev, .inode = status.st_ino};
    BusyDevices& busy = BusyDevices::of_this_process();
    if (busy.any() && busy.contains(device)) return std::unexpected(Errno{ETIMEDOUT});
    const Descriptor file = TRY(open_at(dir, link_name(path), O_RDONLY | O_NONBLOCK | O_NOCTTY));
    Abandoned abandoned;
    auto text = Waiter()->read(file, {.limit = busy.patience()}, abandoned);
    if (abandoned.pid != 0) busy.add(device);
    if (text && text->size() > kPageSize) return std::unexpected(Errno{EFBIG});
    return text;
  }

  static Reply<std::string> taken(std::span<const char> buffer, ssize_t count) {
    if (count < 0) return failed();
    if (static_cast<std::size_t>(count) > kPageSize) return std::unexpected(Errno{EFBIG});
    return std::string(buffer.data(), static_cast<std::size_t>(count));
  }

  Descriptor dir_;
  LockedAttributes locked_;
};

/// "6.12.117-1-amd64" as {6, 12, 117}; what is no number is 0.
std::array<unsigned, 3> numbers_of(std::string_view release) {
  std::array<unsigned, 3> out{};
  for (unsigned& number : out) {
    const auto end = std::min(release.find_first_not_of("0123456789"), release.size());
    number = static_cast<unsigned>(parse_decimal(release.substr(0, end), UINT16_MAX).value_or(0));
    release.remove_prefix(end);
    if (!release.starts_with('.')) break;
    release.remove_prefix(1);
  }
  return out;
}

LockedAttributes locked_in(int root) {
  struct statfs status{};
  if (::fstatfs(root, &status) != 0) return {};
  // A lab: of which kernel cannot be told.
  if (status.f_type == FUSE_SUPER_MAGIC) return {true, true, true};
  utsname name{};
  if (status.f_type != SYSFS_MAGIC || ::uname(&name) != 0) return {};
  return locked_attributes(name.release);
}

}  // namespace

LockedAttributes locked_attributes(std::string_view release) {
  using Numbers = std::array<unsigned, 3>;
  const Numbers kernel = numbers_of(release);
  const bool is_6_12 = kernel[0] == 6 && kernel[1] == 12;
  return {.uevent = kernel < Numbers{6, 15} && !(is_6_12 && kernel[2] >= 117),
          .driver_override = kernel < Numbers{7, 1} && !(is_6_12 && kernel[2] >= 114),
          .sriov_numvfs = true};
}

Result<std::unique_ptr<Sysfs>> open_sysfs(const std::string& root) {
  Descriptor dir(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (dir.get() < 0) {
    return fail(from_errno(Errno{errno}, "open sysfs at", root, ErrorKind::kNotFound));
  }
  // Refused by an old kernel, or by a sandbox that cannot look into the call's argument, as
  // RestrictSUIDSGID= of systemd: then nothing could be read, and everything would seem to be gone.
  const auto beneath = open_beneath(dir.get(), ".", O_PATH | O_DIRECTORY);
  if (!beneath && (beneath.error().value == ENOSYS || beneath.error().value == EPERM))
    return fail({.err = beneath.error(),
                 .operation = "read",
                 .object = root,
                 .why = "openat2(2) is refused: Linux before 5.6, or a sandbox"});
  const LockedAttributes locked = locked_in(dir.get());
  return std::make_unique<PosixSysfs>(std::move(dir), locked);
}

bool is_of_this_machine(const std::string& root, const std::string& sys) {
  struct statfs system{};
  if (::statfs(root.c_str(), &system) == 0 && system.f_type == SYSFS_MAGIC) return true;
  struct stat here{};
  struct stat there{};
  return ::stat(root.c_str(), &here) == 0 && ::stat(sys.c_str(), &there) == 0 &&
         here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

}  // namespace anybind
