#include "lab/commands.h"

#include <algorithm>
#include <array>
#include <chrono>

#include <fmt/format.h>

#include "base/ids.h"
#include "base/text.h"
#include "drivercore/core/machine_ids.h"
#include "drivercore/core/model_modules.h"
#include "drivercore/file/machine.h"
#include "inventory/match.h"
#include "lab/control.h"

namespace anybind::lab {
namespace {

using drivercore::DriverCore;

constexpr std::size_t kMostWords = 32;
constexpr std::uint64_t kMaxProbeMs = 3'600'000;

Error usage(std::string why) {
  return {.kind = ErrorKind::kUsage,
          .object = "",
          .why = std::move(why),
          .advice = "anybind lab --help"};
}
Error not_found(std::string operation, std::string object, std::string why, std::string next = "") {
  return {.kind = ErrorKind::kNotFound,
          .operation = std::move(operation),
          .object = std::move(object),
          .why = std::move(why),
          .advice = std::move(next)};
}

/// A PCI address may be typed in its short forms; other buses' names are taken as they are.
std::string full_name(const std::string& typed) {
  const auto address = PciAddress::parse(typed);
  return address ? address->str() : typed;
}

Result<std::string> add(Machine& machine, const Words& words) {
  const std::string name = full_name(words[1]);
  if (machine.run([&](DriverCore& core) { return core.hot_add(name); })) return "";
  return fail(
      not_found("plug in", words[1],
                "no such card beside the machine, or its slot is taken, or the bridge above "
                "it is missing",
                "cards that are not plugged in have `present = false` in the machine file, "
                "or were removed"));
}

Result<std::string> remove(Machine& machine, const Words& words) {
  const std::string name = full_name(words[1]);
  if (machine.run([&](DriverCore& core) { return core.unplug(name); })) return "";
  return fail(not_found("take out", words[1], "no such device"));
}

/// The modules that modprobe(8) takes a name for: that of a module, or the modalias of a device.
std::vector<std::string> modules_called(DriverCore& core, const std::string& name) {
  const auto modules = drivercore::model_modules(core);
  if (modules->find(name)) return {name};
  std::vector<std::string> out;
  for (const Candidate& each : match_aliases(modules->aliases(), name)) {
    if (!each.is_vfio) out.push_back(each.module);
  }
  return out;
}

/// "8086:10d3,8086:1533" as their drivers write it into new_id (drivers/vfio/pci/vfio_pci.c:
/// vfio_pci_fill_ids). What cannot be parsed is left out, as there.
void add_ids(DriverCore& core, const std::string& module, std::string_view ids) {
  std::vector<std::pair<std::string, std::string>> drivers;
  for (const auto& [key, driver] : core.state().drivers) {
    if (driver.registered && module_key(driver.module) == module_key(module))
      drivers.emplace_back(driver.bus, driver.name);
  }
  while (!ids.empty()) {
    std::string id(ids.substr(0, ids.find(',')));
    ids.remove_prefix(std::min(id.size() + 1, ids.size()));
    std::ranges::replace(id, ':', ' ');
    for (const auto& [bus, driver] : drivers) (void)core.new_id(bus, driver, id);
  }
}

/// Those that the machine file gives a module; others are passed over, as a kernel does.
void set_parameter(DriverCore& core, const std::string& module, std::string_view word) {
  const std::string name(word.substr(0, word.find('=')));
  const std::string_view value = word.substr(std::min(name.size() + 1, word.size()));
  const auto found = core.state().modules.find(module_key(module));
  if (found == core.state().modules.end() || !found->second.parameters.contains(name)) return;
  (void)core.module_parameter(found->first, name, word.contains('=') ? value : "1");
}

/// load MODULE|MODALIAS [PARAMETER...]. Of the parameters, ids= means something to a driver of the
/// model, and those of the machine file are kept; a module that is loaded already takes none.
Result<std::string> load(Machine& machine, const Words& words) {
  const bool loaded = machine.run([&](DriverCore& core) {
    bool all = true;
    const auto modules = modules_called(core, words[1]);
    for (const std::string& module : modules) {
      const bool was_there = core.is_loaded(module);
      all = core.load_module(module) && all;
      if (was_there) continue;
      for (std::size_t i = 2; i < words.size(); ++i) {
        const std::string_view word = words[i];
        if (word.starts_with("ids=")) add_ids(core, module, word.substr(4));
        set_parameter(core, module, word);
      }
    }
    return all && !modules.empty();
  });
  if (loaded) return "";
  return fail(not_found("load", words[1], "no driver of the machine is in a module of this name"));
}

/// What modprobe(8) asks first: "igb live", one a line; live, builtin or absent.
Result<std::string> find(Machine& machine, const Words& words) {
  std::string text = machine.look([&](DriverCore& core) {
    std::string out;
    const auto modules = drivercore::model_modules(core);
    for (const std::string& module : modules_called(core, words[1])) {
      const auto facts = modules->find(module);
      const bool built_in = facts && facts->built_in;
      const char* state = built_in ? "builtin" : core.is_loaded(module) ? "live" : "absent";
      out += fmt::format("{} {}\n", module_key(module), state);
    }
    return out;
  });
  if (!text.empty()) return text;
  return fail(not_found("find", words[1], "no driver of the machine is in a module of this name"));
}

Result<std::string> unload(Machine& machine, const Words& words) {
  if (machine.run([&](DriverCore& core) { return core.unload_module(words[1]); })) return "";
  return fail(not_found("unload", words[1], "not loaded, built in, or in use"));
}

Result<std::string> set_probe(Machine& machine, const Words& words) {
  const auto result = drivercore::parse_probe(words[3]);
  if (!result) {
    return fail(usage(
        fmt::format("{} is neither ok, defer, nor an errno such as EIO", printable(words[3]))));
  }
  const std::string device = words.size() > 4 ? full_name(words[4]) : "";
  if (!device.empty() && (!is_sysfs_name(device) || printable(device, device.size()) != device))
    return fail(usage(fmt::format("no device can be called {}", printable(device))));
  const bool set =
      machine.run([&](DriverCore& core) { return core.set_probe(words[2], *result, device); });
  if (!set) return fail(not_found("set the probe of", words[2], "no such driver"));
  return "";
}

Result<std::string> set_probe_time(Machine& machine, const Words& words) {
  const auto ms = parse_decimal(words[3], kMaxProbeMs);
  if (!ms) return fail(usage("the time of a probe is in milliseconds, at most one hour"));
  const bool known = machine.look([&](DriverCore& core) {
    for (const auto& [key, driver] : core.state().drivers) {
      if (driver.name == words[2]) return true;
    }
    return false;
  });
  if (!known) return fail(not_found("set the probe time of", words[2], "no such driver"));
  machine.set_probe_time(words[2], std::chrono::milliseconds(*ms));
  return "";
}

Result<std::string> set_group(Machine& machine, const Words& words) {
  const auto group = parse_decimal(words[2], UINT32_MAX);
  const bool held = words[3] == "held";
  if (!group || (!held && words[3] != "free")) {
    return fail(usage("lab set group NUMBER held|free"));
  }
  const bool set = machine.run(
      [&](DriverCore& core) { return core.hold_group(static_cast<unsigned>(*group), held); });
  if (set) return "";
  return fail({.kind = ErrorKind::kRefused,
               .operation = "take",
               .object = "IOMMU group " + words[2],
               .why = "no such group, taken already, none of it on a VFIO driver, or a host driver "
                      "in it",
               .advice = "anybind list group:" + words[2]});
}

/// What a program does by VFIO_GROUP_GET_DEVICE_FD, which no file of a lab can answer.
Result<std::string> set_device(Machine& machine, const Words& words) {
  const bool open = words[3] == "open";
  if (!open && words[3] != "closed") return fail(usage("lab set device DEVICE open|closed"));
  const std::string name = full_name(words[2]);
  const auto slash = name.find('/');
  const bool on_pci = slash == std::string::npos;
  const bool set = machine.run([&](DriverCore& core) {
    return core.open_device(on_pci ? "pci" : name.substr(0, slash),
                            on_pci ? name : name.substr(slash + 1), open);
  });
  if (set) return "";
  return fail({.kind = ErrorKind::kRefused,
               .operation = open ? "open" : "close",
               .object = words[2],
               .why = open ? "no such device, open already, on no VFIO driver, or its group is free"
                           : "no such device, or it is not open",
               .advice = open ? "anybind lab set group NUMBER held" : "anybind show " + words[2]});
}

Result<std::string> save(Machine& machine, const Words& /*words*/) {
  return machine.look([](DriverCore& core) { return drivercore::save_machine(core.state()); });
}

struct Command {
  std::array<std::string_view, 2> words;  ///< the second may be empty
  std::size_t least;                      ///< words, with these
  std::size_t most;
  Result<std::string> (*run)(Machine&, const Words&);
};
constexpr auto kCommands = std::to_array<Command>({
    {{"add", ""}, 2, 2, add},
    {{"remove", ""}, 2, 2, remove},
    {{"load", ""}, 2, kMostWords, load},
    {{"find", ""}, 2, 2, find},
    {{"unload", ""}, 2, 2, unload},
    {{"set", "probe"}, 4, 5, set_probe},
    {{"set", "probe-time"}, 4, 4, set_probe_time},
    {{"set", "group"}, 4, 4, set_group},
    {{"set", "device"}, 4, 4, set_device},
    {{"save", ""}, 1, 1, save},
});

}  // namespace

Result<std::string> run_command(Machine& machine, const Words& words) {
  for (const Command& command : kCommands) {
    const bool named =
        !words.empty() && words[0] == command.words[0] &&
        (command.words[1].empty() || (words.size() > 1 && words[1] == command.words[1]));
    if (!named) continue;
    if (words.size() < command.least || words.size() > command.most) {
      return fail(usage(fmt::format("lab {}: wrong number of words", words[0])));
    }
    return command.run(machine, words);
  }
  return fail(usage(fmt::format("the lab does not know: {}",
                                printable(fmt::format("{}", fmt::join(words, " "))))));
}

}  // namespace anybind::lab
