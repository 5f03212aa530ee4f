// The likely cause of a failure. An errno of `bind` has several meanings each (a probe's own ENODEV
// cannot be told from a missing match), so what it says is compared with what sysfs and the
// kernel's messages show at that moment. Nothing is claimed that was not seen.
#include "change/diagnosis.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/text.h"
#include "host/kernel_log.h"
#include "host/proc.h"
#include "host/process.h"
#include "inventory/device.h"
#include "inventory/match.h"
#include "inventory/vfio_driver.h"
#include "inventory/vfio_refusal.h"

namespace anybind {
namespace {

constexpr const char* kDeferred = "kernel/debug/devices_deferred";
constexpr std::size_t kMostHolders = 4;

/// A cause that was found, and what to type about it.
struct Cause {
  std::string why;
  Remark advice{};
};

bool is_there(Sysfs& root, const std::string& directory) {
  return root.open_dir(directory).has_value();
}

bool gives_driver(const Step& step) {
  return step.kind == Step::Kind::kBind || step.kind == Step::Kind::kVfioBind ||
         (step.kind == Step::Kind::kDrvctl && step.value != "none");
}

/// The reason that the kernel noted when it deferred a probe
/// (dd.c:device_set_deferred_probe_reason); a probe through `bind` is not noted, so it is of an
/// earlier one.
std::string noted_reason(Sysfs& root, const DeviceId& device) {
  const auto text = root.read(kDeferred);
  std::string_view rest = text ? std::string_view(*text) : std::string_view();
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const auto tab = line.find('\t');
    if (tab == std::string_view::npos || line.substr(0, tab) != device.name.str()) continue;
    return printable(line.substr(tab + 1));
  }
  return "";
}

/// Suppliers of the device that no driver has yet (drivers/base/core.c: device links).
std::vector<std::string> idle_suppliers(Sysfs& dir) {
  constexpr std::string_view kSupplier = "supplier:";
  std::vector<std::string> out;
  for (const std::string& name : dir.list("").value_or(std::vector<std::string>())) {
    if (!name.starts_with(kSupplier)) continue;
    const auto status = dir.read(name + "/status");
    if (status && trim_newline(*status) == "dormant") out.push_back(name.substr(kSupplier.size()));
  }
  return out;
}

Cause why_deferred(const FailedStep& failed) {
  Cause out{.why = failed.step.value + " deferred its probe"};
  const auto suppliers = idle_suppliers(failed.dir);
  const std::string reason = noted_reason(failed.host.sysfs, failed.device);
  if (!suppliers.empty()) {
    out.why += fmt::format(": it needs {}, which no driver has yet", join_words(suppliers));
  } else if (!reason.empty()) {
    out.why += ": " + reason;
  } else if (trim_newline(failed.dir.read("waiting_for_supplier").value_or("")) == "1") {
    // linux drivers/base/core.c:waiting_for_supplier_show
    out.why += ": a device that it needs, by what the firmware says, is not there yet";
  } else {
    out.why += ": something that it needs is not there yet";
    if (!failed.host.sysfs.read(kDeferred))
      out.advice = "mount -t debugfs debugfs /sys/kernel/debug: what it waits for may stand there";
  }
  return out;
}

/// [mem 0xc0000000-0xcfffffff 64bit pref] of a message, as /proc/iomem writes it.
std::optional<std::pair<std::uint64_t, std::uint64_t>> range_in(std::string_view text) {
  const auto start = text.find("[mem 0x");
  if (start == std::string_view::npos) return std::nullopt;
  text.remove_prefix(start + 5);
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto end = text.find_first_of(" ]", dash);
  const auto first = parse_hex(text.substr(0, dash));
  const auto last = parse_hex(text.substr(dash + 1, end - dash - 1));
  if (!first || !last) return std::nullopt;
  return std::pair(*first, *last);
}

/// Who has memory inside of this range, beside the device itself: "efifb", "BOOTFB".
std::vector<std::string> memory_holders(const std::string& iomem, const DeviceId& device,
                                        std::uint64_t first, std::uint64_t last) {
  std::vector<std::string> out;
  std::string_view rest = iomem;
  while (!rest.empty() && out.size() < kMostHolders) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    const auto dash = line.find('-');
    const auto colon = line.find(" : ");
    if (dash == std::string_view::npos || colon == std::string_view::npos || colon < dash) continue;
    const auto from = parse_hex(line.substr(0, dash));
    const auto to = parse_hex(line.substr(dash + 1, colon - dash - 1));
    const std::string_view name = line.substr(colon + 3);
    // Addresses read as zero without rights.
    if (!from || !to || *to == 0 || *from < first || *to > last) continue;
    if (name != device.name.str()) out.push_back(printable(name));
  }
  return out;
}

