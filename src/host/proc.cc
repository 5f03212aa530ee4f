#include "host/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/error.h"
#include "base/text.h"
#include "base/try.h"
#include "host/descriptor.h"

namespace anybind {

Reply<std::string> Proc::path_of(std::string_view path) const {
  if (root_.empty()) return std::unexpected(Errno{ENOENT});
  return root_ + "/" + std::string(path);
}

Reply<std::string> Proc::read(std::string_view path) const {
  const std::string full = TRY(path_of(path));
  const Descriptor file(::open(full.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.get() < 0) return std::unexpected(Errno{errno});
  std::string out;
  std::array<char, 16384> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  for (;;) {
    const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::unexpected(Errno{errno});
    if (count == 0) return out;
    out.append(buffer.data(), static_cast<std::size_t>(count));
    if (out.size() > kMaxFile) return std::unexpected(Errno{EFBIG});
  }
}

Reply<std::string> Proc::read_link(std::string_view path) const {
  const std::string full = TRY(path_of(path));
  std::array<char, 4096> target;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  const ssize_t count = ::readlink(full.c_str(), target.data(), target.size());
  if (count < 0) return std::unexpected(Errno{errno});
  return std::string(target.data(), static_cast<std::size_t>(count));
}

std::vector<std::string> Proc::processes() const {
  std::vector<std::string> out;
  DIR* stream = root_.empty() ? nullptr : ::opendir(root_.c_str());
  if (stream == nullptr) return out;
  while (const dirent* entry = ::readdir(stream)) {  // NOLINT(concurrency-mt-unsafe)
    const std::string_view name = entry->d_name;
    if (parse_decimal(name)) out.emplace_back(name);
  }
  ::closedir(stream);
  std::ranges::sort(out, [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  });
  return out;
}

}  // namespace anybind
