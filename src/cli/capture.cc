// capture: this machine as a machine file, to be tried out elsewhere.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/try.h"
#include "cli/answer.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/verb.h"
#include "drivercore/file/machine.h"
#include "engine/engine.h"
#include "host/descriptor.h"

namespace anybind::cli {
namespace {

/// A new file, whole or not at all; what is there already is not touched.
Result<> write_new(const std::string& file, std::string_view text) {
  const Descriptor out(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (out.get() < 0) {
    Error error = from_errno(Errno{errno}, "write", file);
    if (error.err.value == EEXIST) error.advice = "name another file, or remove that one";
    return fail(std::move(error));
  }
  while (!text.empty()) {
    const ssize_t count = ::write(out.get(), text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const Errno err{errno};
      ::unlink(file.c_str());
      return fail(from_errno(err, "write", file));
    }
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Result<int> run_capture(Context& context, const std::string& file) {
  std::vector<DeviceId> busy;
  const auto state = TRY(context.session.capture(busy));
  for (const DeviceId& device : busy) {
    say(context.err,
        "anybind: warning: {} is busy: {}; its driver_override is not known, and its driver "
        "may be wrong\n",
        printable(device.str()), printable(why_busy(context.session.host(), device.str()), 1024));
  }
  const std::string text = drivercore::save_machine(state);
  if (file.empty() || file == "-") {
    if (context.json) {
      answer(context, {{"machine", text}});
    } else {
      put(context.out, text);
    }
    return 0;
  }
  TRY(write_new(file, text));
  if (context.json) {
    answer(context,
           {{"file", file}, {"devices", state.devices.size()}, {"drivers", state.drivers.size()}});
  }
  if (context.verbosity >= 0) {
    say(context.err, "{} devices and {} drivers; try: anybind --lab {} list\n",
        state.devices.size(), state.drivers.size(), shell_quote(file));
  }
  return 0;
}

}  // namespace

Run setup_capture(CLI::App& app) {
  auto file = std::make_shared<std::string>();
  app.add_option("FILE", *file, "a new file; standard output without it");
  return [file](Context& context) { return run_capture(context, *file); };
}

}  // namespace anybind::cli
