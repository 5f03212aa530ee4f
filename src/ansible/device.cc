// Devices: bind, unbind and restore, until the next boot.
#include <algorithm>

#include "ansible/modules.h"
#include "base/try.h"
#include "cli/choose.h"
#include "cli/left_out.h"
#include "engine/engine.h"

namespace anybind::ansible {
namespace {

Result<Request> parse(const Task& task) {
  const Arguments& arguments = task.arguments;
  TRY(arguments.only({"device", "driver", "state", "group", "owner", "ignore", "timeout"}));
  Request out = TRY(request_of(arguments));
  const bool restores = TRY(arguments.word("state", {"bound", "restored"})) == "restored";
  if (restores && arguments.has("driver"))
    return wrong("driver", "a device that is restored gets the driver that it had");
  if (!restores && !arguments.has("driver"))
    return wrong("driver", "it is missing", "a driver; \"none\"; or state: restored");
  const auto words = TRY(arguments.texts("device"));
  if (words.empty()) return wrong("device", "no device is named");
  out.whole_group = TRY(arguments.word("group", {"listed", "whole"})) == "whole";
  out.owner = TRY(arguments.text("owner", ""));
  if (restores) {
    out.verb = Request::Verb::kRestore;
  } else {
    const std::string driver = TRY(arguments.text("driver"));
    out.driver = TRY(DriverName::parse(driver));
    if (out.driver->str() == "none") {
      out.verb = Request::Verb::kUnbind;
      out.driver.reset();
    }
  }
  cli::Chosen chosen = TRY(cli::choose(
      task.context, words, restores ? cli::Means::kMustBeSaid : cli::Means::kWhatIsThere));
  TRY(cli::leave_out(task.context, cli::ChangeOptions{},
                     restores ? cli::Bridges::kTake : cli::Bridges::kLeaveAlone, chosen));
  if (chosen.devices.empty()) return wrong("device", "it means no device");
  out.devices = std::move(chosen.devices);
  out.names = std::move(chosen.names);
  return out;
}

/// Of what `restored` names, that which anybind has taken: the rest is as it was.
Result<> keep_taken(const Host& host, Request& request) {
  if (request.verb != Request::Verb::kRestore) return {};
  const Memory memory = TRY(read_memory(host));
  std::erase_if(request.devices,
                [&](const DeviceId& id) { return !memory.origins.table().contains(id); });
  return {};
}

}  // namespace

Result<Answer> run_device(const Task& task) {
  Request request = TRY(parse(task));
  TRY(keep_taken(task.host(), request));
  if (request.devices.empty()) return Answer{.message = "anybind has not taken it"};
  return carry_out(task, request);
}

}  // namespace anybind::ansible
