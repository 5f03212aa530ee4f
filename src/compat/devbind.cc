// dpdk-devbind.py, as scripts know it: its options, its status page and its words, over the engine.
//
// Two things differ on purpose. The devices of one command are changed all or not at all, and what
// was refused or failed is told by the exit code too: 1. What else does stands in the table of
// docs/from-driverctl-and-devbind.md.
//
// No override is left behind, as scripts that go on with the bind files themselves want it; while
// the device moves there is one, so that no third driver can have it (Stays::kLoose).
#include "compat/devbind.h"

#include <algorithm>
#include <cstdio>
#include <set>

#include "base/text.h"
#include "base/try.h"
#include "cli/login_address.h"
#include "cli/say.h"
#include "compat/change.h"
#include "compat/devbind_devices.h"
#include "compat/devbind_options.h"
#include "compat/devbind_status.h"
#include "host/accounts.h"
#include "host/this_machine.h"
#include "inventory/vfio_driver.h"

namespace anybind::compat {
namespace {

constexpr std::string_view kDevbind = "dpdk-devbind.py";
constexpr int kWrongWords = 2;

int complain(std::string_view before, const std::string& text) {
  cli::say(stderr, "{}: {}\n", before, printable(text, 1024));
  return 1;
}

/// One that stands with the way the program is used.
int complain_with_usage(const std::string& text) {
  cli::put(stdout, devbind_usage());
  return complain("Error", text);
}

int failed(const Error& error) {
  complain("Error", error.message());
  tell_details(error);
  return 1;
}

/// What the words mean, among the devices that are known.
class Chooser {
 public:
  explicit Chooser(const std::vector<DevbindDevice>& devices) : devices_(devices) {}

  Result<std::vector<const DevbindDevice*>> choose(const std::vector<std::string>& words) {
    for (const std::string& word : words) {
      const std::size_t before = chosen_.size();
      bool is_known = false;
      for (const DevbindDevice& each : devices_) {
        if (!means(word, each)) continue;
        is_known = true;
        if (std::ranges::find(chosen_, &each) == chosen_.end()) chosen_.push_back(&each);
      }
      if (!is_known && chosen_.size() == before) return fail(unknown(word));
    }
    return std::move(chosen_);
  }

 private:
  static bool means(const std::string& word, const DevbindDevice& each) {
    const std::string& name = each.device.id.name.str();
    if (is_glob(word)) return glob_match(word, name) || glob_match("0000:" + word, name);
    if (std::ranges::find(each.interfaces, word) != each.interfaces.end()) return true;
    const auto address = PciAddress::parse(word);
    return address && address->function && address->str() == name;
  }
  static Error unknown(const std::string& word) {
    const auto address = PciAddress::parse(word);
    return {.kind = ErrorKind::kNotFound,
            .why = "Unknown device: " + (address ? address->str() : word) +
                   ". Please specify device in \"bus:slot.func\" format"};
  }

