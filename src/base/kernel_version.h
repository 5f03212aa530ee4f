#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace anybind {

/// A version of Linux, as "6.12".
struct KernelVersion {
  unsigned major = 0;
  unsigned minor = 0;

  friend auto operator<=>(const KernelVersion&, const KernelVersion&) = default;
  /// At the head of `text`, which may go on as "6.12.117-amd64" does.
  [[nodiscard]] static std::optional<KernelVersion> parse(std::string_view text);
  [[nodiscard]] std::string str() const;
};

}  // namespace anybind
