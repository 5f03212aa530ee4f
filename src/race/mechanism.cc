#include "race/mechanism.h"

#include <algorithm>
#include <array>
#include <set>
#include <vector>

#include "base/ids.h"
#include "change/recover.h"
#include "change/transaction.h"
#include "plan/planner.h"
#include "record/journal.h"
#include "record/origins.h"

namespace anybind::race {
namespace {

/// A script: lines that are run until one fails.
class Script {
 public:
  explicit Script(Task& task) : task_(task) {}

  void device_file(const std::string& file, const std::string& text) {
    line(device() + "/" + file, text);
  }
  void driver_file(const std::string& file, const std::string& text) {
    line("bus/pci/drivers/" + task_.driver + "/" + file, text);
  }
  void bus_file(const std::string& file, const std::string& text) { line("bus/pci/" + file, text); }
  void probe() { bus_file("drivers_probe", task_.device); }
  /// Again while the write fails; that none helped stops nothing.
  void probe_up_to(int times) {
    for (int i = 0; ok_ && i < times; ++i) {
      if (task_.sysfs.write("bus/pci/drivers_probe", task_.device + "\n")) return;
    }
  }
  void bind() { driver_file("bind", task_.device); }
  /// Of whichever driver has it; of none, nothing.
  void unbind() {
    if (ok_ && driver()) device_file("driver/unbind", task_.device);
  }
  void new_id(const std::string& id) {
    driver_file("new_id", id);
    added_id_ = ok_;
  }
  void new_id_if_it_can() {
    if (ok_)
      (void)task_.sysfs.write("bus/pci/drivers/" + task_.driver + "/new_id", task_.id + "\n");
  }
  /// Also after a line that failed, when it was added.
  void remove_id(const std::string& id) {
    if (added_id_) always("bus/pci/drivers/" + task_.driver + "/remove_id", id);
  }
  void always(const std::string& path, const std::string& text) {
    if (!task_.sysfs.write(path, text + "\n")) ok_ = false;
  }
  std::vector<std::string> devices() {
    return task_.sysfs.list("bus/pci/devices").value_or(std::vector<std::string>{});
  }
  bool driverless(const std::string& name) {
    return !task_.sysfs.read_link("bus/pci/devices/" + name + "/driver");
  }
  /// The last line: is it there?
  bool done() {
    if (!ok_) return false;
    const auto link = task_.sysfs.read_link(device() + "/driver");
    return link && link_name(*link) == task_.driver;
  }

 private:
  [[nodiscard]] std::string device() const { return "bus/pci/devices/" + task_.device; }
  [[nodiscard]] bool driver() { return task_.sysfs.read_link(device() + "/driver").has_value(); }
  void line(const std::string& path, const std::string& text) {
    if (ok_) always(path, text);
  }

  Task& task_;
  bool ok_ = true;
  bool added_id_ = false;
};

bool new_id(Task& task) {
  Script script(task);
  script.new_id(task.id);
  script.unbind();
  script.bind();
  script.remove_id(task.id);
  return script.done();
}

bool unbind_new_id(Task& task) {
  Script script(task);
  script.unbind();
  script.new_id(task.id);
  script.remove_id(task.id);
  return script.done();
}

/// The four steps of the thread. new_id probes at once, whatever the flag says, so there is no bind
/// to be done where that took the device.
bool autoprobe_window(Task& task) {
  Script script(task);
  const auto before = script.devices();
  const std::set<std::string> known(before.begin(), before.end());
  script.bus_file("drivers_autoprobe", "0");
  script.unbind();
  script.new_id(task.id);
  if (script.driverless(task.device)) script.bind();
  script.remove_id(task.id);
  script.always("bus/pci/drivers_autoprobe", "1");
  for (const std::string& name : script.devices()) {
    if (!known.contains(name) && script.driverless(name)) {
      script.always("bus/pci/drivers_probe", name);
    }
  }
  return script.done();
}

bool unbind_bind(Task& task) {
  Script script(task);
  script.unbind();
  script.bind();
  return script.done();
}

bool vfio_bind(Task& task) {
  Script script(task);
  script.unbind();
  script.driver_file("vfio_bind", task.device);
  return script.done();
}

bool preferred_driver(Task& task) {
  Script script(task);
  script.device_file("preferred_driver", task.driver);
  script.unbind();
  script.probe();
  return script.done();
}

/// An id that no hardware has: not taken back, as a name of the driver.
bool driver_probe_id(Task& task) {
  static const std::string kMadeUp = "1dead beef";
  Script script(task);
  script.new_id(kMadeUp);
  script.device_file("driver_probe_id", kMadeUp);
  script.unbind();
  script.probe();
  return script.done();
}

bool override_unbind_probe(Task& task) {
  Script script(task);
  script.device_file("driver_override", task.driver);
  script.unbind();
  script.probe();
  return script.done();
}

bool unbind_override_probe(Task& task) {
  Script script(task);
  script.unbind();
  script.device_file("driver_override", task.driver);
  script.probe();
  return script.done();
}

/// driverctl 0.115 writes the id only for vfio-pci, and goes on when that write fails. The id
/// stays.
bool unbind_new_id_override_probe(Task& task) {
  Script script(task);
  script.unbind();
  script.new_id_if_it_can();
  script.device_file("driver_override", task.driver);
  script.probe();
  return script.done();
}

bool unbind_override_bind_clear(Task& task) {
  Script script(task);
  script.unbind();
  script.device_file("driver_override", task.driver);
  script.bind();
  script.device_file("driver_override", "");
  return script.done();
}

bool unbind_override_bind(Task& task) {
  Script script(task);
  script.unbind();
  script.device_file("driver_override", task.driver);
  script.bind();
  return script.done();
}

bool override_unbind_probe_clear(Task& task) {
  Script script(task);
  script.device_file("driver_override", task.driver);
  script.unbind();
  script.probe();
  script.device_file("driver_override", "");
  return script.done();
}

/// The first try, and ten more.
bool unbind_override_probes_clear(Task& task) {
  Script script(task);
  script.unbind();
  script.device_file("driver_override", task.driver);
  script.probe_up_to(11);
  script.device_file("driver_override", "");
  return script.done();
}

class Silent final : public Listener {
 public:
  void on_step(const DeviceId& /*device*/, const Step& /*step*/) override {}
  void on_rollback(const Error& /*cause*/, std::size_t /*devices*/) override {}
  [[nodiscard]] bool stop_requested() const override { return false; }
};

/// What `anybind` keeps on disk (cli/session.h).
class Kept {
 public:
  /// With the lock held. Of an empty storage, or one that only these have written: never an error.
  explicit Kept(Storage& storage)
      : origins_(*Origins::load(storage, kBoot)),
        journal_(*Journal::load(storage, kBoot, "anybind", 0)) {}
  Records records() { return {&origins_, &journal_}; }

