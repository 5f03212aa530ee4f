// driverctl, as scripts know it: its commands, options, lines, exit codes and saved overrides, over
// the engine. So a change is all or nothing here too, is remembered for restore and undo, and waits
// for other changes. What that makes different is on purpose, and stands in the table of
// docs/from-driverctl-and-devbind.md.
//
// It does not stop at who uses a device, as driverctl does not: that is a warning. Nor does it stop
// at an IOMMU group of which other members are on host drivers, since scripts give the members one
// by one.
#include "compat/driverctl.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "base/text.h"
#include "base/try.h"
#include "cli/login_address.h"
#include "cli/say.h"
#include "compat/change.h"
#include "compat/driverctl_list.h"
#include "compat/saved.h"
#include "host/this_machine.h"
#include "inventory/device.h"

namespace anybind::compat {
namespace {

constexpr std::string_view kDriverctl = "driverctl";

constexpr std::string_view kHelp = R"(Usage: driverctl [OPTIONS] COMMAND [DEVICE [DRIVER]]

This is anybind, called as driverctl; see anybind-driverctl(8).

Commands:
  set-override DEVICE DRIVER  give the device to the driver, now and after a boot;
                              "none": to no driver
  unset-override DEVICE       let the bus choose its driver again
  load-override DEVICE        what was saved for the device, once more
  list-devices [TYPE]         the devices that can have an override
  list-overrides [TYPE]       those that have one
  list-persisted              what is saved

Options, before the command:
  -h, --help                  this page
  -v, --verbose, --debug      say what is done; name the products
  -b, --bus BUS               another bus than pci
      --noprobe               name the driver, but leave the device without one
      --nosave                not after a boot
)";

struct Options {
  bool verbose = false;
  bool probes = true;
  bool saves = true;
  std::string bus = "pci";
};

/// One command with what it works on.
struct Call {
  const Host& host;
  Saved& saved;
  Options options;
  std::vector<std::string> words;  ///< behind the command