  const std::vector<DevbindDevice>& devices_;
  std::vector<const DevbindDevice*> chosen_;
};

/// "-u dpdk": every device on a driver for DPDK.
std::vector<const DevbindDevice*> all_of_dpdk(const std::vector<DevbindDevice>& devices) {
  std::vector<const DevbindDevice*> out;
  for (const DevbindDevice& each : devices) {
    if (each.device.driver && is_for_dpdk(each.device.driver->str())) out.push_back(&each);
  }
  return out;
}

/// Leaves out what is there already, and says so.
std::vector<DeviceId> to_move(const std::vector<const DevbindDevice*>& chosen,
                              const std::string& driver) {
  std::vector<DeviceId> out;
  for (const DevbindDevice* each : chosen) {
    const Device& device = each->device;
    const std::string name = printable(device.id.name.str());
    if (driver == "none" && !device.driver) {
      cli::say(stderr, "Notice: {} {}  is not currently managed by any driver\n", name,
               each->product);
    } else if (device.driver && device.driver->str() == driver) {
      cli::say(stderr, "Notice: {} already bound to driver {}, skipping\n", name,
               printable(driver));
    } else {
      out.push_back(device.id);
    }
  }
  return out;
}

/// Through one of those that shall move goes a route: all of them stay.
bool refuse_active(const std::vector<const DevbindDevice*>& chosen,
                   const std::vector<DeviceId>& moving) {
  bool refused = false;
  for (const DevbindDevice* each : chosen) {
    const DeviceId& id = each->device.id;
    if (!each->active || std::ranges::find(moving, id) == moving.end()) continue;
    complain("Warning", "routing table indicates that interface " + id.name.str() +
                            " is active. Not modifying");
    refused = true;
  }
  if (refused && moving.size() > 1) complain("Error", "no device was changed");
  return refused;
}

Result<std::string> owner_of(const Host& host, const DevbindOptions& options,
                             const std::string& driver) {
  if (options.user.empty() && options.group.empty()) return std::string();
  std::string owner = options.user.empty() ? "0" : options.user;
  if (!options.group.empty()) owner += ":" + options.group;
  TRY(Accounts(host.files).parse(owner));
  return is_vfio_driver(driver) ? owner : std::string();
}

Result<std::vector<Outcome>> move(const Host& host, const DevbindOptions& options,
                                  std::vector<DeviceId> devices, const std::string& driver) {
  Request request{.devices = std::move(devices)};
  request.driver = TRY(DriverName::parse(driver));
  request.owner = TRY(owner_of(host, options, driver));
  request.no_iommu = options.no_iommu || has_no_iommu_mode(host);
  request.part_of_group = true;
  request.stays = Stays::kLoose;
  return carry_out(host, std::move(request), options.force ? Guards::kWarn : Guards::kStop,
                   kDevbind);
}

/// A device where a driver belongs, or a driver that is not there.
int check_driver(const Host& host, const std::vector<DevbindDevice>& devices,
                 const std::string& driver) {
  if (driver == "none") return 0;
  const bool is_interface = std::ranges::any_of(devices, [&](const DevbindDevice& each) {
    return std::ranges::find(each.interfaces, driver) != each.interfaces.end();
  });
  if (is_interface || PciAddress::parse(driver))
    return complain("Error", "Driver '" + driver +
                                 "' does not look like a valid driver. Did you forget to specify "
                                 "the driver to bind devices to?");
  if (is_there(host.sysfs, driver)) return 0;
  return complain("Error", "Driver '" + driver + "' is not loaded.");
}

int run_change(const Host& host, const DevbindOptions& options) {
  const std::string driver = options.unbind ? "none" : *options.bind;
  if (!has_dpdk_driver(host.sysfs))
    complain("Warning", "no supported DPDK kernel modules are loaded");
  const auto devices = read_devbind_devices(host);
  if (!devices) return failed(devices.error());
  if (const int code = check_driver(host, *devices, driver); code != 0) return code;
  const bool takes_all = options.unbind && options.devices == std::vector<std::string>{"dpdk"};
  const auto chosen = takes_all ? all_of_dpdk(*devices) : Chooser(*devices).choose(options.devices);
  if (!chosen) return complain("Error", chosen.error().why);
  const auto moving = to_move(*chosen, driver);
  if (moving.empty()) return 0;
  if (!options.force && refuse_active(*chosen, moving)) return 1;
  const auto done = move(host, options, moving, driver);
  return done ? 0 : failed(done.error());
}

int run_status(const Host& host, const DevbindOptions& options) {
  const auto devices = read_devbind_devices(host);
  if (!devices) return failed(devices.error());
  cli::put(stdout, devbind_status(*devices, options.kind));
  return 0;
}

}  // namespace

int devbind(const std::vector<std::string>& words) {
  const ParsedDevbind parsed = parse_devbind(words);
  const DevbindOptions& options = parsed.options;
  if (!parsed.fault.empty()) {
    cli::put(stderr, devbind_usage());
    cli::say(stderr, "{}: error: {}\n", kDevbind, printable(parsed.fault, 1024));
    return kWrongWords;
  }
  if (options.help) {
    cli::put(stdout, devbind_usage());
    cli::put(stdout, devbind_help());
    return 0;
  }
  const bool changes = options.unbind || (options.bind && !options.bind->empty());
  if (!changes && !options.status)
    return complain_with_usage(
        "No action specified for devices. Please give a --bind, --ubind or --status option");
  if (changes && options.devices.empty()) return complain_with_usage("No devices specified.");
  std::string line(kDevbind);
  for (const std::string& word : words) line += " " + word;
  const auto machine = ThisMachine::open("", "", line, cli::login_address());
  if (!machine) return failed(machine.error());
  const Host& host = (*machine)->host();
  const int code = changes ? run_change(host, options) : 0;
  if (code != 0 || !options.status) return code;
  return run_status(host, options);
}

}  // namespace anybind::compat
