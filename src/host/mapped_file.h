#pragma once

#include <string>
#include <string_view>

namespace anybind {

/// A regular file mapped for reading, such as pci.ids. Empty when it cannot be had, and when it
/// says that it is, as files do whose text is made when they are read. It must not be cut short
/// meanwhile (packages replace files, they do not rewrite them).
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  [[nodiscard]] std::string_view text() const { return text_; }

 private:
  std::string_view text_;
};

}  // namespace anybind