  void tell(const std::string& text) const {
    if (options.verbose) cli::say(stderr, "{}: {}\n", kDriverctl, printable(text, 1024));
  }
};

int complain(const std::string& text) {
  cli::say(stderr, "{}: {}\n", kDriverctl, printable(text, 1024));
  return 1;
}

int complain(const Error& error) {
  complain(error.message());
  tell_details(error);
  return 1;
}

/// "0000:06:00.0" of "pci/0000:06:00.0".
std::string name_in(const std::string& word) {
  return word.substr(word.find('/') + 1);
}

/// DEVICE, BUS/DEVICE, and on pci also without its domain.
Result<DeviceId> device_of(const Call& call, const std::string& word) {
  const auto slash = word.find('/');
  const std::string bus = slash == std::string::npos ? call.options.bus : word.substr(0, slash);
  std::string name = name_in(word);
  const bool is_short = bus == "pci" && std::ranges::count(name, ':') == 1;
  const auto address = is_short ? PciAddress::parse(name) : std::nullopt;
  if (address && address->function) name = address->str();
  return DeviceId{.bus = TRY(BusName::parse(bus)), .name = TRY(DeviceName::parse(name))};
}

/// What is there under a name; nullopt: nothing.
Result<std::optional<Device>> look(const Call& call, const DeviceId& id) {
  const auto dir = TRY(open_device(call.host.sysfs, id));
  if (dir == nullptr) return std::nullopt;
  return TRY(read_device(*dir, id));
}

void tell_where_it_was(const Call& call, const Device& device) {
  call.tell(device.driver ? "unbinding previous driver " + device.driver->str()
                          : "device " + device.id.name.str() + " not bound");
}

int failed_to_bind(const DeviceId& id, const std::string& driver, const Error& error) {
  complain("failed to bind device " + id.name.str() + " to driver " + driver);
  cli::say(stderr, "  {}\n", error.message());
  tell_details(error);
  return 1;
}

/// An override that shall be saved is not set where that cannot be.
Result<> check_saving(const Call& call) {
  if (!call.options.saves) return {};
  return call.saved.usable();
}

int set_driver(const Call& call, const Device& device, const std::string& word) {
  const std::string name = device.id.name.str();
  const bool parks = word == "none";
  const auto driver = DriverName::parse(word);
  if (!driver || word == "default") return complain("no such module: " + word);
  call.tell(parks ? "unsetting driver override for " + name
                  : "setting driver override for " + name + ": " + word);
  Request request{.devices = {device.id}, .driver = *driver};
  request.no_iommu = has_no_iommu_mode(call.host);
  request.part_of_group = true;
  if (!parks) request.stays = call.options.probes ? Stays::kNamed : Stays::kOnlyNamed;
  const bool stays = device.driver && *device.driver == *driver && call.options.probes;
  if (!stays) tell_where_it_was(call, device);
  if (!parks && !stays && call.options.probes) call.tell("reprobing driver for " + name);
  const auto done = carry_out(call.host, request, Guards::kWarn, kDriverctl);
  if (done) return 0;
  if (done.error().kind == ErrorKind::kNotFound) return complain("no such module: " + word);
  return failed_to_bind(device.id, word, done.error());
}

int save(const Call& call, const DeviceId& id, const std::string& driver) {
  if (!call.options.saves) return 0;
  call.tell("saving driver override for " + id.name.str());
  const auto saved = driver.empty() ? call.saved.forget(id) : call.saved.save(id, driver);
  return saved ? 0 : complain(saved.error());
}

/// The device that a command names, which must be there and can have an override.
Result<Device> named_device(const Call& call) {
  const std::string& word = call.words.front();
  const auto id = device_of(call, word);
  const Error none{.kind = ErrorKind::kNotFound,
                   .why = "no such device: " + (id ? id->name.str() : name_in(word))};
  if (!id) return fail(none);
  const auto found = TRY(look(call, *id));
  if (!found) return fail(none);
  if (found->has_override) return *found;
  return fail({.kind = ErrorKind::kRefused,
               .why = "device " + id->name.str() + " can have no override: the " + id->bus.str() +
                      " bus has none"});
}

int run_set(const Call& call) {
  const auto device = named_device(call);
  if (!device) return complain(device.error().why);
  if (const auto ready = check_saving(call); !ready) return complain(ready.error());
  const int code = set_driver(call, *device, call.words[1]);
  return code != 0 ? code : save(call, device->id, call.words[1]);
}

int run_load(const Call& call) {
  const auto device = named_device(call);
  if (!device) return complain(device.error().why);
  const auto driver = call.saved.of(device->id);
  if (!driver) return complain(driver.error());
  if (!*driver || (*driver)->empty()) return 1;  // as driverctl: without a word
  return set_driver(call, *device, **driver);
}

int run_unset(const Call& call) {
  const auto id = device_of(call, call.words.front());
  if (!id) return complain("no such device: " + name_in(call.words.front()));
  const auto device = look(call, *id);
  if (!device) return complain(device.error());
  if (const auto ready = check_saving(call); !ready) return complain(ready.error());
  if (!*device) return save(call, *id, "");  // what is saved of a card that has gone
  const std::string name = id->name.str();
  call.tell("unsetting driver override for " + name);
  const bool stays = (*device)->driver && !(*device)->driver_override && call.options.probes;
  if (!stays) tell_where_it_was(call, **device);
  if (!stays && call.options.probes) call.tell("reprobing driver for " + name);
  Request request{.devices = {*id}, .driver = DriverName::literal("default")};
  if (!call.options.probes) {
    request.driver = DriverName::literal("none");
    request.stays = Stays::kLoose;
  }
  const auto done = carry_out(call.host, request, Guards::kWarn, kDriverctl);
  if (!done) return failed_to_bind(*id, "", done.error());
  if (call.options.probes && !done->front().after.driver)
    return complain("failed to bind device " + name + " to driver ");
  return save(call, *id, "");
}

int run_list(const Call& call, bool only_overridden) {
  const std::string type = call.words.empty() || call.words[0].empty() ? "all" : call.words[0];
  const auto types = driverctl_types();
  if (std::ranges::find(types, type) == types.end()) {
    std::string names;
    for (const std::string& each : types) names += " " + each;
    return complain("device type must be one of:" + names);
  }
  const auto bus = BusName::parse(call.options.bus);
  const auto lines = !bus ? Result<std::string>(fail({.kind = ErrorKind::kNotFound}))
                          : driverctl_lines(call.host, {.bus = *bus,
                                                        .type = type,
                                                        .only_overridden = only_overridden,
                                                        .described = call.options.verbose});
  if (lines) {
    cli::put(stdout, *lines);
    return 0;
  }
  if (lines.error().kind != ErrorKind::kNotFound) return complain(lines.error());
  return complain("No overridable devices found. Kernel too old?");
}

int run_list_devices(const Call& call) {
  return run_list(call, false);
}

int run_list_overrides(const Call& call) {
  return run_list(call, true);
}

int run_list_persisted(const Call& call) {
  const auto bus = BusName::parse(call.options.bus);
  if (!bus) return complain(bus.error());
  const auto all = call.saved.all(*bus);
  if (!all) return complain(all.error());
  for (const auto& [id, driver] : *all)
    cli::say(stdout, "{} {}\n", printable(id.name.str()), printable(driver));
  return 0;
}

struct Command {
  std::string_view name;
  std::size_t least;
  std::size_t most;  ///< words behind it
  int (*run)(const Call&);
};

constexpr auto kCommands = std::to_array<Command>({
    {"set-override", 2, 2, run_set},
    {"unset-override", 1, 1, run_unset},
    {"load-override", 1, 1, run_load},
    {"list-devices", 0, 1, run_list_devices},
    {"list-overrides", 0, 1, run_list_overrides},
    {"list-persisted", 0, 0, run_list_persisted},
});

int help(int code) {
  cli::put(stdout, kHelp);
  return code;
}

/// Takes the options from the front of `words`; the exit code when that was all there is to do.
std::optional<int> take_options(std::vector<std::string>& words, Options& options) {
  // udev names the bus of the device that has come.
  const char* subsystem = std::getenv("SUBSYSTEM");  // NOLINT(concurrency-mt-unsafe)
  if (subsystem != nullptr && *subsystem != '\0') options.bus = subsystem;
  auto at = words.begin();
  for (; at != words.end() && at->starts_with('-'); ++at) {
    if (*at == "-h" || *at == "--help") return help(0);
    if (*at == "-v" || *at == "--verbose" || *at == "--debug") {
      options.verbose = true;
    } else if (*at == "--noprobe") {
      options.probes = false;
    } else if (*at == "--nosave") {
      options.saves = false;
    } else if ((*at == "-b" || *at == "--bus") && std::next(at) != words.end()) {
      options.bus = *++at;
    } else {
      return help(1);
    }
  }
  words.erase(words.begin(), at);
  return std::nullopt;
}

}  // namespace

int driverctl(const std::vector<std::string>& given) {
  Options options;
  auto words = given;
  if (const auto code = take_options(words, options)) return *code;
  if (words.empty()) return help(1);
  const auto* command = std::ranges::find(kCommands, words.front(), &Command::name);
  const std::size_t behind = words.size() - 1;
  if (command == kCommands.end() || behind < command->least || behind > command->most)
    return help(1);
  std::string line(kDriverctl);
  for (const std::string& word : given) line += " " + word;
  const auto machine = ThisMachine::open("", "", line, cli::login_address());
  if (!machine) return complain(machine.error());
  Saved saved;
  words.erase(words.begin());
  return command->run({.host = (*machine)->host(),
                       .saved = saved,
                       .options = std::move(options),
                       .words = std::move(words)});
}

}  // namespace anybind::compat
