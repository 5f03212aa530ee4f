// A journal that was made, or damaged, and what recover() does with it on a model. The input is
// lines:
//   G SCENARIO AT    the product changes bindings, and dies at that operation (first: on a new
//   file) S OLD<TAB>NEW    in each line of the journal, which then has a right checksum again J
//   JSON           a line with a right checksum behind it R TEXT           any bytes behind it T
//   LENGTH         the file is that short N NAME           what follows is about the file of this
//   name O TEXT           the file origins.json W PATH<TAB>TEXT  somebody writes to sysfs P NAME a
//   card is plugged in; U NAME: taken out E AT ERRNO       that operation of recover fails; 1000
//   more: all from there on
// Further to "it does not crash": recover writes no other attribute than anybind writes; a device
// that the journal does not name keeps its driver and its override; so does a card that is another
// than the journal's; nothing follows from a torn or damaged first line; what is called undone is
// so.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "../binding/disturbed.h"
#include "change/recover.h"
#include "drivercore/file/machine.h"
#include "drivercore/sysfs/model_sysfs.h"
#include "host/tracing_sysfs.h"
#include "oracle.h"
#include "plan/plan_functions.h"
#include "plan/planner.h"

namespace {

using namespace anybind;
using fuzz::require;
using fuzz::take_number;
using fuzz::take_until;
using nlohmann::json;

constexpr const char* kBoot = "boot";
constexpr const char* kMachine = R"(
kernel = "linux-6.12"
driver = [
  { name = "igc", sriov = "removes", ids = ["8086:15f3"] },
  { name = "nvme", ids = ["*:* class=010802/ffffff"] },
  { name = "vfio-pci", module = "vfio_pci", managed_dma = true, needs_group = true, ids = ["*:* override_only"] },
  { name = "usb", bus = "usb", built_in = true, aliases = ["usb_device"] },
  { name = "usbhid", bus = "usb", aliases = ["usb:v*p*d*dc*dsc*dp*ic03isc*ip*in*"] },
  { name = "option", bus = "usb", aliases = ["usb:v12D1p1001d*dc*dsc*dp*ic*isc*ip*in*"] },
  { name = "atkbd", bus = "serio", aliases = ["serio:ty06pr*id*ex*"] },
  { name = "serio_raw", bus = "serio", aliases = ["serio:ty06pr*id*ex*"] } ]
device = [
  { address = "0000:04:00.0", id = "8086:15f3", class = "020000", group = 14 },
  { address = "0000:05:00.0", id = "8086:15f3", class = "020000", group = 15, total_vfs = 4 },
  { address = "0000:06:00.0", id = "144d:a80a", class = "010802", group = 16 },
  { address = "0000:07:00.0", id = "8086:15f3", class = "020000", group = 17, present = false },
  { bus = "usb", name = "1-1" },
  { bus = "usb", name = "1-1:1.0", parent = "usb/1-1", modalias = "usb:v046DpC077d7200dc00dsc00dp00ic03isc01ip02in00" },
  { bus = "usb", name = "2-1:1.0", parent = "usb/1-1", modalias = "usb:v046DpC077d7200dc00dsc00dp00ic03isc01ip02in00" },
  { bus = "serio", name = "serio0", modalias = "serio:ty06pr00id00ex00" } ]
)";

DeviceId id_of(const std::string& bus, const std::string& name) {
  return {.bus = BusName::literal(bus), .name = DeviceName::literal(name)};
}

/// What is compared of a device.
struct Standing {
  std::uint64_t inode = 0;  ///< its number in the model
  std::optional<std::string> driver{};
  std::optional<std::string> driver_override{};
  std::string physfn{};
};
using Standings = std::map<std::pair<std::string, std::string>, Standing>;

Standings look(const drivercore::DriverCore& core) {
  Standings out;
  const drivercore::State& state = core.state();
  for (const auto& [bus, value] : state.buses) {
    for (const auto& [name, key] : value.device_names) {
      const auto& device = state.devices.at(key);
      Standing standing{.inode = key, .driver_override = device.driver_override};
      if (device.driver) standing.driver = state.drivers.at(*device.driver).name;
      standing.physfn = device.physfn;
      out.emplace(std::pair(bus, name), std::move(standing));
    }
  }
  return out;
}

