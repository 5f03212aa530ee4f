#include "base/check.h"

#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>

namespace anybind {
namespace {

/// One line in memory of its own; what is too long is cut.
class Line {
 public:
  void add(std::string_view text) {
    text = text.substr(0, bytes_.size() - 1 - size_);
    std::memcpy(bytes_.data() + size_, text.data(), text.size());
    size_ += text.size();
  }
  void add(int number) {
    std::array<char, 12> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    add(std::string_view(digits.data(), static_cast<std::size_t>(end - digits.data())));
  }
  std::string_view done() {
    bytes_[size_++] = '\n';
    return {bytes_.data(), size_};
  }

 private:
  std::array<char, 512> bytes_{};
  std::size_t size_ = 0;
};

}  // namespace

void check_failed(const char* file, int line, const char* what) noexcept {
  Line out;
  out.add("anybind: ");
  out.add(file);
  out.add(":");
  out.add(line);
  out.add(": not so: ");
  out.add(what);
  const std::string_view text = out.done();
  // If nobody takes it there is nobody to tell.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
  std::abort();
}

}  // namespace anybind
