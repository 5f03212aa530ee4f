#pragma once

#include <gmock/gmock.h>

#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/text.h"
#include "change/recover.h"
#include "disturbed.h"
#include "machine.h"
#include "plan/plan_functions.h"
#include "record/records.h"

namespace anybind {

using drivercore::DriverCore;
using drivercore::State;
using testing::IsEmpty;
using Kind = Disturbance::Kind;

using Looks = std::map<std::string, std::string>;

/// Where `now` is not as it was `wanted`: "pci/0000:03:00.0: igc (unset), wanted - none".
inline std::vector<std::string> differences(const Looks& now, const Looks& wanted) {
  std::vector<std::string> out;
  const auto value = [](const Looks& look, const std::string& name) {
    const auto found = look.find(name);
    return found == look.end() ? "absent" : found->second;
  };
  Looks names = now;
  names.insert(wanted.begin(), wanted.end());
  for (const auto& [name, unused] : names) {
    if (value(now, name) == value(wanted, name)) continue;
    out.push_back(name + ": " + value(now, name) + ", wanted " + value(wanted, name));
  }
  return out;
}

/// A machine with what anybind remembers of it.
class World {
 public:
  explicit World(const State& state) : core(state), sysfs(drivercore::model_sysfs(core)) {}

  Origins origins() { return *Origins::load(files, "boot"); }
  Journal journal() { return *Journal::load(files, "boot", "test", 0); }

  Result<> change(Sysfs& through, const std::function<Result<HeldPlan>(Sysfs&, World&)>& planning) {
    Origins memory = TRY(Origins::load(files, "boot"));
    Journal log = TRY(Journal::load(files, "boot", "test", 0));
    meant.clear();
    const HeldPlan plan = TRY(planning(through, *this));
    for (const DevicePlan& device : plan.devices) meant[device.device] = device.instance;
    for (const Setting& setting : plan.settings) {
      if (setting.device) meant[*setting.device] = setting.instance;
    }
    Listener nobody;
    TRY(run(through, plan, {&memory, &log}, nobody));
    return {};
  }

  /// As `anybind recover` does it. An error: not even the memory could be had.
  Result<std::vector<Recovered>> recover_command(Sysfs& through) {
    Host host(through);
    host.storage = &files;
    host.boot = "boot";
    host.command = "recover";
    Memory memory =
        TRY(Memory::lock(host, [](const std::string&) { return false; }, Memory::OnDamage::kGoOn));
    Listener nobody;
    return recover(host, {memory.damage ? nullptr : &memory.origins, &memory.journal}, nobody);
  }

  std::vector<Recovered> heal() { return heal(*sysfs); }
  std::vector<Recovered> heal(Sysfs& through) {
    Origins memory = origins();
    Journal log = journal();
    Listener nobody;
    return recover(through, {&memory, &log}, nobody);
  }

  /// Everything that a change may touch, by name.
  Looks look() const {
    Looks out;
    for (const auto& [bus_name, bus] : core.state().buses) {
      out[bus_name + " autoprobe"] = bus.autoprobe ? "1" : "0";
      for (const auto& [name, key] : bus.device_names) {
        const auto& device = core.state().devices.at(key);
        out[fmt::format("{}/{}", bus_name, name)] = fmt::format(
            "{} {} {} {}{}", device.driver ? core.state().drivers.at(*device.driver).name : "-",
            device.driver_override.value_or("(unset)"), device.num_vfs, device.vf_autoprobe,
            device.probe_id);
      }
    }
    for (const auto& [key, driver] : core.state().drivers) {
      out["driver " + driver.name] = fmt::format(
          "{} ids, {}", driver.dynamic_ids.size() + driver.dynamic_names.size(), driver.autoprobe);
    }
    return out;
  }

  /// The instance of the card that is at an address now.
  std::optional<Instance> instance_of(const DeviceId& device) const {
    const auto dir = sysfs->open_dir(device.path());
    return dir ? std::optional(*(*dir)->instance()) : std::nullopt;
  }

