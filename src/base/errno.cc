#include "base/errno.h"

#include <cstring>

#include <fmt/format.h>

namespace anybind {

std::string Errno::name() const {
  const char* name = ::strerrorname_np(value);
  return name != nullptr ? std::string(name) : fmt::format("errno {}", value);
}

std::string Errno::text() const {
  const char* text = ::strerrordesc_np(value);
  return text != nullptr ? std::string(text) : name();
}

}  // namespace anybind
