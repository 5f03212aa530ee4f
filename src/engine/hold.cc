// A flag of the kernel that is off for hours is a debt: every device that comes meanwhile waits for
// us. So the debt is written down before it is made, with the process that has it, and whoever
// recovers pays it when that process is gone: the flag goes back first, so that nothing new has to
// wait, and then each device that came since is offered to its bus. What a device is offered twice
// does it no harm.
#include "engine/hold.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/kernel_version.h"
#include "base/text.h"
#include "base/try.h"
#include "change/newcomers.h"
#include "change/patient_writer.h"
#include "engine/held_for_a_change.h"
#include "host/process.h"
#include "inventory/device.h"
#include "record/records.h"

namespace anybind {
namespace {

constexpr const char* kFile = "hold.json";

std::string flag_of(const BusName& bus) {
  return fmt::format("bus/{}/drivers_autoprobe", bus.str());
}

/// "4711", as /proc says of whoever asks.
std::optional<long> own_pid(const Host& host) {
  const auto pid = parse_decimal(host.own_proc.read_link("self").value_or(""));
  return pid ? std::optional(static_cast<long>(*pid)) : std::nullopt;
}

bool is_own(const Host& host, const Hold& hold) {
  return hold.is_alive && own_pid(host) == hold.pid;
}

Error broken() {
  return {.kind = ErrorKind::kIncomplete,
          .object = kFile,
          .why = "it cannot be understood",
          .advice = "see whether drivers_autoprobe of each bus is 1, and remove the file"};
}

/// nullopt: it is of another boot, after which nothing is held.
Result<std::optional<Hold>> parse(const Host& host, const std::string& text) {
  try {
    const auto file = nlohmann::json::parse(text);
    if (file.at("version") != 1) return fail(broken());
    if (file.at("boot") != host.boot) return std::nullopt;
    auto bus = BusName::parse(file.at("bus").get<std::string>());
    if (!bus) return fail(broken());
    Hold out{.bus = *std::move(bus),
             .pid = file.at("pid").get<long>(),
             .started = file.at("started").get<std::uint64_t>(),
             .youngest = {.device = file.at("youngest").at(0).get<std::uint64_t>(),
                          .inode = file.at("youngest").at(1).get<std::uint64_t>()}};
    out.is_alive = process_start(host.own_proc, out.pid) == out.started;
    return out;
  } catch (const nlohmann::json::exception&) {
    return fail(broken());
  }
}

std::string text_of(const Host& host, const Hold& hold) {
  return nlohmann::json({{"version", 1},
                         {"boot", host.boot},
                         {"bus", hold.bus.str()},
                         {"pid", hold.pid},
                         {"started", hold.started},
                         {"youngest", {hold.youngest.device, hold.youngest.inode}}})
             .dump() +
         "\n";
}

Result<> write_flag(const Host& host, const BusName& bus, std::string_view value) {
  const std::string flag = flag_of(bus);
  const auto written = host.sysfs.write(flag, value);
  if (!written) return fail(from_errno(written.error(), "write", flag));
  const auto now = host.sysfs.read(flag);
  if (now && trim_newline(*now) == value) return {};
  return fail({.object = flag, .why = fmt::format("it did not become {}", value)});
}

Result<Hold> hold_by_us(const Host& host, const BusName& bus) {
  const auto pid = own_pid(host);
  const auto started = pid ? process_start(host.own_proc, *pid) : std::nullopt;
  if (!started) return fail({.why = "no /proc tells which process this is"});
  return Hold{.bus = bus,
              .pid = *pid,
              .started = *started,
              .youngest = TRY(youngest_on(host.sysfs, bus)),
              .is_alive = true};
}

Error forgotten(Errno err) {
  return from_errno(err, "remember in", kFile);
}

}  // namespace

bool can_hold(const Host& host) {
  const auto kernel = KernelVersion::parse(host.release);
  return kernel && *kernel >= KernelVersion{.major = 6, .minor = 19} &&
         host.sysfs.read(flag_of(BusName::literal("pci"))).has_value();
}

Result<std::optional<Hold>> read_hold(const Host& host) {
  if (host.storage == nullptr) return std::nullopt;
  const auto text = host.storage->read(kFile);
  if (!text) return fail(from_errno(text.error(), "read", kFile));
  if (!*text) return std::nullopt;
  return parse(host, **text);
}

Result<> begin_hold(const Host& host, const BusName& bus, Listener& listener) {
  const HeldForAChange lock(*host.storage);
  TRY(Memory::lock(host, [&](const std::string& owner) {
    listener.on_waiting(owner);
    return !listener.stop_requested();
  }));
  const auto before = TRY(read_hold(host));
  if (before && is_own(host, *before)) return write_flag(host, bus, "0");
  if (before && before->is_alive)
    return fail({.kind = ErrorKind::kRefused,
                 .object = flag_of(bus),
                 .why = fmt::format("process {} holds it", before->pid)});
  TRY(end_hold(host, listener));
  const auto flag = host.sysfs.read(flag_of(bus));
  if (!flag) return fail(from_errno(flag.error(), "read", flag_of(bus)));
  if (trim_newline(*flag) != "1")
    return fail({.kind = ErrorKind::kRefused,
                 .object = flag_of(bus),
                 .why = "it is off already, and nobody says who wants that"});
  const Hold hold = TRY(hold_by_us(host, bus));
  if (const auto kept = host.storage->replace(kFile, text_of(host, hold)); !kept)
    return fail(forgotten(kept.error()));
  return write_flag(host, bus, "0");
}

Result<> pay_back(const Host& host, const Hold& hold, Listener& listener) {
  TRY(write_flag(host, hold.bus, "1"));
  const RunOptions options;
  const PatientWriter writer(host, options, listener, [](const StuckWrite& /*write*/) {});
  offer_newcomers(host.sysfs,
                  {.path = flag_of(hold.bus),
                   .bytes = "0",
                   .undo_path = {},
                   .undo_bytes = {},
                   .reason = {},
                   .youngest = hold.youngest},
                  listener, writer);
  return {};
}

Result<bool> end_hold(const Host& host, Listener& listener) {
  const auto hold = TRY(read_hold(host));
  if (hold && hold->is_alive && !is_own(host, *hold)) return false;
  if (hold) {
    TRY(pay_back(host, *hold, listener));
    if (!hold->is_alive)
      listener.on_warning(
          fmt::format("{} was off, as process {} had wanted, which is gone: it is on again",
                      flag_of(hold->bus), hold->pid));
  }
  if (const auto removed = host.storage->remove(kFile); !removed)
    return fail(forgotten(removed.error()));
  return hold.has_value();
}

}  // namespace anybind
