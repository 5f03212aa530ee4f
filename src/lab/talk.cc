#include "lab/talk.h"

#include <cerrno>

#include "host/descriptor_message.h"

namespace anybind::lab {
namespace {

constexpr std::size_t kMaxMessage = 1024;

}  // namespace

void say(int talk, Word word, std::string_view text, int descriptor) {
  std::string bytes(1, static_cast<char>(word));
  bytes.append(text.substr(0, kMaxMessage - 1));
  (void)DescriptorMessage(bytes.data(), bytes.size()).send(talk, descriptor);
}

std::string hear(int talk, Descriptor* descriptor) {
  std::string bytes(kMaxMessage, '\0');
  DescriptorMessage message(bytes.data(), bytes.size());
  int file = -1;
  ssize_t got = 0;
  do {
    got = message.receive(talk, &file);
  } while (got < 0 && errno == EINTR);
  bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  Descriptor came(file);
  if (file >= 0 && descriptor != nullptr) *descriptor = std::move(came);
  return bytes;
}

}  // namespace anybind::lab
