#include "cli/candidates.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <set>

#include <fmt/format.h>

#include "base/text.h"
#include "cli/say.h"
#include "drivercore/core/kernel_profile.h"
#include "engine/engine.h"
#include "inventory/inventory.h"
#include "inventory/names.h"
#include "inventory/net_interface.h"
#include "inventory/pci_class.h"
#include "inventory/virtual_functions.h"
#include "plan/mechanism.h"
#include "race/mechanism.h"
#include "race/scenario.h"
#include "users/guards.h"

namespace anybind::cli {
namespace {

using Completions = std::vector<Completion>;

constexpr std::string_view kZeroDomain = "0000:";

/// The machine that the line names, as far as it can be looked at.
class NamedMachine {
 public:
  explicit NamedMachine(const MachineChoice& choice) {
    auto session = Session::open(choice);
    if (session) session_ = std::move(*session);
  }
  [[nodiscard]] bool is_there() const { return session_ != nullptr; }
  [[nodiscard]] const Host& host() const { return session_->host(); }
  [[nodiscard]] Sysfs& sysfs() const { return session_->host().sysfs; }
  [[nodiscard]] std::vector<Device> devices() const {
    const auto ids = read_device_ids(sysfs(), BusName::literal("pci"));
    const auto out = ids ? read_inventory(sysfs(), *ids, 1) : Result<std::vector<Device>>{};
    return out.value_or(std::vector<Device>{});
  }

