#pragma once

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>

namespace anybind {

/// A message of one or two parts over a socket, with room for one open file beside it (unix(7),
/// SCM_RIGHTS). Refers to the parts, which must live as long. Only system calls and its own memory:
/// a child made by _Fork() may use it.
class DescriptorMessage {
 public:
  DescriptorMessage(void* head, std::size_t head_size, void* body = nullptr,
                    std::size_t body_size = 0)
      : parts_{
            {{.iov_base = head, .iov_len = head_size}, {.iov_base = body, .iov_len = body_size}}} {}

  /// One sendmsg(2), which is repeated when a signal comes first, and raises no SIGPIPE. `file`
  /// goes along unless it is -1, and stays open here. As sendmsg(2): -1 and errno.
  ssize_t send(int socket, int file = -1);

  /// One recvmsg(2). Like that: 0 when the other end is gone, -1 and errno (EINTR too). `file`
  /// becomes the one that came along, which the caller must close, or -1; without it none is taken.
  ssize_t receive(int socket, int* file = nullptr);

 private:
  std::array<iovec, 2> parts_;
};

}  // namespace anybind