  DriverCore core;
  std::unique_ptr<Sysfs> sysfs;
  std::map<DeviceId, Instance> meant;  ///< by the last change: which cards it looked at
  DisturbedStorage files;
};

using Planning = std::function<Result<HeldPlan>(Sysfs&, World&)>;

struct Verb {
  std::string name;
  std::vector<Planning> before;  ///< done undisturbed first
  Planning planning;
  std::vector<DeviceId> devices;  ///< whose cards come and go
};

struct Case {
  std::string machine;
  std::vector<DeviceId> devices;
  std::optional<DeviceId> pf;
  DeviceId newcomer;           ///< a card of a type that is there, not plugged in
  std::string default_driver;  ///< its
  std::string profile{};       ///< of the kernel; empty: the machine's own
  std::optional<Mechanism> mechanism{};
  std::string target = "vfio-pci";
  std::size_t least = 100;    ///< so many cases each test has at least
  bool takes_others = false;  ///< the mechanism may give the newcomer to `target` too
};

inline void PrintTo(const Case& of, std::ostream* out) {  // NOLINT(readability-identifier-naming)
  *out << of.machine << " " << of.profile;
}

inline Planning binding(std::vector<DeviceId> devices, const std::string& target,
                        std::optional<Mechanism> mechanism = {}) {
  return [devices = std::move(devices), target, mechanism](Sysfs& sysfs, World&) {
    return plan_bind(sysfs, {.devices = devices,
                             .driver = driver(target),
                             .whole_group = true,
                             .mechanism = mechanism});
  };
}

inline Planning making(const DeviceId& pf, unsigned count, const std::string& target) {
  return [pf, count, target](Sysfs& sysfs, World&) {
    return plan_virtual_functions(sysfs, {.pf = pf, .count = count, .driver = driver(target)});
  };
}

/// What somebody else has written before.
inline Planning by_hand(const std::string& path, const std::string& bytes) {
  return [path, bytes](Sysfs& sysfs, World&) {
    EXPECT_TRUE(sysfs.write(path, bytes));
    return HeldPlan();
  };
}

inline std::vector<Verb> verbs_of(const Case& of) {
  const auto& devices = of.devices;
  const Planning bind = binding(devices, of.target, of.mechanism);
  const Planning unbind = [devices](Sysfs& sysfs, World&) { return plan_unbind(sysfs, devices); };
  const Planning restore = [devices](Sysfs& sysfs, World& world) {
    return plan_restore(sysfs, devices, world.origins().table());
  };
  const Planning undo = [](Sysfs& sysfs, World& world) -> Result<HeldPlan> {
    const Journal journal = world.journal();
    const auto entry = TRY(journal.read(journal.closed().back()));
    return plan_undo(sysfs, entry->plan(), entry->id);
  };
  std::vector<Verb> out = {{"bind", {}, bind, devices},
                           {"unbind", {}, unbind, devices},
                           {"restore", {bind}, restore, devices},
                           {"undo", {bind}, undo, devices}};
  if (!of.mechanism) {
    out.push_back(
        {"bind of what is bound elsewhere", {bind}, binding(devices, "pci-stub"), devices});
  }
  if (!of.pf) return out;
  const Planning none = making(*of.pf, 0, "none");
  out.push_back({"vfs", {none}, making(*of.pf, 3, "vfio-pci"), {*of.pf}});
  out.push_back({"vfs 0", {none, making(*of.pf, 3, "vfio-pci")}, none, {*of.pf}});
  out.push_back({"undo of vfs", {none, making(*of.pf, 3, "vfio-pci")}, undo, {*of.pf}});
  const Planning gone = by_hand(of.pf->path() + "/sriov_numvfs", "0");
  const Planning bound = binding({*of.pf}, "vfio-pci");
  const Planning back = [pf = *of.pf](Sysfs& sysfs, World& world) {
    return plan_restore(sysfs, {pf}, world.origins().table());
  };
  out.push_back({"restore of vfs", {gone, making(*of.pf, 3, "vfio-pci")}, back, {*of.pf}});
  out.push_back({"restore of vfs 0", {none}, back, {*of.pf}});
  out.push_back({"restore of another number", {none, making(*of.pf, 3, "none")}, back, {*of.pf}});
  out.push_back({"bind of a physical function", {}, bound, {*of.pf}});
  out.push_back({"restore of a physical function", {bound}, back, {*of.pf}});
  return out;
}

/// One verb on one machine, again and again.
class Trial {
 public:
  Trial(const State& machine, const Case& of, const Verb& verb) : of_(of), verb_(verb) {
    World world(machine);
    world.core.unplug(of.newcomer.str());
    untouched_ = world.look();
    for (const Planning& planning : verb.before) EXPECT_TRUE(world.change(*world.sysfs, planning));
    begin_ = world.core.state();
    files_ = world.files.files();
    before_ = world.look();
    Disturbance counter;
    EXPECT_TRUE(world.change(*world.sysfs, verb.planning));
    asked_ = world.look();
    EXPECT_NE(asked_, before_) << "a verb that does nothing shows nothing";
  }