/// As the kernel names what the firmware has drawn on (linux drivers/firmware/sysfb.c and its
/// users).
bool is_framebuffer(const std::string& holder) {
  constexpr std::array kNames = {"BOOTFB", "efifb", "vesafb", "simplefb", "framebuffer", "drm"};
  return std::ranges::any_of(kNames, [&](const char* name) { return holder.contains(name); });
}

/// The device's memory is somebody else's: "BAR 0: can't reserve [mem 0x...]".
std::optional<Cause> why_memory(const FailedStep& failed,
                                const std::vector<std::string>& messages) {
  for (const std::string& message : messages) {
    const bool refused = message.contains("can't reserve") || message.contains("cannot reserve") ||
                         message.contains("can't request region");
    if (!refused) continue;
    const auto range = range_in(message);
    const auto iomem = failed.host.proc.read("iomem");
    const auto holders = range && iomem
                             ? memory_holders(*iomem, failed.device, range->first, range->second)
                             : std::vector<std::string>();
    if (!holders.empty()) {
      return Cause{.why = fmt::format("its memory is held by {}", join_words(holders)),
                   .advice = std::ranges::any_of(holders, is_framebuffer)
                                 ? "a framebuffer of the firmware lets go with video=efifb:off or "
                                   "initcall_blacklist=sysfb_init on the kernel command line"
                                 : "it stands in /proc/iomem; make it let go first"};
    }
    return Cause{.why = "something else holds its memory, often a framebuffer of the firmware",
                 .advice = "grep -i fb /proc/iomem"};
  }
  return std::nullopt;
}

/// vfio-pci takes no physical function that has virtual ones (linux drivers/vfio/pci/
/// vfio_pci_core.c:vfio_pci_core_register_device).
std::optional<Cause> why_functions(const FailedStep& failed) {
  const std::string count(trim_newline(failed.dir.read("sriov_numvfs").value_or("0")));
  if (!is_vfio_driver(failed.step.value) || count == "0") return std::nullopt;
  return Cause{
      .why = fmt::format("{} does not take it while it has virtual functions: {}",
                         failed.step.value, printable(count)),
      .advice = "remove them: " + Remark(Action::kMakeFunctions, {failed.device.str(), "0"})};
}

Cause why_busy(const FailedStep& failed) {
  const auto driver = read_driver(failed.dir);
  if (driver && *driver) {
    return {.why = (*driver)->str() + " took it meanwhile",
            .advice =
                Remark(Action::kShow, {failed.device.str()}) + ": someone else may be changing it"};
  }
  if (auto functions = why_functions(failed)) return *std::move(functions);
  const auto group = read_iommu_group(failed.dir).value_or(std::nullopt);
  const auto users = vfio_users(failed.host, failed.dir);
  if (group && !users.empty()) {
    return {.why = fmt::format("IOMMU group {} is in use by user space: it is open in {}", *group,
                               join_words(users)),
            .advice = "end that process first"};
  }
  // The bus asks every driver, and none is named.
  if (failed.step.value.empty())
    return {
        .why = "its IOMMU group is in use by user space, or its driver found busy what it needs",
        .advice = {Action::kShow, {failed.device.str()}}};
  return {.why = "its IOMMU group is in use by user space, or " + failed.step.value +
                 " found busy what it needs"};
}

