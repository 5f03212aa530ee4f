#pragma once

#include <unistd.h>

#include <cerrno>
#include <expected>
#include <utility>

#include "base/errno.h"

namespace anybind {

/// What the last system call said, as a `Reply` that failed.
inline std::unexpected<Errno> failed() {
  return std::unexpected(Errno{errno});
}

/// Owns a file descriptor; -1 for none.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

}  // namespace anybind