 private:
  std::unique_ptr<Session> session_;
};

std::string kind_of_device(const Device& device) {
  std::string driver = device.driver ? device.driver->str() : "no driver";
  if (!device.pci) return driver;
  return fmt::format("{}, {}", class_word(device.pci->class_code), driver);
}

/// Addresses, short where the domain is 0000 and was not typed; all functions of a slot are
/// "03:00". And the names by which people know them.
void add_device_words(const NamedMachine& machine, const std::string& current, Completions& out) {
  const bool in_full = current.starts_with(kZeroDomain) && current.size() > kZeroDomain.size() - 1;
  const auto names = read_names(machine.sysfs());
  for (const Device& device : machine.devices()) {
    std::string address = device.id.name.str();
    if (!in_full && address.starts_with(kZeroDomain)) address.erase(0, kZeroDomain.size());
    const std::string what = kind_of_device(device);
    out.push_back({address, what});
    const auto known = names.find(device.id);
    if (known == names.end()) continue;
    for (const std::string& name : known->second) out.push_back({name, what});
  }
  if (const auto slash = current.find('/'); slash != std::string::npos) {
    const auto bus = BusName::parse(current.substr(0, slash));
    const auto ids = bus ? read_device_ids(machine.sysfs(), *bus) : Result<std::vector<DeviceId>>{};
    for (const DeviceId& id : ids.value_or(std::vector<DeviceId>{})) out.push_back({id.str(), ""});
    return;
  }
  for (const std::string& bus : machine.sysfs().list("bus").value_or(std::vector<std::string>{}))
    if (bus != "pci" && !current.empty()) out.push_back({bus + "/", "devices of that bus"});
}

void add_function_words(const NamedMachine& machine, std::string_view before, Completions& out) {
  const auto names = read_names(machine.sysfs());
  for (const Device& device : machine.devices()) {
    const FunctionRole role = read_function_role(machine.sysfs(), device.id);
    if (role.total == 0) continue;
    const std::string what = fmt::format("{} of {} virtual functions", role.enabled, role.total);
    const auto known = names.find(device.id);
    const bool is_named = known != names.end() && !known->second.empty();
    out.push_back(
        {fmt::format("{}{}", before, is_named ? known->second.front() : device.id.name.str()),
         what});
  }
}

void add_driver_words(const NamedMachine& machine, std::string_view before, Completions& out) {
  const auto names = read_driver_names(machine.sysfs(), BusName::literal("pci"));
  for (const std::string& name : names.value_or(std::vector<std::string>{}))
    out.push_back({fmt::format("{}{}", before, name), ""});
}

void add_group_words(const NamedMachine& machine, std::string_view before, Completions& out) {
  std::map<unsigned, unsigned> members;
  for (const Device& device : machine.devices())
    if (device.iommu_group) ++members[*device.iommu_group];
  for (const auto& [number, count] : members) {
    out.push_back({fmt::format("{}{}", before, number),
                   fmt::format("{} device{}", count, count == 1 ? "" : "s")});
  }
}

void add_class_words(const NamedMachine& machine, Completions& out) {
  for (const std::string& word : base_class_words()) out.push_back({"class:" + word, ""});
  for (const Device& device : machine.devices()) {
    // A word with a blank would have to be quoted.
    const std::string_view word = device.pci ? class_word(device.pci->class_code) : "";
    if (!word.empty() && !word.contains(' ')) out.push_back({fmt::format("class:{}", word), ""});
  }
}

void add_id_words(const NamedMachine& machine, Completions& out) {
  PciNames names("");
  for (const Device& device : machine.devices()) {
    if (device.pci)
      out.push_back({fmt::format("id:{:04x}:{:04x}", device.pci->vendor, device.pci->device),
                     kind_of_device(device)});
  }
}

void add_override_words(const NamedMachine& machine, Completions& out) {
  for (const Device& device : machine.devices()) {
    if (device.driver_override && is_sysfs_name(*device.driver_override))
      out.push_back({"override:" + *device.driver_override, ""});
  }
}

void add_node_words(const NamedMachine& machine, Completions& out) {
  std::set<std::string> nodes;
  for (const Device& device : machine.devices()) {
    const auto dir = machine.sysfs().open_dir(device.id.path());
    const auto text = dir ? (*dir)->read("numa_node") : Reply<std::string>{};
    if (text && !text->starts_with('-') && !text->empty())
      nodes.insert(std::string(trim_newline(*text)));
  }
  for (const std::string& node : nodes) out.push_back({"numa:" + node, ""});
}

/// The prefixes of selectors, and what may stand behind each.
struct SelectorPrefix {
  std::string_view word;
  std::string_view what;
  void (*add)(const NamedMachine& machine, Completions& out);
};

constexpr auto kPrefixes = std::to_array<SelectorPrefix>({
    {"class:", "all of a class", add_class_words},
    {"group:", "an IOMMU group",
     [](const NamedMachine& machine, Completions& out) {
       add_group_words(machine, "group:", out);
     }},
    {"driver:", "what a driver has",
     [](const NamedMachine& machine, Completions& out) {
       add_driver_words(machine, "driver:", out);
       out.push_back({"driver:none", "PCI functions without a driver"});
     }},
    {"override:", "whose driver_override says so", add_override_words},
    {"vfs:", "the virtual functions of a device",
     [](const NamedMachine& machine, Completions& out) {
       add_function_words(machine, "vfs:", out);
     }},
    {"numa:", "what is on a NUMA node", add_node_words},
    {"id:", "ids of PCI", add_id_words},
});

Completions selector_words(const NamedMachine& machine, const std::string& current) {
  const auto comma = current.rfind(',');
  const std::string before = comma == std::string::npos ? "" : current.substr(0, comma + 1);
  const std::string last = current.substr(before.size());
  Completions out;
  if (last.starts_with('/')) return {{":files", ""}};
  const auto prefix = std::ranges::find_if(
      kPrefixes, [&](const SelectorPrefix& it) { return last.starts_with(it.word); });
  if (prefix != kPrefixes.end()) {
    prefix->add(machine, out);
  } else {
    add_device_words(machine, last, out);
    for (const SelectorPrefix& it : kPrefixes)
      out.push_back({std::string(it.word), std::string(it.what)});
  }
  for (Completion& candidate : out) candidate.word.insert(0, before);
  return out;
}

Completions changes_of(const NamedMachine& machine) {
  Completions out;
  const auto memory = read_memory(machine.host());
  if (!memory) return out;
  for (const std::uint64_t id : memory->journal.closed())
    out.push_back({fmt::format("{}", id), ""});
  return out;
}

/// Kinds whose words no machine need be asked for; nullopt: another one.
std::optional<Completions> fixed_words(std::string_view kind, std::string_view verb) {
  Completions out;
  const auto add = [&out](std::string_view word, std::string_view what) {
    out.push_back({std::string(word), std::string(what)});
  };
  if (kind == "FILE" || kind == "SPEC") return Completions{{":files", ""}};
  if (kind == "DIR") return Completions{{":dirs", ""}};
  if (kind.starts_with("USER")) return Completions{{":users", ""}};
  if (kind == "CMD") return Completions{{":commands", ""}};
  if (kind == "GUARD") {
    for (const std::string& name : guard_names()) add(name, "");
    add("same-id", "other devices that a dynamic id would bind too");
  } else if (kind == "M" && verb == "race") {
    for (const auto& it : race::mechanisms()) add(it.name, it.summary);
  } else if (kind == "M") {
    for (const MechanismInfo& it : all_mechanisms()) add(it.name, "");
  } else if (kind == "S") {
    for (const auto& it : race::scenarios()) add(it.name, it.summary);
  } else if (kind == "P" || kind == "X.Y") {
    for (const auto& it : drivercore::profiles()) {
      const std::string name = kind == "P" ? it.name : it.version.str();
      if (kind == "P" || it.name.starts_with("linux-")) add(name, "");
    }
  } else if (kind == "NAME") {
    for (const std::string& name : lab_names()) add(name, "a lab that runs");
  } else if (kind == "ERRNO") {
    for (const char* name : {"EIO", "ENODEV", "ENOMEM", "EBUSY", "EINVAL"}) add(name, "");
  } else {
    return std::nullopt;
  }
  return out;
}

}  // namespace

std::vector<Completion> words_of_kind(std::string_view kind, std::string_view verb,
                                      const MachineChoice& choice, const std::string& current) {
  if (auto fixed = fixed_words(kind, verb)) return *std::move(fixed);
  // The devices of a lab that runs are those of whoever is in it.
  if (verb == "lab" && std::getenv("ANYBIND_LAB") == nullptr)  // NOLINT(concurrency-mt-unsafe)
    return {};
  const NamedMachine machine(choice);
  if (!machine.is_there()) return {};
  if (kind == "DEVICE" || kind.starts_with("SELECTOR")) return selector_words(machine, current);
  Completions out;
  if (kind == "DRIVER" || kind == "D" || kind.starts_with("D[") || kind == "MODULE") {
    add_driver_words(machine, "", out);
    out.push_back({"vfio-pci", "for user space"});  // its module is loaded when it is wanted
    if (verb == "bind") out.push_back({"none", "no driver, and kept so"});
    if (verb == "bind") out.push_back({"default", "whichever the bus chooses"});
  } else if (kind == "PF") {
    add_function_words(machine, "", out);
  } else if (kind == "N") {
    add_group_words(machine, "", out);
  } else if (kind == "ID") {
    return changes_of(machine);
  }
  return out;
}

void print_candidates(const std::vector<Completion>& candidates, std::string_view current) {
  std::set<std::string> told;
  for (const Completion& it : candidates) {
    const bool asks_shell = it.word.starts_with(':');
    if (!asks_shell && !it.word.starts_with(current)) continue;
    if (!told.insert(it.word).second) continue;
    // A name that the terminal or the shell could take for something else is left out.
    if (printable(it.word, 256) != it.word || shell_quote(it.word) != it.word) continue;
    put(stdout, it.word);
    if (!it.what.empty()) put(stdout, "\t" + printable(it.what, 120));
    put(stdout, "\n");
  }
}

}  // namespace anybind::cli