  /// The disturbance at every operation in turn, until the verb ends before it comes. False: one
  /// went wrong, and the rest was left.
  bool at_every_operation(const Disturbance& disturbance,
                          const std::function<void(World&, Disturbance&)>& prepare = {}) {
    for (std::size_t at = 1; at < 20'000; ++at) {
      World world(begin_);
      fill(world);
      world.files.disturbance = disturbance;
      world.files.disturbance.at = at;
      if (prepare) prepare(world, world.files.disturbance);
      if (!one(world)) return true;
      ++cases;
      if (testing::Test::HasFailure()) {
        ADD_FAILURE() << of_.machine << ": " << verb_.name << ": operation " << at << ", errno "
                      << disturbance.err.value << (disturbance.after ? " after" : " before");
        return false;
      }
    }
    ADD_FAILURE() << "there is no end to it";
    return false;
  }

  /// Dies at every operation in turn, and for each of those recover() dies at each of its own.
  bool dying_twice() {
    bool died_again = true;
    for (recover_dies_at = 1; died_again; ++recover_dies_at) {
      again_ = false;
      if (!at_every_operation({.kind = Kind::kCrash})) return false;
      died_again = again_;
    }
    return true;
  }

  /// Dies behind every operation that changes something, and for each of those recover() meets
  /// `disturbance` at every operation of its own.
  bool disturbed_in_recover(const Disturbance& disturbance) {
    for (const std::size_t write : writes()) {
      bool met = true;
      for (std::size_t at = 1; met; ++at) {
        World world(begin_);
        fill(world);
        die(world, write);
        world.files.disturbance = disturbance;
        world.files.disturbance.at = at;
        met = recover_once(world);
        ++cases;
        if (!testing::Test::HasFailure()) continue;
        ADD_FAILURE() << of_.machine << ": " << verb_.name << ": died after " << write
                      << ", operation " << at << " of recover, errno " << disturbance.err.value
                      << (disturbance.after ? " after" : " before");
        return false;
      }
    }
    return true;
  }

  /// Each operation that changes something fails, and then another one of the way back.
  bool failing_twice(const Disturbance& disturbance) {
    for (const std::size_t write : writes()) {
      bool met = true;
      for (std::size_t also = write + 1; met; ++also) {
        World world(begin_);
        fill(world);
        world.files.disturbance = disturbance;
        world.files.disturbance.at = write;
        world.files.disturbance.also_at = also;
        (void)one(world);
        met = last_count_ >= also;
        ++cases;
        if (!testing::Test::HasFailure()) continue;
        ADD_FAILURE() << of_.machine << ": " << verb_.name << ": operations " << write << " and "
                      << also << ", errno " << disturbance.err.value;
        return false;
      }
    }
    return true;
  }

  std::size_t cases = 0;
  std::size_t recover_dies_at = 0;  ///< 0: it lives
  std::size_t kept = 0;             ///< of what was not synced, when a process dies
  bool died = false;

 private:
  void fill(World& world) const {
    for (const auto& [name, bytes] : files_) (void)world.files.replace(name, bytes);
    world.files.disturbance = {};
  }

  /// Those operations of the verb that may change something.
  std::vector<std::size_t> writes() const {
    World world(begin_);
    fill(world);
    DisturbedSysfs through(*world.sysfs, world.files.disturbance);
    EXPECT_TRUE(world.change(through, verb_.planning));
    EXPECT_THAT(world.files.disturbance.writes, testing::Not(IsEmpty()));
    return world.files.disturbance.writes;
  }