// ---- lines

constexpr std::size_t kSeal = 17;  // the checksum and a blank

std::string sealed(std::string_view text) {
  return fmt::format("{:016x} {}\n", fnv1a(text), text);
}
bool is_sealed(std::string_view line) {
  return line.size() > kSeal &&
         fmt::format("{:016x} ", fnv1a(line.substr(kSeal))) == line.substr(0, kSeal);
}

std::string substituted(const std::string& file, std::string_view from, std::string_view to) {
  std::string out;
  for (std::string_view rest = file; !rest.empty();) {
    const bool whole = rest.find('\n') != std::string_view::npos;
    const std::string_view line = take_until(rest, '\n');
    const auto at = line.find(from, is_sealed(line) ? kSeal : 0);
    if (at == std::string_view::npos || !whole || from.empty()) {
      out += std::string(line) + (whole ? "\n" : "");
      continue;
    }
    std::string text(line.substr(is_sealed(line) ? kSeal : 0));
    text.replace(at - (is_sealed(line) ? kSeal : 0), from.size(), to);
    out += is_sealed(line) ? sealed(text) : text + "\n";
  }
  return out;
}

// ---- what a journal says, as far as the oracle needs it

struct Said {
  bool is_torn = true;  ///< no complete, undamaged first line
  std::string names{};  ///< everything that its lines say, but the command
  bool settings = false;
};

void collect(const json& value, Said& out) {
  if (value.is_object() && value.contains("settings") && value["settings"].is_array()) {
    out.settings |= !value["settings"].empty();
  }
}

Said said_by(const std::string& file) {
  Said out;
  bool first = true;
  for (std::string_view rest = file; !rest.empty(); first = false) {
    const bool whole = rest.find('\n') != std::string_view::npos;
    const std::string_view line = take_until(rest, '\n');
    if (!whole || !is_sealed(line)) continue;
    json value = json::parse(line.substr(kSeal), nullptr, false);
    if (value.is_discarded()) continue;
    if (first) out.is_torn = false;
    if (value.is_object()) value.erase("command");
    collect(value, out);
    out.names += value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  }
  return out;
}

// ---- the world of one input

class World {
 public:
  World() : core_(start()), sysfs_(drivercore::model_sysfs(core_)) {}

  void act(std::string_view line) {
    if (line.size() < 2) return;
    const char what = line[0];
    line.remove_prefix(2);
    std::string_view rest = line;
    switch (what) {
      case 'G':
        generate(rest);
        break;
      case 'S': {
        const std::string from = fuzz::unescaped(take_until(rest, '\t'));
        std::string& file = now_[name_];
        file = substituted(file, from, fuzz::unescaped(rest));
        break;
      }
      case 'J':
        now_[name_] += sealed(line);
        break;
      case 'R':
        now_[name_] += fuzz::unescaped(line);
        break;
      case 'T': {
        std::string& file = now_[name_];
        file.resize(std::min<std::size_t>(take_number(rest, 1 << 20), file.size()));
        break;
      }
      case 'N':
        name_ = line.substr(0, 40);
        break;
      case 'O':
        now_["origins.json"] = fuzz::unescaped(line);
        break;
      case 'W': {
        const std::string path = fuzz::unescaped(take_until(rest, '\t'));
        (void)sysfs_->write(path, fuzz::unescaped(rest));
        break;
      }
      case 'P':
        (void)core_.hot_add(std::string(line));
        break;
      case 'U':
        (void)core_.unplug(std::string(line));
        break;
      case 'E': {
        fault_.at = take_number(rest, 2000);
        fault_.lasting = fault_.at >= 1000;
        fault_.at %= 1000;
        const auto value = static_cast<int>(take_number(rest, 133));
        fault_.err = Errno{value == 0 ? EIO : value};
        break;
      }
      default:
        break;
    }
  }

