#include "change/patient_writer.h"

#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/text.h"
#include "host/process.h"

namespace anybind {

Result<> PatientWriter::write(Sysfs& dir, std::string_view path, std::string_view bytes,
                              const std::string& object, bool back) const {
  const Patience patience{.limit = options_.long_patience,
                          .give_up = [&] { return !back && listener_.stop_requested(); }};
  Abandoned process;
  const auto reply = dir.write_patiently(path, bytes, patience, process);
  if (process.pid != 0) {
    CHECK(!reply, "a write that was left behind has no answer");
    told_(stuck_write(std::nullopt, process, "write to " + object, back, host_));
    return fail(left_behind_error("write", object, process, patience, {}, host_));
  }
  if (reply) return {};
  Error error = from_errno(reply.error(), "write", object);
  if (reply.error().value == EOWNERDEAD) {
    error.why =
        "the process that wrote for anybind was killed; whether the write had its effect "
        "is not known";
  }
  return fail(std::move(error));
}

Error left_behind_error(std::string operation, std::string object, const Abandoned& process,
                        const Patience& patience, const std::vector<std::string>& holders,
                        const Host& host) {
  CHECK(process.pid != 0, "a process hangs in what was left behind");
  const std::string where = wait_channel(host.own_proc, process.pid);
  std::string why = patience.give_up && patience.give_up()
                        ? "had not returned when anybind was asked to stop"
                        : fmt::format("has not returned after {:.3g} s",
                                      std::chrono::duration<double>(patience.limit).count());
  if (!holders.empty()) why += "; it is open in " + join_words(holders);
  if (!where.empty()) why += fmt::format("; the kernel waits in {}", where);
  why += fmt::format("; process {} is left waiting in it", process.pid);
  return {.kind = ErrorKind::kIncomplete,
          .operation = std::move(operation),
          .object = std::move(object),
          .why = std::move(why),
          .advice = (holders.empty() ? fmt::format("wait until process {} has ended", process.pid)
                                     : "end that process") +
                    ", then: " + Action::kRecover};
}

StuckWrite stuck_write(std::optional<std::size_t> device, const Abandoned& process,
                       std::string what, bool back, const Host& host) {
  return {.device = device,
          .pid = process.pid,
          .started = process_start(host.own_proc, process.pid).value_or(0),
          .back = back,
          .what = std::move(what)};
}

std::vector<std::string> still_waiting(const JournalEntry& entry, const Proc& proc,
                                       const DeviceId* device) {
  std::vector<std::string> out;
  for (const StuckWrite& write : entry.stuck) {
    CHECK(!write.device || *write.device < entry.devices.size(),
          "a journal that was read names only devices that it has");
    const DeviceId* const of = write.device ? &entry.devices[*write.device].device : nullptr;
    if (device != nullptr && (of == nullptr || *of != *device)) continue;
    if (process_start(proc, write.pid) != write.started) continue;
    const std::string where = wait_channel(proc, write.pid);
    out.push_back(fmt::format("{}process {} still waits in its {}{}",
                              of == nullptr || device != nullptr ? "" : of->str() + ": ", write.pid,
                              write.what, where.empty() ? "" : " (" + where + ")"));
  }
  return out;
}

}  // namespace anybind
