#include "cli/exit_code.h"

namespace anybind::cli {

int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kFailed:
      break;
    case ErrorKind::kUsage:
      return 2;
    case ErrorKind::kRefused:
      return 3;
    case ErrorKind::kIncomplete:
      return 4;
    case ErrorKind::kNotPermitted:
      return 5;
    case ErrorKind::kNotFound:
      return 6;
  }
  return 1;
}

}  // namespace anybind::cli
