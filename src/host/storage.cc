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

class PosixLog final : public Log {
 public:
  explicit PosixLog(Descriptor file) : file_(std::move(file)) {}
  Reply<void> append(std::string_view bytes) override { return write_all(file_.get(), bytes); }

 private:
  Descriptor file_;
};

class PosixStorage final : public Storage {
 public:
  explicit PosixStorage(std::string path) : path_(std::move(path)) {}

  Reply<std::optional<std::string>> read(std::string_view name) override {
    const std::string file = path_ + "/" + std::string(name);
    const Descriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (fd.get() < 0 && errno == ENOENT) return std::nullopt;
    if (fd.get() < 0) return failed();
    return TRY(read_all(fd.get()));
  }

  Reply<void> replace(std::string_view name, std::string_view bytes) override {
    TRY(make());
    const std::string file = path_ + "/" + std::string(name);
    const std::string fresh = file + ".new";
    const Descriptor fd(
        ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (fd.get() < 0) return failed();
    TRY(write_all(fd.get(), bytes));
    if (::fsync(fd.get()) != 0 || ::rename(fresh.c_str(), file.c_str()) != 0) return failed();
    return sync_directory();
  }

  Reply<void> remove(std::string_view name) override {
    const std::string file = path_ + "/" + std::string(name);
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) return failed();
    return {};
  }

  Reply<std::unique_ptr<Log>> create(std::string_view name, std::string_view bytes) override {
    TRY(make());
    const std::string file = path_ + "/" + std::string(name);
    Descriptor fd(::open(file.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (fd.get() < 0) return failed();
    Reply<void> written = write_all(fd.get(), bytes);
    if (written && ::fsync(fd.get()) != 0) written = failed();
    if (written) written = sync_directory();
    if (!written) {
      ::unlink(file.c_str());
      return std::unexpected(written.error());
    }
    return std::make_unique<PosixLog>(std::move(fd));
  }

  Reply<std::unique_ptr<Log>> open_log(std::string_view name) override {
    const std::string file = path_ + "/" + std::string(name);
    Descriptor fd(::open(file.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW));
    if (fd.get() < 0) return failed();
    return std::make_unique<PosixLog>(std::move(fd));
  }

  Reply<void> rename(std::string_view from, std::string_view to) override {
    const std::string old_name = path_ + "/" + std::string(from);
    const std::string new_name = path_ + "/" + std::string(to);
    if (::rename(old_name.c_str(), new_name.c_str()) != 0) return failed();
    return sync_directory();
  }

  Reply<std::vector<std::string>> list() override {
    std::vector<std::string> names;
    DIR* stream = ::opendir(path_.c_str());
    if (stream == nullptr && errno == ENOENT) return names;
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
    TRY(make());
    lock_ = Descriptor(
        ::open((path_ + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (lock_.get() < 0) return failed();
    while (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) return failed();
      if (!wait(lock_owner())) return std::unexpected(Errno{EWOULDBLOCK});
      std::this_thread::sleep_for(kLockPoll);
    }
    // Only for people to read: that it cannot be written is no reason to stop.
    if (::ftruncate(lock_.get(), 0) == 0) {
      [[maybe_unused]] const auto count = ::pwrite(lock_.get(), owner.data(), owner.size(), 0);
    }
    return {};
  }

 private:
  std::string lock_owner() {
    std::string owner(kMaxOwner, '\0');
    const ssize_t count = ::pread(lock_.get(), owner.data(), owner.size(), 0);
    owner.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    return owner;
  }
  Reply<void> make() {
    if (::mkdir(path_.c_str(), 0700) != 0 && errno != EEXIST) return failed();
    return {};
  }
  Reply<void> sync_directory() {
    const Descriptor dir(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (dir.get() < 0 || ::fsync(dir.get()) != 0) return failed();
    return {};
  }

  std::string path_;
  Descriptor lock_;
};

}  // namespace

std::unique_ptr<Storage> open_storage(std::string path) {
  return std::make_unique<PosixStorage>(std::move(path));
}

}  // namespace anybind
