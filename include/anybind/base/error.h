#pragma once

#include <expected>
#include <string>
#include <utility>
#include <vector>

#include "anybind/base/advice.h"
#include "anybind/base/errno.h"

namespace anybind {

/// Why something was not done.
enum class ErrorKind {
  kFailed,        ///< tried, failed, and everything is as it was before
  kUsage,         ///< the request makes no sense; nothing was tried
  kRefused,       ///< a guard or the IOMMU group forbids it; nothing was tried
  kIncomplete,    ///< tried, failed, and not everything could be put back
  kNotPermitted,  ///< the kernel wants other rights
  kNotFound,      ///< no such device or driver
};

/// An error as a value: what failed, on which object, why, and what to do next.
/// Library code returns it and never prints.
struct Error {
  ErrorKind kind = ErrorKind::kFailed;
  Errno err{};                    ///< 0 when no system call is behind it
  std::string operation{};        ///< what was tried: "bind", "write driver_override"
  std::string object{};           ///< on what: "0000:03:00.0"
  std::string why{};              ///< in words; when empty, the errno's text is used
  Remark advice{};                ///< what to do next; may be empty
  std::vector<Remark> details{};  ///< more about why, a line each, printable

  /// "operation object: why (ERRNO)", one line, without `advice` and `details`. Text from outside
  /// is made printable.
  [[nodiscard]] std::string message() const;
};

template <class T = void>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(Error error) {
  return std::unexpected<Error>(std::move(error));
}

/// Lifts the errno of a sysfs operation. EACCES, EPERM and EROFS become kNotPermitted, all others
/// `kind`.
[[nodiscard]] Error from_errno(Errno err, std::string operation, std::string object,
                               ErrorKind kind = ErrorKind::kFailed);

}  // namespace anybind