 private:
  static constexpr const char* kBoot = "boot";
  Origins origins_;
  Journal journal_;
};

// Looking for the cause of a failure would be more orderings and no other outcome.
const RunOptions kRunOptions = {.find_causes = false};

/// The code behind `anybind bind`.
bool anybind(Task& task) {
  task.lock();
  std::optional<Kept> kept;
  if (task.storage != nullptr) kept.emplace(*task.storage);
  const DeviceId device{.bus = BusName::literal("pci"), .name = DeviceName::literal(task.device)};
  const auto plan =
      plan_bind(task.sysfs, {.devices = {device}, .driver = DriverName::literal(task.driver)});
  if (!plan) return false;
  Silent silent;
  const Records records = kept ? kept->records() : Records(nullptr);
  return ::anybind::run(task.sysfs, *plan, records, silent, kRunOptions).has_value();
}

/// The code behind `anybind recover`.
std::optional<bool> anybind_recover(Task& task) {
  task.lock();
  Kept kept(*task.storage);
  Silent silent;
  std::optional<bool> out;
  for (const Recovered& one : ::anybind::recover(task.sysfs, kept.records(), silent, kRunOptions)) {
    if (one.what == Recovered::What::kNothingOwed) continue;
    out = one.what == Recovered::What::kFinished && one.gone.empty();
  }
  return out;
}

using enum drivercore::Mechanism;

constexpr std::array kMechanisms = {
    Mechanism{"new_id", {}, "new_id, unbind, bind, remove_id", new_id},
    Mechanism{"new_id-late", {}, "unbind, new_id (which binds), remove_id", unbind_new_id},
    Mechanism{"new_id-window",
              {},
              "autoprobe 0, unbind, new_id, bind, remove_id, autoprobe 1, probe what came",
              autoprobe_window},
    Mechanism{"ids+bind", {}, "driver loaded with ids=; unbind, bind", unbind_bind, true},
    Mechanism{"sysfs_bind_only", kSysfsBindOnly, "unbind, bind", unbind_bind},
    Mechanism{"vfio_bind", kVfioBind, "unbind, vfio_bind", vfio_bind},
    Mechanism{"autoprobe-flag", kAutoprobeFlag, "new_id, unbind, bind, remove_id", new_id},
    Mechanism{"preferred_driver", kPreferredDriver, "preferred_driver, unbind, drivers_probe",
              preferred_driver},
    Mechanism{"driver_probe_id", kDriverProbeId,
              "new_id of a made-up id, driver_probe_id, unbind, drivers_probe", driver_probe_id},
    Mechanism{"override-first", kDriverOverride,
              "driver_override, unbind, drivers_probe (libvirt, vfio-pci-bind)",
              override_unbind_probe},
    Mechanism{"override-late", kDriverOverride,
              "unbind, driver_override, drivers_probe (driverctl until 0.111)",
              unbind_override_probe},
    Mechanism{"new_id-override", kDriverOverride,
              "unbind, new_id, driver_override, drivers_probe (driverctl since 0.115)",
              unbind_new_id_override_probe},
    Mechanism{"override-bind", kDriverOverride, "unbind, driver_override, bind (NVIDIA)",
              unbind_override_bind},
    Mechanism{"override-bind-clear", kDriverOverride,
              "unbind, driver_override, bind, clear (dpdk-devbind)", unbind_override_bind_clear},
    Mechanism{"override-late-clear", kDriverOverride,
              "unbind, driver_override, drivers_probe up to 11 times, clear in any case (SPDK)",
              unbind_override_probes_clear},
    Mechanism{"override-clear", kDriverOverride, "driver_override, unbind, drivers_probe, clear",
              override_unbind_probe_clear},
    Mechanism{.name = "anybind",
              .needs = {},
              .summary = "anybind bind: its own transaction",
              .run = anybind,
              .recover = anybind_recover},
    Mechanism{.name = "policy",
              .needs = kDriverOverride,
              .summary = "anybindd: a rule gives a card that comes, before any probe",
              .run = nullptr,
              .is_policy = true},
};

}  // namespace

std::span<const Mechanism> mechanisms() {
  return kMechanisms;
}

std::optional<drivercore::KernelProfile> profile_of(const Mechanism& mechanism,
                                                    KernelVersion kernel) {
  if (mechanism.needs) return drivercore::profile_with(kernel, *mechanism.needs);
  return *drivercore::find_profile("linux-" + kernel.str());
}

const Mechanism* find_mechanism(std::string_view name) {
  const auto* found = std::ranges::find(kMechanisms, name, &Mechanism::name);
  return found == kMechanisms.end() ? nullptr : found;
}

}  // namespace anybind::race
