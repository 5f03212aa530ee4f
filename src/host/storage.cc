#include "host/storage.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "base/try.h"
#include "host/descriptor.h"

namespace anybind {
namespace {

Reply<void> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed();
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Reply<std::string> read_all(int fd) {
  std::string out;
  char buffer[16384];
  for (;;) {
    const ssize_t count = ::read(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed();
    if (count == 0) return out;
    out.append(buffer, static_cast<std::size_t>(count));
    if (out.size() > Storage::kMaxFile) return std::unexpected(Errno{EFBIG});
  }
}

constexpr std::size_t kMaxOwner = 4096;
constexpr auto kLockPoll = std::chrono::milliseconds(50);
constexpr auto kLockLook = std::chrono::milliseconds(2);

class PosixLog final : public Log {
 public:
  explicit PosixLog(Descriptor file) : file_(std::move(file)) {}
  Reply<void> append(std::string_view bytes) override { return write_all(file_.get(), bytes); }

 private:
  Descriptor file_;
};

/// Why something that was found cannot be trusted: others could write what root then does. Empty
/// when it can.
std::string distrust(const struct stat& found, bool is_directory) {
  if (is_directory ? !S_ISDIR(found.st_mode) : !S_ISREG(found.st_mode))
    return is_directory ? "it is not a directory" : "it is not a regular file";
  if (found.st_uid != 0 && found.st_uid != ::geteuid())
    return "it belongs to another user, number " + std::to_string(found.st_uid);
  if ((found.st_mode & (S_IWGRP | S_IWOTH)) != 0) return "others may write to it";
  return "";
}

/// One of the files of docs/state.md: others in the directory are nobody's business.
bool is_own_name(std::string_view name) {
  return name == "lock" || name == "origins.json" || name.starts_with("journal-") ||
         name.starts_with("lab-");
}

class PosixStorage final : public Storage {
 public:
  PosixStorage(std::string path, Readers readers)
      : path_(std::move(path)), for_all_(readers == Readers::kAll) {}

  Result<> usable() override {
    const auto dir = open();
    if (!dir && !distrust_.empty()) return fail(untrusted(path_, distrust_));
    if (!dir) return {};  // whoever reads or writes is told
    for (const std::string& name : list().value_or(std::vector<std::string>{})) {
      struct stat found{};
      if (!is_own_name(name) || ::fstatat(*dir, name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0)
        continue;
      const std::string why = distrust(found, false);
      if (!why.empty()) return fail(untrusted(path_ + "/" + name, why));
    }
    return {};
  }

  Reply<std::optional<std::string>> read(std::string_view name) override {
    const auto dir = open();
    if (!dir && dir.error().value == ENOENT) return std::nullopt;
    if (!dir) return std::unexpected(dir.error());
    const auto fd = open_file(*dir, name, O_RDONLY);
    if (!fd && fd.error().value == ENOENT) return std::nullopt;
    if (!fd) return std::unexpected(fd.error());
    return TRY(read_all(fd->get()));
  }

  Reply<void> replace(std::string_view name, std::string_view bytes) override {
    const int dir = TRY(make());
    const std::string file(name);
    TRY(write_new(dir, file, bytes));
    if (::renameat(dir, fresh(file).c_str(), dir, file.c_str()) != 0) {
      const int error = errno;
      ::unlinkat(dir, fresh(file).c_str(), 0);
      return std::unexpected(Errno{error});
    }
    return sync_directory(dir);
  }

  Reply<void> remove(std::string_view name) override {
    const auto dir = open();
    if (!dir && dir.error().value == ENOENT) return {};
    if (!dir) return std::unexpected(dir.error());
    if (::unlinkat(*dir, std::string(name).c_str(), 0) == 0) return sync_directory(*dir);
    if (errno != ENOENT) return failed();
    return {};
  }

  /// It has its name only once it is whole and durable: so a file without an end was damaged.
  Reply<std::unique_ptr<Log>> create(std::string_view name, std::string_view bytes) override {
    const int dir = TRY(make());
    const std::string file(name);
    struct stat found{};
    if (::fstatat(dir, file.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0)
      return std::unexpected(Errno{EEXIST});
    Descriptor fd = TRY(write_new(dir, file, bytes));
    // Not linkat(2) and unlinkat(2): a death in between would leave two names of one file. Nobody
    // else makes it: whoever writes here holds the lock.
    Reply<void> named;
    if (::renameat(dir, fresh(file).c_str(), dir, file.c_str()) != 0) named = failed();
    if (named) named = sync_directory(dir);
    if (named) return std::make_unique<PosixLog>(std::move(fd));
    ::unlinkat(dir, fresh(file).c_str(), 0);
    ::unlinkat(dir, file.c_str(), 0);
    return std::unexpected(named.error());
  }

  Reply<std::unique_ptr<Log>> open_log(std::string_view name) override {
    const int dir = TRY(open());
    return std::make_unique<PosixLog>(TRY(open_file(dir, name, O_WRONLY | O_APPEND)));
  }

  Reply<void> rename(std::string_view from, std::string_view to) override {
    const int dir = TRY(open());
    if (::renameat(dir, std::string(from).c_str(), dir, std::string(to).c_str()) != 0)
      return failed();
    return sync_directory(dir);
  }

  Reply<std::vector<std::string>> list() override {
    std::vector<std::string> names;
    const auto dir = open();
    if (!dir && dir.error().value == ENOENT) return names;
    if (!dir) return std::unexpected(dir.error());
    const int again = ::openat(*dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* stream = again < 0 ? nullptr : ::fdopendir(again);
    if (stream == nullptr) return failed();
    while (const dirent* entry = ::readdir(stream)) {  // NOLINT(concurrency-mt-unsafe)
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    ::closedir(stream);
    std::ranges::sort(names);
    return names;
  }

  Reply<void> lock(std::string_view owner, const Wait& wait) override {
    const int dir = TRY(make());
    lock_ = TRY(open_file(dir, "lock", O_RDWR | O_CREAT));
    for (bool again = true; ::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0;) {
      if (errno != EWOULDBLOCK && errno != EINTR) return failed();
      if (std::exchange(again, false)) {  // it may only have been looked at: is_locked()
        std::this_thread::sleep_for(kLockLook);
        continue;
      }
      if (!wait(lock_owner())) return std::unexpected(Errno{EWOULDBLOCK});
      std::this_thread::sleep_for(kLockPoll);
    }
    // Only for people to read: that it cannot be written is no reason to stop.
    if (::ftruncate(lock_.get(), 0) == 0) {
      const std::string text = std::to_string(::getpid()) + " " + std::string(owner);
      [[maybe_unused]] const auto count = ::pwrite(lock_.get(), text.data(), text.size(), 0);
    }
    return {};
  }

  bool is_locked() override {
    const auto dir = open();
    if (!dir) return false;
    const auto file = open_file(*dir, "lock", O_RDONLY);
    return file && ::flock(file->get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  }

  void unlock() noexcept override { lock_ = Descriptor(); }

 private:
  static std::string fresh(const std::string& file) { return file + ".new"; }

  static Error untrusted(std::string what, std::string why) {
    return {.kind = ErrorKind::kNotPermitted,
            .operation = "trust",
            .object = std::move(what),
            .why = std::move(why) + "; nothing was read or changed",
            .advice = Remark("use a directory of your own that nobody else may write to: ") +
                      Action::kStateDirectory};
  }

  std::string lock_owner() {
    std::string owner(kMaxOwner, '\0');
    const ssize_t count = ::pread(lock_.get(), owner.data(), owner.size(), 0);
    owner.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    return owner;
  }

  /// The directory, held from the first time on; ENOENT when it is not there, EPERM when it cannot
  /// be trusted.
  Reply<int> open() {
    if (dir_.get() >= 0) return dir_.get();
    Descriptor dir(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat found{};
    if (dir.get() < 0 || ::fstat(dir.get(), &found) != 0) {
      // A link, as the kernel answers with both flags: to where, others may say.
      const int error = errno;
      if (::lstat(path_.c_str(), &found) == 0 && S_ISLNK(found.st_mode))
        distrust_ = "it is a symbolic link";
      return std::unexpected(Errno{error});
    }
    distrust_ = distrust(found, true);
    if (!distrust_.empty()) return std::unexpected(Errno{EPERM});
    dir_ = std::move(dir);
    return dir_.get();
  }

  Reply<int> make() {
    if (dir_.get() >= 0) return dir_.get();
    const bool is_made = ::mkdir(path_.c_str(), for_all_ ? 0755 : 0700) == 0;
    if (!is_made && errno != EEXIST) return failed();
    const int dir = TRY(open());
    if (is_made && for_all_ && ::fchmod(dir, 0755) != 0) return failed();  // whatever our umask is
    return dir;
  }

  /// Never waits, as for a FIFO, and never follows a link.
  static Reply<Descriptor> open_file(int dir, std::string_view name, int flags,
                                     mode_t mode = 0600) {
    Descriptor fd(::openat(dir, std::string(name).c_str(),
                           flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, mode));
    struct stat found{};
    if (fd.get() < 0 || ::fstat(fd.get(), &found) != 0) return failed();
    if (!distrust(found, false).empty()) return std::unexpected(Errno{EPERM});
    return fd;
  }

  /// Under its other name, durably; when that fails it is not there.
  [[nodiscard]] Reply<Descriptor> write_new(int dir, const std::string& name,
                                            std::string_view bytes) const {
    const std::string file = fresh(name);
    auto fd =
        TRY(open_file(dir, file, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, for_all_ ? 0644 : 0600));
    // Whatever our umask is, and the mode of one that was left by a process that was killed.
    Reply<void> written;
    if (::fchmod(fd.get(), for_all_ ? 0644 : 0600) != 0) written = failed();
    if (written) written = write_all(fd.get(), bytes);
    if (written && ::fsync(fd.get()) != 0) written = failed();
    if (written) return fd;
    ::unlinkat(dir, file.c_str(), 0);
    return std::unexpected(written.error());
  }

  static Reply<void> sync_directory(int dir) {
    if (::fsync(dir) != 0) return failed();
    return {};
  }

  std::string path_;
  bool for_all_ = false;
  Descriptor dir_;
  std::string distrust_;
  Descriptor lock_;
};

}  // namespace

Reply<std::optional<std::string>> read_whole(const std::string& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0 && errno == ENOENT) return std::nullopt;
  if (fd.get() < 0) return failed();
  return TRY(read_all(fd.get()));
}

std::unique_ptr<Storage> open_storage(std::string path, Readers readers) {
  return std::make_unique<PosixStorage>(std::move(path), readers);
}

}  // namespace anybind