  void recover_and_judge();
  [[nodiscard]] const std::map<std::string, std::string>& files() const { return now_; }
  [[nodiscard]] const Trace& writes() const { return writes_; }

 private:
  static const drivercore::State& start() {
    static const drivercore::State kStart = *drivercore::load_machine(kMachine, "m");
    return kStart;
  }

  static Result<HeldPlan> plan_of(Sysfs& sysfs, std::uint64_t scenario, const Origins& origins) {
    const auto pci = [](const char* name) { return id_of("pci", name); };
    const auto bind = [&](std::vector<DeviceId> devices, const char* driver) {
      return plan_bind(sysfs, {.devices = std::move(devices),
                               .driver = DriverName::literal(driver),
                               .ignores_same_id = true});
    };
    switch (scenario % 8) {
      case 0:
        return bind({pci("0000:04:00.0")}, "vfio-pci");
      case 1:
        return bind({pci("0000:04:00.0"), pci("0000:06:00.0")}, "vfio-pci");
      case 2:
        return plan_unbind(sysfs, {pci("0000:06:00.0"), id_of("serio", "serio0")});
      case 3:
        return bind({id_of("usb", "1-1:1.0")}, "option");
      case 4:
        return bind({id_of("serio", "serio0")}, "serio_raw");
      case 5:
        return plan_virtual_functions(
            sysfs,
            {.pf = pci("0000:05:00.0"), .count = 2, .driver = DriverName::literal("vfio-pci")});
      case 6:
        return plan_virtual_functions(
            sysfs, {.pf = pci("0000:05:00.0"), .count = 0, .driver = DriverName::literal("none")});
      default:
        return plan_restore(sysfs, {pci("0000:04:00.0"), pci("0000:06:00.0")}, origins.table());
    }
  }

  /// The product itself, until it dies.
  void generate(std::string_view numbers) {
    const auto scenario = take_number(numbers, 100);
    const auto at = take_number(numbers, 1000);
    DisturbedStorage storage;
    for (const auto& [name, text] : now_) (void)storage.replace(name, text);
    storage.disturbance = {};
    Disturbance& death = storage.disturbance;
    DisturbedSysfs mortal(*sysfs_, death);
    Listener nobody;
    try {
      auto origins = Origins::load(storage, kBoot);
      auto journal = Journal::load(storage, kBoot, "bind", 0);
      if (!origins || !journal) return;
      const auto plan = plan_of(*sysfs_, scenario, *origins);
      death = {.kind = at == 0 ? Disturbance::Kind::kNone : Disturbance::Kind::kCrash,
               .at = at,
               .lasting = true};
      if (plan) (void)run(mortal, *plan, {&*origins, &*journal}, nobody);
    } catch (const Crash&) {
    }
    now_.clear();
    for (const auto& [name, text] : storage.files()) now_.emplace(name, text);
  }

  std::vector<Recovered> recover_once(MemoryStorage& storage, Disturbance& fault, Trace& trace,
                                      bool& began) {
    DisturbedSysfs faulty(*sysfs_, fault);
    const auto traced = trace_sysfs(faulty, trace);
    auto origins = Origins::load(storage, kBoot);
    auto journal = Journal::load(storage, kBoot, "recover", 0);
    began = origins.has_value() && journal.has_value();
    if (!began) return {};
    Listener nobody;
    return recover(*traced, {&*origins, &*journal}, nobody);
  }

  void judge_writes(const Trace& trace, const std::vector<Said>& said) const;
  static void judge_devices(const Standings& before, const Standings& after,
                            const std::vector<Said>& said,
                            const std::map<std::uint64_t, JournalEntry>& entries);
  static void judge_undone(const JournalEntry& entry, const Standings& before,
                           const Standings& after);

  drivercore::DriverCore core_;
  std::unique_ptr<Sysfs> sysfs_;
  std::map<std::string, std::string> now_{};  ///< files
  std::string name_ = "journal-1.open";
  Disturbance fault_{};
  Trace writes_{};
};

