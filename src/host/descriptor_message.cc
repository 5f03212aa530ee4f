#include "host/descriptor_message.h"

#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace anybind {
namespace {

struct Room {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> bytes{};
};

msghdr header_of(std::array<iovec, 2>& parts) {
  msghdr out{};
  out.msg_iov = parts.data();
  out.msg_iovlen = parts.size();
  return out;
}

void add(Room& room, msghdr& header) {
  header.msg_control = room.bytes.data();
  header.msg_controllen = room.bytes.size();
}

}  // namespace

ssize_t DescriptorMessage::send(int socket, int file) {
  msghdr header = header_of(parts_);
  Room room;
  if (file >= 0) {
    add(room, header);
    cmsghdr* const beside = CMSG_FIRSTHDR(&header);
    CHECK(beside != nullptr, "there is room for a descriptor");
    beside->cmsg_level = SOL_SOCKET;
    beside->cmsg_type = SCM_RIGHTS;
    beside->cmsg_len = CMSG_LEN(sizeof file);
    std::memcpy(CMSG_DATA(beside), &file, sizeof file);
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &header, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent;
}

ssize_t DescriptorMessage::receive(int socket, int* file) {
  msghdr header = header_of(parts_);
  Room room;
  if (file != nullptr) {
    *file = -1;
    add(room, header);
  }
  const ssize_t got = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  if (got <= 0 || file == nullptr) return got;
  const cmsghdr* const beside = CMSG_FIRSTHDR(&header);
  if (beside != nullptr && beside->cmsg_level == SOL_SOCKET && beside->cmsg_type == SCM_RIGHTS &&
      beside->cmsg_len == CMSG_LEN(sizeof *file))
    std::memcpy(file, CMSG_DATA(beside), sizeof *file);
  return got;
}

}  // namespace anybind
