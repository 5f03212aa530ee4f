// lab, in a build without libfuse3.
#include <CLI/App.hpp>

#include "cli/candidates.h"
#include "cli/verb.h"

namespace anybind::cli {

std::vector<std::string> lab_names() {
  return {};
}

Run setup_lab(CLI::App& app) {
  app.allow_extras();
  return [](Context&) -> Result<int> {
    return fail({.kind = ErrorKind::kFailed,
                 .object = "lab",
                 .why = "this anybind was built without libfuse3",
                 .advice = "build it with libfuse3-dev; without it: anybind --lab FILE list"});
  };
}

}  // namespace anybind::cli