  void die(World& world, std::size_t at) const {
    world.files.disturbance = {.kind = Kind::kCrash, .at = at, .after = true};
    DisturbedSysfs through(*world.sysfs, world.files.disturbance);
    EXPECT_THROW((void)world.change(through, verb_.planning), Crash);
    world.files.disturbance = {};
  }

  /// Ends with every device as before, as asked, or named, with the journal open; a device that was
  /// as before stays so; and without the disturbance recover() puts all right. False: it ended
  /// before the disturbance.
  bool recover_once(World& world) {
    const auto start = world.look();
    Result<std::vector<Recovered>> healed;
    {
      DisturbedSysfs through(*world.sysfs, world.files.disturbance);
      // What a physical function had besides its driver is known to origins.json alone.
      world.files.reads_too = !of_.pf;
      healed = world.recover_command(through);
      world.files.reads_too = false;
    }
    const bool met = world.files.disturbance.met();
    const bool after = world.files.disturbance.after;
    world.files.disturbance = {};
    const auto now = world.look();
    for (const auto& [name, was] : start) {
      const auto wanted = before_.find(name);
      const auto there = now.find(name);
      if (wanted == before_.end() || was != wanted->second || there == now.end()) continue;
      if (name.contains('/')) {
        EXPECT_EQ(there->second, was) << name << " was as before and moved";
      }
    }
    if (!healed) {
      EXPECT_EQ(now, start) << healed.error().message();
    } else {
      check_report(world, *healed, now, after);
    }
    for (const Recovered& one : world.heal())
      EXPECT_NE(one.what, Recovered::What::kLeft) << (one.error ? one.error->message() : "");
    EXPECT_THAT(world.journal().open(), IsEmpty());
    check(world, false);
    return met;
  }

  /// `after`: what it took for failed may have been done.
  void check_report(World& world, const std::vector<Recovered>& healed, const Looks& now,
                    bool after) const {
    std::string said;
    for (const Recovered& one : healed) {
      if (one.what != Recovered::What::kLeft) continue;
      if (!one.error) return ADD_FAILURE() << "left, and it does not say why";
      EXPECT_THAT(one.error->kind,
                  testing::AnyOf(ErrorKind::kIncomplete, ErrorKind::kNotPermitted));
      said += one.error->message();
    }
    const bool open = !world.journal().open().empty();
    EXPECT_TRUE(said.empty() ? !open : open || after) << said;
    if (said.empty()) {
      EXPECT_TRUE(now == asked_ || differences(now, before_).empty())
          << "it was reported as ended: " << testing::PrintToString(differences(now, before_));
      return;
    }
    if (said.contains("journal-") || of_.pf) return;  // not one of the devices' own
    for (const auto& [name, is] : now) {
      if (!name.contains('/') || is == before_.at(name) || is == asked_.at(name)) continue;
      EXPECT_THAT(said, testing::HasSubstr(name.substr(name.find('/') + 1))) << is;
    }
  }

  /// False: the verb ended before the disturbance.
  bool one(World& world) {
    Disturbance& disturbance = world.files.disturbance;
    const bool acts = disturbance.kind == Kind::kAct;
    died = false;
    bool done = false;
    {
      DisturbedSysfs through(*world.sysfs, disturbance);
      try {
        done = world.change(through, verb_.planning).has_value();
      } catch (const Crash&) {
        died = true;
      }
    }
    last_count_ = disturbance.count;
    if (!disturbance.met()) return false;
    disturbance = {};
    if (died) world.files.lose_unsynced(kept);
    if (recover_dies_at != 0) again_ |= dies_in_recover(world);
    for (const Recovered& one : world.heal()) {
      EXPECT_NE(one.what, Recovered::What::kLeft) << (one.error ? one.error->message() : "");
    }
    EXPECT_THAT(world.journal().open(), IsEmpty());
    if (acts) {
      check_with_guests(world);
    } else {
      check(world, done);
    }
    return true;
  }

