#include "host/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "host/descriptor.h"

namespace anybind {

MappedFile::MappedFile(const std::string& path) {
  if (path.empty()) return;
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status{};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) return;
  if (!S_ISREG(status.st_mode) || status.st_size <= 0) return;
  const auto size = static_cast<std::size_t>(status.st_size);
  // Not all pages at once: the kernel maps 16 of them at a fault, and a look-up touches few.
  void* bytes = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (bytes == MAP_FAILED) return;
  text_ = {static_cast<const char*>(bytes), size};
}

MappedFile::~MappedFile() {
  if (!text_.empty()) ::munmap(const_cast<char*>(text_.data()), text_.size());
}

}  // namespace anybind
