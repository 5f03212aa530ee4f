#include "lab/talk.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace anybind::lab {
namespace {

constexpr std::size_t kMaxMessage = 1024;

}  // namespace

void say(int talk, Word word, std::string_view text, int descriptor) {
  std::string bytes(1, static_cast<char>(word));
  bytes.append(text.substr(0, kMaxMessage - 1));
  iovec io{.iov_base = bytes.data(), .iov_len = bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof descriptor)> control{};
  msghdr message{};
  message.msg_iov = &io;
  message.msg_iovlen = 1;
  if (descriptor >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  (void)::sendmsg(talk, &message, MSG_NOSIGNAL);
}

std::string hear(int talk, Descriptor* descriptor) {
  std::string bytes(kMaxMessage, '\0');
  iovec io{.iov_base = bytes.data(), .iov_len = bytes.size()};
  int fd = -1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fd)> control{};
  msghdr message{};
  message.msg_iov = &io;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = 0;
  do {
    got = ::recvmsg(talk, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_len == CMSG_LEN(sizeof fd)) {
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    Descriptor came(fd);
    if (descriptor != nullptr) *descriptor = std::move(came);
  }
  return bytes;
}

}  // namespace anybind::lab