  /// True: it did.
  bool dies_in_recover(World& world) const {
    world.files.disturbance = {.kind = Kind::kCrash, .at = recover_dies_at};
    DisturbedSysfs through(*world.sysfs, world.files.disturbance);
    bool died_again = false;
    try {
      (void)world.heal(through);
    } catch (const Crash&) {
      died_again = true;
    }
    world.files.disturbance = {};
    if (died_again) world.files.lose_unsynced(kept);
    return died_again;
  }

  void check(World& world, bool done) {
    const auto now = world.look();
    if (done) {
      EXPECT_THAT(differences(now, asked_), IsEmpty()) << "it was reported as done";
    } else if (now != asked_) {
      EXPECT_THAT(differences(now, before_), IsEmpty());
    }
    go_home(world);
  }

  /// `restore` of everything gives back what there was at the very beginning.
  void go_home(World& world) {
    if (of_.pf && verb_.devices.front() == *of_.pf) return;  // functions come and go with their PF
    const auto all = [&](Sysfs& sysfs, World& w) {
      std::vector<DeviceId> devices;
      for (const auto& [name, key] : w.core.state().buses.at(bus()).device_names) {
        const DeviceId id{.bus = BusName::literal(bus()), .name = DeviceName::literal(name)};
        const auto instance = (*sysfs.open_dir(id.path()))->instance();
        if (w.origins().find(id, *instance)) devices.push_back(id);
      }
      return plan_restore(sysfs, devices, w.origins().table());
    };
    const auto home = world.change(*world.sysfs, all);
    EXPECT_TRUE(home) << home.error().message();
    EXPECT_THAT(differences(world.look(), untouched_), IsEmpty()) << "after restore";
  }

  /// Cards came and went: each card that has been there all the time is as before or as asked, all
  /// of them alike; a newcomer is where the bus puts it; flags and ids are as before.
  void check_with_guests(World& world) {
    auto now = world.look();
    auto before = before_;
    auto asked = asked_;
    for (const DeviceId& card : verb_.devices) {
      const std::string name = bus() + "/" + card.name.str();
      const auto here = world.instance_of(card);
      const auto meant = world.meant.find(card);
      const bool is_first = world.core.key_of(bus(), card.name.str()) == at_first(card);
      const bool is_meant = here && meant != world.meant.end() && meant->second == *here;
      if (is_first) continue;
      if (is_meant) {  // it came before anybody looked
        before[name] = as_new(name);
      } else {
        if (here) {
          EXPECT_EQ(now.at(name), as_new(name)) << "the newcomer " << name;
        }
        for (auto* look : {&now, &before, &asked}) forget(*look, card);
      }
    }
    const std::string newcomer = bus() + "/" + of_.newcomer.name.str();
    if (const auto found = now.find(newcomer); found != now.end()) {
      const bool taken = of_.takes_others && found->second.starts_with(of_.target + " ");
      const std::string& has = taken ? of_.target : of_.default_driver;
      EXPECT_EQ(found->second, has + " (unset) 0 true");
      now.erase(found);
      before.erase(newcomer);
      asked.erase(newcomer);
    }
    if (now != asked) {
      EXPECT_THAT(differences(now, before), IsEmpty());
    }
  }

  /// With its default driver, no override and no virtual functions.
  std::string as_new(const std::string& name) const {
    const std::string& was = untouched_.at(name);
    return was.substr(0, was.find(' ')) + " (unset) 0 true";
  }

  drivercore::DeviceKey at_first(const DeviceId& card) const {
    return begin_.buses.at(bus()).device_names.at(card.name.str());
  }

  /// With a physical function go its virtual ones.
  void forget(Looks& look, const DeviceId& card) const {
    look.erase(bus() + "/" + card.name.str());
    if (card != of_.pf) return;
    const std::string below = card.name.str().substr(0, card.name.str().rfind(':'));
    std::erase_if(look, [&](const auto& one) { return one.first.starts_with("pci/" + below); });
  }

  const std::string& bus() const { return of_.devices.front().bus.str(); }

  const Case& of_;
  const Verb& verb_;
  bool again_ = false;
  std::size_t last_count_ = 0;  ///< of operations
  State begin_;
  DisturbedStorage::Files files_;
  Looks untouched_, before_, asked_;
};

}  // namespace anybind
