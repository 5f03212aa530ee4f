#include "base/error.h"

#include <cerrno>

#include <fmt/format.h>

#include "base/text.h"

namespace anybind {

std::string Error::message() const {
  std::string out = operation;
  if (!object.empty()) out += (out.empty() ? "" : " ") + printable(object);
  std::string reason = !why.empty() ? printable(why) : (err.value != 0 ? err.text() : "");
  if (!reason.empty()) out += (out.empty() ? "" : ": ") + reason;
  if (err.value != 0) out += fmt::format(" ({})", err.name());
  return out;
}

Error from_errno(Errno err, std::string operation, std::string object, ErrorKind kind) {
  const bool rights = err.value == EACCES || err.value == EPERM || err.value == EROFS;
  return Error{.kind = rights ? ErrorKind::kNotPermitted : kind,
               .err = err,
               .operation = std::move(operation),
               .object = std::move(object),
               .why = {},
               .advice = rights ? "run it as root, on a machine whose sysfs is writable" : ""};
}

}  // namespace anybind
