#pragma once

#include <compare>
#include <expected>
#include <string>

namespace anybind {

/// An errno as the kernel returned it, kept verbatim. Kernel-internal codes can leak out of a probe
/// (ERESTARTSYS arrives as 512), so any positive value is possible.
struct Errno {
  int value = 0;

  friend auto operator<=>(const Errno&, const Errno&) = default;

  /// "EBUSY"; "errno 512" where C has no name for it.
  [[nodiscard]] std::string name() const;
  /// "Device or resource busy"; the name where C has no words for it.
  [[nodiscard]] std::string text() const;
};

/// What one visible interaction with the kernel gave: a value, or the errno. Cheap on the failing
/// path, because a missing link or file is an everyday answer; callers that report to a person turn
/// it into an `Error` with the operation and the object.
template <class T>
using Reply = std::expected<T, Errno>;

}  // namespace anybind
