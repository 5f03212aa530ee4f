#include "base/kernel_version.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"

namespace anybind {

std::optional<KernelVersion> KernelVersion::parse(std::string_view text) {
  constexpr unsigned kMost = 999;
  const auto digits = [&]() -> std::optional<unsigned> {
    const auto end = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = parse_decimal(text.substr(0, end), kMost);
    text.remove_prefix(end);
    return number ? std::optional(static_cast<unsigned>(*number)) : std::nullopt;
  };
  const auto major = digits();
  if (!major || !text.starts_with('.')) return std::nullopt;
  text.remove_prefix(1);
  const auto minor = digits();
  if (!minor) return std::nullopt;
  return KernelVersion{*major, *minor};
}

std::string KernelVersion::str() const {
  return fmt::format("{}.{}", major, minor);
}

}  // namespace anybind
