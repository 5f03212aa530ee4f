// Who else changes drivers here, and what was left behind by somebody who did?
#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <set>

#include <fmt/format.h>

#include "base/kernel_version.h"
#include "base/text.h"
#include "doctor/checks.h"
#include "engine/hold.h"
#include "inventory/match.h"
#include "inventory/net_interface.h"
#include "users/libvirt.h"

namespace anybind::doctor {
namespace {

const Device* find_device(const Observed& seen, std::string_view name) {
  const auto found =
      std::ranges::find_if(seen.pci, [&](const Device& d) { return d.id.name.str() == name; });
  return found == seen.pci.end() ? nullptr : &*found;
}

/// The file that a line of a udev rule writes to bind something; empty when it writes none.
std::string_view written_by(std::string_view line) {
  static constexpr auto kFiles = std::to_array<std::string_view>(
      {"driver_override", "drivers_probe", "drivers_autoprobe", "new_id", "bind", "unbind"});
  if (line.starts_with('#')) return {};
  for (const std::string_view file : kFiles) {
    const auto at = line.find(file);
    if (at == std::string_view::npos || at == 0) continue;
    const auto end = line.substr(at + file.size()).substr(0, 1);
    const bool is_word = end.empty() || std::string_view("\"' };").contains(end[0]);
    // ATTR{driver_override}="vfio-pci", or a shell's: ... > /sys/bus/pci/drivers/x/bind.
    if (is_word && (line[at - 1] == '/' || line[at - 1] == '{')) return file;
  }
  return {};
}

/// What an override that is not met will do.
void judge_override(const Observed& seen, const DeviceId& id, const std::string& wanted,
                    const std::optional<DriverName>& driver, Report& out) {
  if (driver && driver->str() == wanted) return;
  if (!driver && wanted == "none") return;  // kept without one, as by anybind unbind
  const auto name = DriverName::parse(wanted);
  const bool is_there = name && seen.host.sysfs.open_dir(driver_path(id.bus, *name)).has_value();
  const std::string now = driver ? "on " + driver->str() : std::string("without a driver");
  out.warning(fmt::format("{} is {}, and its override is {}, {}", id.str(), now, wanted,
                          is_there ? "which gets it at the next probe" : "which is no driver here"),
              Remark(Action::kRestore, {id.str()}) + ", or bind it to " + wanted);
}

std::vector<DeviceId> devices_on(const Host& host, const BusName& bus) {
  return read_device_ids(host.sysfs, bus).value_or(std::vector<DeviceId>{});
}

/// The PCI functions that a domain of libvirt binds by itself as it starts.
std::vector<std::string> managed_devices(std::string_view xml) {
  std::vector<std::string> out;
  for (LibvirtDevice& device : libvirt_devices(xml)) {
    if (device.managed) out.push_back(std::move(device.address));
  }
  return out;
}

}  // namespace

void check_changes(const Observed& seen, Report& out) {
  if (!seen.changes.seen)
    return out.unknown("the journal of changes cannot be read by this user", Action::kCheckAsRoot);
  std::vector<std::string> numbers;
  numbers.reserve(seen.changes.open.size());
  for (const auto id : seen.changes.open) numbers.push_back(std::to_string(id));
  if (numbers.empty()) return out.ok("none was cut off");
  out.warning(fmt::format("{} {} not ended (or goes on right now)",
                          (numbers.size() == 1 ? "change " : "changes ") + some_of(numbers),
                          numbers.size() == 1 ? "has" : "have"),
              Action::kRecover);
}

namespace {

void tell_busy(const DeviceId& id, Report& out) {
  out.unknown(id.str() + " is busy: the kernel holds its lock, and its override is not known",
              {Action::kShow, {id.str()}});
}

}  // namespace

void check_overrides(const Observed& seen, Report& out) {
  for (const Device& device : seen.pci) {
    if (device.busy) tell_busy(device.id, out);
    if (device.driver_override)
      judge_override(seen, device.id, *device.driver_override, device.driver, out);
  }
  for (const std::string& name : names_in(seen.host, "bus")) {
    const auto bus = BusName::parse(name);
    if (!bus || name == "pci") continue;
    for (const DeviceId& id : devices_on(seen.host, *bus)) {
      const auto text = seen.host.sysfs.read(id.path() + "/driver_override");
      if (!text && text.error().value == ETIMEDOUT) {
        tell_busy(id, out);
        continue;
      }
      if (!text) break;  // a bus has it for all of its devices or for none
      const auto wanted = parse_override(*text);
      if (!wanted) continue;
      const auto link = seen.host.sysfs.read_link(id.path() + "/driver");
      const auto driver = DriverName::parse(link ? link_name(*link) : "");
      judge_override(seen, id, *wanted, driver ? std::optional(*driver) : std::nullopt, out);
    }
  }
  if (out.empty()) out.ok("none is left that its device does not follow");
}

void check_autoprobe(const Observed& seen, Report& out) {
  for (const std::string& bus : names_in(seen.host, "bus")) {
    const std::string file = fmt::format("bus/{}/drivers_autoprobe", bus);
    if (value_of(seen.host, file) != "0") continue;
    // Until 6.18 a PCI device that came was probed all the same.
    const auto kernel = KernelVersion::parse(seen.host.release);
    const auto hold = read_hold(seen.host);
    if (hold && *hold && (*hold)->is_alive && (*hold)->bus.str() == bus) {
      out.ok(
          fmt::format("{} is 0: process {} offers each device that comes, as a rule promises "
                      "before-probe",
                      file, (*hold)->pid));
      continue;
    }
    const bool holds = bus != "pci" || (kernel && *kernel >= KernelVersion{6, 19});
    out.warning(fmt::format("{} is 0: drivers that load get no device of this bus{}", file,
                            holds ? ", and devices that come get no driver" : ""),
                (seen.changes.open.empty() ? Remark() : Remark(Action::kRecover) + ", or: ") +
                    fmt::format("echo 1 > {}/{}", seen.host.sysfs_root, file));
  }
  if (out.empty()) out.ok("on for every bus");
}

/// Since 6.19 a device may wait for good: one that came while drivers_autoprobe was off.
void check_driverless(const Observed& seen, Report& out) {
  const auto kernel = KernelVersion::parse(seen.host.release);
  if (!kernel || *kernel < KernelVersion{6, 19}) return;
  const std::string_view aliases =
      seen.host.modules == nullptr ? std::string_view() : seen.host.modules->aliases();
  std::map<std::string, std::string> driver_of;  // by modalias; empty: none is there
  for (const Device& device : seen.pci) {
    if (device.busy || device.driver || device.driver_override) continue;
    if (value_of(seen.host, device.id.path() + "/physfn/sriov_drivers_autoprobe") == "0") continue;
    const auto [type, is_new] = driver_of.try_emplace(device.modalias);
    if (is_new) {
      const auto explained = explain_device(seen.host.sysfs, device.id, aliases);
      for (const Candidate& c : explained ? explained->candidates : std::vector<Candidate>{})
        if (!c.driver.empty() && !c.is_vfio && type->second.empty()) type->second = c.driver;
    }
    if (type->second.empty()) continue;
    out.unknown(fmt::format("{} has no driver, though {} is there for it: somebody unbound it, its "
                            "probe failed, or it came while drivers_autoprobe was off",
                            device.id.str(), type->second),
                Remark(Action::kRestore, {device.id.str()}) + " offers it to its bus");
  }
}

void check_sriov(const Observed& seen, Report& out) {
  std::size_t functions = 0;
  for (const Device& device : seen.pci) {
    const std::string file = device.id.path() + "/sriov_drivers_autoprobe";
    const auto value = value_of(seen.host, file);
    if (!value) continue;
    ++functions;
    if (*value != "0") continue;
    out.warning(fmt::format("{} has sriov_drivers_autoprobe 0: its new virtual functions get no "
                            "driver",
                            device.id.str()),
                fmt::format("echo 1 > {}/{}", seen.host.sysfs_root, file));
  }
  if (out.empty() && functions != 0)
    out.ok(fmt::format("{} can have virtual functions", counted(functions, "device")));
}

void check_display(const Observed& seen, Report& out) {
  std::string boot_display;
  for (const Device& device : seen.pci) {
    const bool is_display = device.pci && device.pci->class_code >> 16 == 3;
    if (is_display && value_of(seen.host, device.id.path() + "/boot_vga") == "1")
      boot_display = device.id.str();
  }
  for (const DeviceId& id : devices_on(seen.host, BusName::literal("platform"))) {
    const std::string& name = id.name.str();
    if (!name.contains("-framebuffer") || !seen.host.sysfs.read_link(id.path() + "/driver"))
      continue;
    out.warning(fmt::format("{} has the memory of the boot display{}: vfio-pci could not have it",
                            id.str(), boot_display.empty() ? "" : " " + boot_display),
                "before that display is given away: " + Remark(Action::kUnbind, {id.str()}));
  }
  if (out.empty() && !boot_display.empty())
    out.ok(fmt::format("the machine boots on {}; others can be given away", boot_display));
}

void check_driverctl(const Observed& seen, Report& out) {
  for (const std::string file : {"usr/sbin/driverctl", "sbin/driverctl", "usr/bin/driverctl"}) {
    // Since 0.115.
    if (!seen.host.files.read(file).value_or("").contains("/new_id")) continue;
    out.warning(fmt::format("/{} gives vfio-pci the id of the whole type: it takes every such "
                            "device that has no driver, and those that come",
                            file),
                "bind by device" + (": " + Remark(Action::kBind, {"DEVICE", "vfio-pci"})));
    break;
  }
  std::vector<std::string> met;
  for (const std::string& name : files_in(seen.host, "etc/driverctl.d")) {
    const auto dash = name.find('-');
    if (dash == std::string::npos || name.starts_with('.')) continue;
    const std::string address = name.substr(dash + 1);
    const std::string driver(
        trim_newline(seen.host.files.read("etc/driverctl.d/" + name).value_or("")));
    const Device* device = find_device(seen, address);
    if (device == nullptr) {
      if (name.starts_with("pci-"))
        out.warning(fmt::format("gives {} to {}, but there is no such device", address, driver),
                    fmt::format("driverctl unset-override {}, unless it comes back", address));
    } else if (device->driver_override == driver ||
               (!device->driver_override && device->driver && device->driver->str() == driver)) {
      met.push_back(address);
    } else {
      out.warning(
          fmt::format("gives {} to {} at each boot and hot-plug, but now it is on {}", address,
                      driver, device->driver ? device->driver->str() : "no driver"),
          fmt::format("driverctl unset-override {}, or: ", address) +
              Remark(Action::kBind, {address, driver}));
    }
  }
  if (!met.empty()) out.ok(fmt::format("gives {} their drivers at boot", some_of(met)));
}

void check_udev(const Observed& seen, Report& out) {
  std::set<std::string> names;
  for (const std::string dir :
       {"etc/udev/rules.d", "run/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d"}) {
    for (const std::string& name : files_in(seen.host, dir)) {
      if (!name.ends_with(".rules") || !names.insert(name).second) continue;
      const std::string text = seen.host.files.read(fmt::format("{}/{}", dir, name)).value_or("");
      std::size_t number = 0;
      for (std::string_view rest = text; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        ++number;
        const std::string_view file = written_by(line);
        if (file.empty()) continue;
        out.warning(fmt::format("/{}/{}, line {}, writes {} when a device appears", dir, name,
                                number, file),
                    "remove the rule, or leave its devices to it");
      }
    }
  }
}

void check_libvirt(const Observed& seen, Report& out) {
  const std::string dir = "etc/libvirt/qemu";
  const auto listed = seen.host.files.list(dir);
  if (!listed && listed.error().value == EACCES)
    return out.unknown("/etc/libvirt/qemu cannot be read by this user",  // by name never opened
                       Action::kCheckAsRoot);
  for (const std::string& name : files_in(seen.host, dir)) {
    if (!name.ends_with(".xml")) continue;
    auto devices =
        managed_devices(seen.host.files.read(fmt::format("{}/{}", dir, name)).value_or(""));
    if (devices.empty()) continue;
    out.warning(fmt::format("domain {} binds {} by itself (managed='yes')",
                            name.substr(0, name.size() - 4), some_of(devices)),
                "leave them to libvirt, or set managed='no' in that domain");
  }
}

}  // namespace anybind::doctor
