#include "host/storage.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <map>

#include "host/descriptor.h"

namespace anybind {
namespace {

std::unexpected<Errno> failed() {
  return std::unexpected(Errno{errno});
}

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

  Reply<void> lock() override {
    TRY(make());
    lock_ = Descriptor(
        ::open((path_ + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (lock_.get() < 0) return failed();
    while (::flock(lock_.get(), LOCK_EX) != 0) {
      if (errno != EINTR) return failed();
    }
    return {};
  }

 private:
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

class MemoryStorage final : public Storage {
 public:
  Reply<std::optional<std::string>> read(std::string_view name) override {
    const auto found = files_.find(name);
    if (found == files_.end()) return std::nullopt;
    return found->second;
  }
  Reply<void> replace(std::string_view name, std::string_view bytes) override {
    files_.insert_or_assign(std::string(name), std::string(bytes));
    return {};
  }
  Reply<void> remove(std::string_view name) override {
    if (const auto found = files_.find(name); found != files_.end()) files_.erase(found);
    return {};
  }
  Reply<void> lock() override { return {}; }

 private:
  std::map<std::string, std::string, std::less<>> files_;
};

}  // namespace

std::unique_ptr<Storage> open_storage(std::string path) {
  return std::make_unique<PosixStorage>(std::move(path));
}

std::unique_ptr<Storage> memory_storage() {
  return std::make_unique<MemoryStorage>();
}

}  // namespace anybind
