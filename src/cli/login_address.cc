#include "cli/login_address.h"

#include <cstdlib>
#include <string_view>

namespace anybind::cli {

std::string login_address() {
  const char* connection = std::getenv("SSH_CONNECTION");  // NOLINT(concurrency-mt-unsafe)
  std::string_view rest = connection == nullptr ? "" : connection;
  for (int i = 0; i < 2; ++i) {  // "CLIENT PORT HERE PORT"
    const auto blank = rest.find(' ');
    if (blank == std::string_view::npos) return "";
    rest.remove_prefix(blank + 1);
  }
  return std::string(rest.substr(0, rest.find(' ')));
}

}  // namespace anybind::cli