/// EINVAL of a bind.
Cause why_refused(const FailedStep& failed, Errno err) {
  const std::string& driver = failed.step.value;
  const auto name = DriverName::parse(driver);
  auto refusals = name ? vfio_refusals(failed.host.sysfs, *name, {failed.device}, {})
                       : std::vector<VfioRefusal>();
  if (!refusals.empty())
    return {.why = std::move(refusals.front().what), .advice = std::move(refusals.front().advice)};
  if (needs_iommu_group(driver) && !read_iommu_group(failed.dir).value_or(std::nullopt)) {
    Obstacle none = no_group_obstacle(failed.host);
    return {.why = fmt::format("{} refused it: {}", driver, none.what),
            .advice = std::move(none.advice)};
  }
  return {.why = fmt::format("{} refused it: {}", driver, err.text())};
}

/// What an errno of `bind` means, beyond its text (kernel-facts 2.2, 9).
Cause why_not_bound(const FailedStep& failed, Errno err) {
  const std::string& driver = failed.step.value;
  const std::string path = "bus/" + failed.device.bus.str() + "/drivers/" + driver;
  const bool may_have_gone = err.value == ENODEV || err.value == ENOENT || err.value == EINVAL;
  if (may_have_gone && !is_there(failed.host.sysfs, path)) {
    return {.why = driver + " has gone: its module was unloaded meanwhile"};
  }
  switch (err.value) {
    case ENODEV:
      return {.why = driver + " does not accept this device"};
    case ENOENT:
      return {.why = driver + " cannot be bound by hand: it has no file `bind`"};
    case EBUSY:
      return why_busy(failed);
    case EAGAIN:
      return why_deferred(failed);
    case EINVAL:
      return why_refused(failed, err);
    default:
      return {.why = "the probe of " + driver + " failed: " + err.text()};
  }
}

/// The files that give no driver: what their errnos mean (kernel-facts 2.2, 2.4).
Cause why_not_written(const FailedStep& failed, Errno err) {
  const std::string& value = failed.step.value;
  switch (failed.step.kind) {
    case Step::Kind::kUnbind:
      if (err.value == ENODEV)
        return {.why = fmt::format("it is not on {} any more", value),
                .advice = {Action::kShow, {failed.device.str()}}};
      if (err.value == ENOENT)
        return {.why = fmt::format("{} has gone, or lets nobody unbind a device by hand", value),
                .advice = {Action::kShow, {failed.device.str()}}};
      break;
    case Step::Kind::kSetOverride:
    case Step::Kind::kSetPreferred:
      if (err.value == EINVAL)
        return {.why = fmt::format("the kernel takes no such name: {}", printable(value))};
      if (err.value == ENOENT)
        return {.why =
                    "its file for the name of a driver is not there, as the device is gone or "
                    "its bus has none",
                .advice = {Action::kShow, {failed.device.str()}}};
      break;
    default:
      break;
  }
  return {.why = fmt::format("the kernel refused that write: {}", err.text())};
}

/// The bus asks all drivers; what they answered it keeps to itself (kernel-facts: finding 4).
Cause why_not_probed(const FailedStep& failed, Errno err) {
  if (err.value == EINVAL) {
    Cause out = why_busy(failed);
    out.why = "no driver could get it: " + out.why;
    return out;
  }
  return {.why = err.text()};
}

}  // namespace

std::vector<std::string> vfio_users(const Host& host, Sysfs& dir) {
  Sysfs& root = host.sysfs;
  const auto group = read_iommu_group(dir).value_or(std::nullopt);
  if (!group || host.dev.empty()) return {};
  auto out = holders_of(host.proc, fmt::format("{}/vfio/{}", host.dev, *group));
  const std::string members = fmt::format("kernel/iommu_groups/{}/devices", *group);
  for (const std::string& member : root.list(members).value_or(std::vector<std::string>())) {
    const auto nodes = root.list(fmt::format("{}/{}/vfio-dev", members, member));
    for (const std::string& node : nodes.value_or(std::vector<std::string>())) {
      std::ranges::move(holders_of(host.proc, fmt::format("{}/vfio/devices/{}", host.dev, node)),
                        std::back_inserter(out));
    }
  }
  std::ranges::sort(out);
  out.erase(std::ranges::unique(out).begin(), out.end());
  return out;
}