/// What anybind writes to, as docs/mechanisms.md and docs/journal-format.md have it.
bool is_ours(std::string_view path) {
  std::vector<std::string_view> part;
  while (!path.empty()) part.push_back(take_until(path, '/'));
  const auto is = [](std::string_view name, auto... names) { return ((name == names) || ...); };
  for (const std::string_view each : part) {
    if (is(each, "", ".", "..")) return false;
  }
  if (part.size() == 4 && part[0] == "module")
    return part[2] == "parameters" && part[3] == "enable_unsafe_noiommu_mode";
  if (part.size() < 3 || part[0] != "bus") return false;
  if (part.size() == 3) return is(part[2], "drivers_probe", "drivers_autoprobe");
  if (part.size() == 5 && part[2] == "drivers")
    return is(part[4], "bind", "unbind", "new_id", "remove_id", "vfio_bind", "autoprobe");
  if (part.size() < 5 || part[2] != "devices") return false;
  if (part.size() == 5)
    return is(part[4], "driver_override", "preferred_driver", "drvctl", "sriov_numvfs",
              "sriov_drivers_autoprobe", "driver_probe_id");
  if (part.size() == 6 && part[4] == "power") return part[5] == "control";
  return part.back() == "flags" && part[part.size() - 3] == "net";
}

/// A journal that names an attribute which anybind never writes is really met, and followed
/// nowhere.
bool try_a_crafted_journal() {
  bool tried = false;
  for (int at = 5; at < 80; at += 5) {
    World world;
    world.act(fmt::format("G 3 {}", at));
    const auto file = world.files().find("journal-1.open");
    tried |= file != world.files().end() && file->second.contains("option/remove_id");
    world.act("S bus/usb/drivers/option/remove_id\tbus/usb/devices/1-1:1.0/uevent");
    world.recover_and_judge();
  }
  require(tried, "no journal of a dynamic id");
  return true;
}

void World::judge_writes(const Trace& trace, const std::vector<Said>& said) const {
  const bool all_torn = std::ranges::all_of(said, &Said::is_torn);
  for (const Operation& each : trace) {
    if (each.kind != Operation::Kind::kWrite) continue;
    require(!all_torn, "a write for a torn journal", each.path);
    if (is_ours(each.path)) continue;
    require(false, "a write to what anybind never writes", each.path);
  }
}

void World::judge_devices(const Standings& before, const Standings& after,
                          const std::vector<Said>& said,
                          const std::map<std::uint64_t, JournalEntry>& entries) {
  const bool settings = std::ranges::any_of(said, &Said::settings);
  const auto is_named = [&](const std::string& name) {
    return std::ranges::any_of(said, [&](const Said& file) { return file.names.contains(name); });
  };
  // Virtual functions come and go with the number that a setting of their card has.
  for (const auto& [id, was] : before) {
    const auto& name = id.second;
    if (!was.physfn.empty() && is_named(was.physfn)) continue;
    const auto now = after.find(id);
    bool ours = false;
    for (const auto& [number, entry] : entries) {
      for (const JournalDevice& device : entry.devices) {
        ours |= device.device == id_of(id.first, name) && device.instance.inode == was.inode;
      }
      for (const Setting& setting : entry.settings)
        ours |= setting.path.contains(name) || setting.undo_path.contains(name) ||
                setting.bytes.contains(name) || setting.undo_bytes.contains(name);
    }
    if (ours) continue;
    require(now != after.end(), "a device that is not in the journal is gone", name);
    require(now->second.driver_override == was.driver_override,
            "the override of a device that is not in the journal", name);
    if (now->second.driver == was.driver) continue;
    require(!was.driver, "the driver of a device that is not in the journal", name);
    // A dynamic id, or a bus that probes again, gives a driver to what has none.
    require(settings || is_named(name), "a driver for a device that is not in the journal", name);
  }
}

