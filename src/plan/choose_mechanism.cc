#include "plan/choose_mechanism.h"

#include <algorithm>
#include <cerrno>
#include <set>

#include <fmt/format.h>

#include "base/text.h"
#include "inventory/device.h"
#include "plan/dynamic_id.h"

namespace anybind {
namespace {

using enum Mechanism;

/// A file that may not be readable.
bool has_file(Sysfs& dir, const std::string& name) {
  const auto text = dir.read(name);
  return text || text.error().value == EACCES || text.error().value == EPERM;
}

// ---- why not

Error refuse(const DeviceId& device, std::string why, Remark next) {
  return {.kind = ErrorKind::kRefused,
          .object = device.str(),
          .why = std::move(why),
          .advice = std::move(next)};
}

Error not_loaded(const DeviceId& device, const DriverName& driver) {
  return refuse(device,
                fmt::format("{} is not loaded, and which ways there are beside driver_override "
                            "shows only when it is",
                            driver.str()),
                "load its module, for instance: modprobe " + shell_quote(driver.str()));
}

Error not_offered(const DeviceId& device, const DriverName& driver, Mechanism wanted,
                  const std::vector<Mechanism>& offered) {
  std::vector<std::string> names;
  names.reserve(offered.size());
  for (const Mechanism one : offered) names.emplace_back(name_of(one));
  return refuse(
      device, fmt::format("this kernel has no {} to give it to {}", name_of(wanted), driver.str()),
      names.empty() ? Remark(Action::kExplain, {device.str()})
                    : Remark(Action::kMechanism, std::move(names)));
}

/// A client's name says what it is, and only whoever declared it can say something else.
void add_i2c_lines(const DeviceId& device, const OwnIds& own, Error& error) {
  constexpr std::size_t kMostNames = 8;
  const std::string& name = device.name.str();
  const auto dash = name.find('-');
  if (dash == std::string::npos) return;
  const auto address = parse_hex(name.substr(dash + 1), 0xFFFF);
  if (!address) return;
  std::vector<std::string> names;
  for (const std::string& pattern : own.patterns()) {
    if (pattern.starts_with("i2c:") && names.size() < kMostNames)
      names.push_back(pattern.substr(4));
  }
  if (names.empty()) return;
  const std::string adapter = "/sys/bus/i2c/devices/i2c-" + name.substr(0, dash);  // never opened
  error.details.emplace_back("if new_device made it, it can be made again under a name that " +
                             std::string("the driver knows: ") + join_words(names, "or"));
  error.details.emplace_back(fmt::format("echo 0x{:02x} > {}/delete_device", *address, adapter));
  error.details.emplace_back(
      fmt::format("echo {} 0x{:02x} > {}/new_device", names.front(), *address, adapter));
}

/// Only whoever wants the id to stay until the module goes can give it.
void add_serial_line(const DeviceId& device, Sysfs& dir, const DriverName& driver, Error& error) {
  const auto id = dynamic_id(dir, device);
  if (!id) return;
  error.details.emplace_back(
      "by hand, until its module is unloaded; other devices of this id go to it too:");
  error.details.emplace_back(
      fmt::format("echo {} > /sys/bus/usb-serial/drivers/{}/new_id", id->remove, driver.str()));
}

Error nothing_works(Sysfs& root, const DeviceId& device, Sysfs& dir, const DriverName& driver,
                    const OwnIds& own, const std::set<std::string>& files) {
  const std::string& bus = device.bus.str();
  Error error = refuse(device,
                       fmt::format("{} has no id for it, and the {} bus has no way to give it one",
                                   driver.str(), bus),
                       {Action::kExplain, {device.str()}});
  if (!files.contains("bind") && !files.contains("new_id")) {
    error.why = driver.str() + " cannot be bound by hand: it has no bind file";
  } else if (files.contains("new_id") && !files.contains("remove_id")) {
    error.why = fmt::format(
        "{} has no id for it; the {} bus has new_id but no remove_id, so that an id could not be "
        "taken back",
        driver.str(), bus);
  } else if (bus == "usb" && !device.name.str().contains(':')) {
    error.why = "it is a whole USB device, and " + driver.str() + " drives interfaces";
    error.advice = {Action::kBind, {device.str() + ":1.0", driver.str()}};
  } else if (bus == "i2c") {
    add_i2c_lines(device, own, error);
  } else if (bus == "usb" && root.open_dir("bus/usb-serial/drivers/" + driver.str())) {
    error.why = fmt::format(
        "{} has no id for it; its new_id is on the usb-serial bus, which has no remove_id, so that "
        "an id could not be taken back",
        driver.str());
    add_serial_line(device, dir, driver, error);
  }
  return error;
}

/// Of a driver that is not there yet, because its module is still to be loaded: what most have.
struct DriverFiles {
  std::set<std::string> names{"bind"};
  bool registered = false;
};

DriverFiles driver_files(Sysfs& root, const BusName& bus, const DriverName& driver) {
  const auto names = root.list(driver_path(bus, driver));
  if (!names) return {};
  return {.names = {names->begin(), names->end()}, .registered = true};
}

std::vector<Mechanism> offered_by(Sysfs& dir, const DeviceId& device,
                                  const std::set<std::string>& files) {
  std::vector<Mechanism> out;
  const bool can_bind = files.contains("bind");
  const bool has_ids =
      files.contains("new_id") && files.contains("remove_id") && dynamic_id(dir, device);
  if (can_bind && has_file(dir, "driver_override")) out.push_back(kDriverOverride);
  if (can_bind && has_file(dir, "preferred_driver")) out.push_back(kPreferredDriver);
  if (has_file(dir, "drvctl")) out.push_back(kDrvctl);
  if (can_bind) out.insert(out.end(), {kBind, kSysfsBindOnly});
  if (files.contains("vfio_bind")) out.push_back(kVfioBind);
  if (!can_bind || !has_ids) return out;
  if (has_file(dir, "driver_probe_id")) out.push_back(kDriverProbeId);
  if (files.contains("autoprobe")) out.push_back(kAutoprobeFlag);
  out.insert(out.end(), {kNewId, kNewIdWindow});
  return out;
}

}  // namespace

std::vector<Mechanism> offered_mechanisms(Sysfs& root, const DeviceId& device, Sysfs& dir,
                                          const DriverName& driver) {
  return offered_by(dir, device, driver_files(root, device.bus, driver).names);
}

Result<Mechanism> choose_mechanism(Sysfs& root, const DeviceId& device, Sysfs& dir,
                                   const DriverName& driver, ModuleLoader* modules,
                                   std::optional<Mechanism> forced) {
  const auto [files, registered] = driver_files(root, device.bus, driver);
  const auto offered = offered_by(dir, device, files);
  const auto has = [&](Mechanism one) { return std::ranges::find(offered, one) != offered.end(); };
  if (forced && has(*forced)) return *forced;
  if (forced && !registered) return fail(not_loaded(device, driver));
  if (forced) return fail(not_offered(device, driver, *forced, offered));
  for (const Mechanism own : {kDriverOverride, kPreferredDriver, kDrvctl}) {
    if (has(own)) return own;
  }
  const OwnIds own(root, device.bus, driver, modules);
  const auto modalias = dir.read("modalias");
  const auto answer = own.match(modalias ? std::string(trim_newline(*modalias)) : "");
  if (has(kBind) && answer == OwnIds::Answer::kYes) return kBind;
  if (!registered) return fail(not_loaded(device, driver));
  for (const Mechanism one : {kVfioBind, kDriverProbeId, kAutoprobeFlag, kNewId}) {
    if (has(one)) return one;
  }
  const bool whole_usb = device.bus.str() == "usb" && files.contains("new_id") && !modalias;
  if (has(kBind) && answer == OwnIds::Answer::kUnknown && !whole_usb) return kBind;
  return fail(nothing_works(root, device, dir, driver, own, files));
}

Mechanism plain_mechanism(const Binding& binding) {
  return binding.is_preferred ? kPreferredDriver : kDriverOverride;
}

Mechanism plain_mechanism(const Binding& binding, Sysfs& dir) {
  if (binding.has_override) return plain_mechanism(binding);
  return has_file(dir, "drvctl") ? kDrvctl : kBind;
}

}  // namespace anybind