namespace {

/// Why the number of virtual functions was not changed (linux drivers/pci/pci-sysfs.c and iov.c:
/// sriov_numvfs_store; kernel-facts 2.2).
Cause why_not_made(const Host& host, const DeviceId& pf, const std::string& count, Errno err) {
  const auto dir = host.sysfs.open_dir(pf.path());
  const auto driver = dir ? read_driver(**dir).value_or(std::nullopt) : std::nullopt;
  switch (err.value) {
    case ENOENT:
      if (!driver)
        return {.why = pf.str() + " has no driver, which would have to make and remove them",
                .advice = {Action::kRestore, {pf.str()}}};
      if (is_vfio_driver(driver->str()))
        return {.why = fmt::format("{} makes virtual functions only with its module's parameter "
                                   "enable_sriov",
                                   driver->str()),
                .advice = "give the physical function to its host driver first: " +
                          Remark(Action::kRestore, {pf.str()})};
      return {.why = fmt::format(
                  "{}, the driver of {}, cannot make virtual functions: it has no SR-IOV",
                  driver->str(), pf.str()),
              .advice = "another driver of the card, or another version of it, may have SR-IOV"};
    case EBUSY:
      return {.why = pf.str() + " has another number of them, and the kernel wants none in between",
              .advice = {Action::kMakeFunctions, {pf.str(), "0"}}};
    case ERANGE:
      return {.why = fmt::format("{} cannot have {} virtual functions", pf.str(), count),
              .advice = {Action::kShow, {pf.str()}}};
    case ENOMEM:
    case ENOSPC:
      return {.why = fmt::format("there is no room for {} of them: the bridge above it has too few "
                                 "bus numbers, or too little memory space",
                                 count),
              .advice =
                  "ask for fewer, or let the kernel lay the buses out anew with pci=realloc on "
                  "its command line"};
    default:
      return {.why = fmt::format("{} failed to {} virtual functions: {}",
                                 driver ? driver->str() : "the kernel",
                                 count == "0" ? "remove" : "make", err.text()),
              .advice = {Action::kShow, {pf.str()}}};
  }
}

/// Files of a bus or a driver.
Cause why_not_set(const Setting& setting, Errno err) {
  const std::string file(link_name(setting.path));
  const std::string what = printable(trim_newline(setting.bytes));
  if (file == "new_id" || file == "remove_id" || file == "driver_probe_id")
    return {.why = fmt::format("the kernel does not take the id {}: {}", what, err.text())};
  return {.why =
              fmt::format("the kernel does not let anybody write {} there: {}", what, err.text())};
}

}  // namespace

void add_reasons(Error& error, const Host& host, const Setting& setting) {
  // Where it is known already, it is better known there.
  if (error.err.value != 0 && error.kind == ErrorKind::kFailed && error.why.empty()) {
    const bool makes = setting.device && setting.path.ends_with("/sriov_numvfs");
    Cause cause = makes ? why_not_made(host, *setting.device, setting.bytes, error.err)
                        : why_not_set(setting, error.err);
    error.why = std::move(cause.why);
    if (!cause.advice.empty()) error.advice = std::move(cause.advice);
  }
  if (host.log == nullptr || !setting.device) return;
  for (std::string& line : messages_about(host.log->messages(), setting.device->bus.str(),
                                          setting.device->name.str(), ""))
    error.details.emplace_back("kernel: " + std::move(line));
}

void add_reasons(Error& error, const FailedStep& failed) {
  const bool tries = gives_driver(failed.step);
  std::vector<std::string> said;
  if (failed.host.log != nullptr) {
    said = messages_about(failed.host.log->messages(), failed.device.bus.str(),
                          failed.device.name.str(), tries ? failed.step.value : "");
  }
  const bool probes = tries || failed.step.kind == Step::Kind::kProbe;
  if (error.err.value != 0 && error.kind != ErrorKind::kNotPermitted) {
    auto cause = probes ? why_memory(failed, said) : std::nullopt;
    if (!cause) {
      cause = !probes ? why_not_written(failed, error.err)
              : tries ? why_not_bound(failed, error.err)
                      : why_not_probed(failed, error.err);
    }
    error.why = std::move(cause->why);
    if (!cause->advice.empty()) {
      error.advice = std::move(cause->advice);
    } else if (tries) {
      error.advice = {Action::kExplain, {failed.device.str(), failed.step.value}};
    }
  }
  for (std::string& line : said) error.details.emplace_back("kernel: " + std::move(line));
}

}  // namespace anybind