/// A device that has neither the driver that it had nor the one that it was to get has been given
/// to that by somebody else meanwhile, and stays there.
void World::judge_undone(const JournalEntry& entry, const Standings& before,
                         const Standings& after) {
  std::map<DeviceId, int> count;
  for (const JournalDevice& device : entry.devices) ++count[device.device];
  for (const JournalDevice& device : entry.devices) {
    if (count[device.device] > 1) continue;
    const auto now = after.find({device.device.bus.str(), device.device.name.str()});
    if (now == after.end() || now->second.inode != device.instance.inode) continue;
    const auto word = [](const std::optional<DriverName>& driver) {
      return driver ? std::optional(driver->str()) : std::nullopt;
    };
    const auto was = before.find(now->first);
    const bool is_foreign = was != before.end() && was->second.inode == now->second.inode &&
                            was->second.driver && !device.goal.default_match &&
                            was->second.driver != word(device.before.driver) &&
                            was->second.driver != word(device.goal.driver);
    require(now->second.driver == (is_foreign ? was->second.driver : word(device.before.driver)),
            "undone, and on another driver", device.device.str());
  }
}

void World::recover_and_judge() {
  MemoryStorage storage;
  std::vector<Said> said;
  for (const auto& [name, text] : now_) {
    (void)storage.replace(name, text);
    if (name.ends_with(".open")) said.push_back(said_by(text));
  }
  std::map<std::uint64_t, JournalEntry> entries;
  std::set<std::uint64_t> torn;
  const auto journal = Journal::load(storage, kBoot, "look", 0);
  if (!journal) return;
  const std::size_t open = journal->open().size();
  for (const std::uint64_t number : journal->open()) {
    const auto entry = journal->read(number);
    if (said_by(now_.at(fmt::format("journal-{}.open", number))).is_torn) torn.insert(number);
    if (entry && *entry) entries.emplace(number, **entry);
  }
  const Standings before = look(core_);
  const bool disturbed = fault_.at != 0;
  if (disturbed) fault_.kind = Disturbance::Kind::kError;
  bool began = false;
  const auto results = recover_once(storage, fault_, writes_, began);
  judge_writes(writes_, said);
  const Standings after = look(core_);
  judge_devices(before, after, said, entries);
  if (!began) return;
  require(results.size() == open, "not one result for each open file");
  bool left = false;
  for (const Recovered& each : results) {
    left |= each.what == Recovered::What::kLeft;
    require(each.what != Recovered::What::kLeft || each.error.has_value(), "left without a reason");
    if (each.error) fuzz::require_printable(each.error->message(), "not printable");
    const bool ended =
        each.what == Recovered::What::kFinished || each.what == Recovered::What::kUndone;
    const bool is_torn = torn.contains(each.id);
    require(!ended || !is_torn, "a torn journal is said to be done");
    const std::string done = fmt::format("journal-{}.done", each.id);
    require(!is_torn || now_.contains(done) || !storage.files().contains(done),
            "a torn journal is called done");
    const auto entry = entries.find(each.id);
    if (each.what == Recovered::What::kUndone && !disturbed && open == 1 &&
        entry != entries.end() && !entry->second.ending && entry->second.settings.empty()) {
      judge_undone(entry->second, before, after);
    }
  }
  if (left || disturbed) return;
  Disturbance none;
  Trace again;
  (void)recover_once(storage, none, again, began);
  for (const Operation& each : again)
    require(each.kind != Operation::Kind::kWrite, "recover is not done after recover", each.path);
}

/// The product's own files are as this fuzzer takes them to be: else it would test nothing.
bool check_format() {
  for (const char* how : {"G 1 0", "G 3 25"}) {
    World world;
    world.act(how);
    bool found = false;
    for (const auto& [name, text] : world.files()) {
      if (name.starts_with("journal-")) found |= !said_by(text).is_torn;
    }
    require(found, "the journal's lines have another form now: mend tests/fuzz/journal.cc", how);
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bool kChecked = check_format() && try_a_crafted_journal();
  constexpr std::size_t kMostLines = 48;
  World world;
  std::string_view text = fuzz::as_text(data, size);
  for (std::size_t i = 0; kChecked && i < kMostLines && !text.empty(); ++i) {
    world.act(take_until(text, '\n'));
  }
  world.recover_and_judge();
  return 0;
}
