// The model. What is read of a device follows from what the model knows of it, so that it is read
// again only when that has changed.
#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>

#include <fmt/format.h>

#include "capture/capture.h"
#include "drivercore/core/driver_core.h"
#include "drivercore/sysfs/model_sysfs.h"
#include "twin.h"

namespace anybind::conformance {
namespace {

using Kind = Operation::Kind;

constexpr const char* kTestDevice = "platform/anybind-test.0";

std::string file_text(const std::string& path) {
  std::stringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

/// What the sources of these drivers say; sysfs does not tell.
drivercore::Sriov sriov_of(const drivercore::Driver& driver) {
  if (driver.name == "td0" || driver.name == "pci-pf-stub") return drivercore::Sriov::kLeaves;
  const bool removes = driver.name == "td1" || driver.name == "vfio-pci";
  return removes ? drivercore::Sriov::kRemoves : drivercore::Sriov::kNone;
}

/// What was read of devices, and what they were then.
struct SeenDevice {
  drivercore::Device device;
  DeviceLook look;
};
using Seen = std::map<drivercore::DeviceKey, SeenDevice>;

class ModelTwin final : public Model {
 public:
  enum class Workers : std::uint8_t { kLate, kAtOnce };

  ModelTwin(drivercore::State state, Workers workers, std::shared_ptr<Seen> seen)
      : workers_(workers),
        core_(std::move(state)),
        sysfs_(drivercore::model_sysfs(core_)),
        seen_(std::move(seen)) {
    listen_to_core();
  }

  Sysfs& sysfs() override { return *sysfs_; }

  std::string apply(const Operation& operation) override {
    std::string answer = apply_one(operation);
    keep_events();
    return answer;
  }

  [[nodiscard]] std::vector<Outcome> outcomes(const Operation& operation) override {
    std::vector<Outcome> out;
    for (const Workers workers : {Workers::kLate, Workers::kAtOnce}) {
      auto twin = std::make_unique<ModelTwin>(core_.state(), workers, seen_);
      twin->async_loaded_ = async_loaded_;
      twin->held_ = held_;
      twin->open_ = open_;
      std::string answer = twin->apply(operation);
      const bool alone = !twin->beside_workers_;
      std::string left_out = left_out_because(*twin);
      out.push_back(
          {.model = std::move(twin), .answer = std::move(answer), .left_out = std::move(left_out)});
      if (alone) break;
    }
    return out;
  }

  [[nodiscard]] bool has_busy_workers() const override { return beside_workers_; }

  Snapshot look() override {
    Snapshot out;
    Groups groups;
    for (const auto& [name, bus] : core_.state().buses) {
      if (name != "pci" && name != "platform") continue;
      out[name + " autoprobe"] = sysfs_->read("bus/" + name + "/drivers_autoprobe").value_or("");
      for (const auto& [driver, key] : bus.driver_names) out[name + " driver " + driver] = "";
      for (const auto& [device, key] : bus.device_names) {
        const DeviceLook& seen = look_at(key);
        enter(out, name, device, seen);
        groups.add(name + "/" + device, seen.group);
      }
    }
    groups.enter(out);
    const drivercore::Device* open = core_.find("pci", open_);
    if (open != nullptr && core_.state().profile.has(drivercore::Change::kTellsVfioDevice))
      enter_open(out, "/sys" + core_.devpath(*open));
    return out;
  }

  void take_uevents(Uevents& out) override {
    add(std::exchange(pending_, {}), out.lines);
    out.beside_workers |= beside_workers_ || async_loaded_;
  }

 private:
  /// Linux 6.1 forgets, when a function behind a bridge to conventional PCI goes, that the others
  /// there are attached to a domain (drivers/iommu/intel/iommu.c: all of them share one context
  /// entry). When user space then takes their group, or lets go of it, a list is broken ("WARNING
  /// ... domain_exit", "list_add corruption"), and the kernel dies of it sooner or later. 6.12 is
  /// well.
  [[nodiscard]] bool is_broken() const {
    constexpr KernelVersion kMended{6, 12};
    const drivercore::State& state = core_.state();
    if (state.profile.version >= kMended || !held_) return false;
    const auto is_of_group = [&](drivercore::DeviceKey card) {
      const drivercore::Device& device = state.devices.at(card);
      return device.group == held_ && device.physfn.empty();
    };
    return state.groups.at(*held_).held && std::ranges::any_of(state.drawer, is_of_group);
  }
  [[nodiscard]] static std::string left_out_because(const ModelTwin& after) {
    if (after.waits_) return "would wait";
    return after.is_broken() ? "would break the kernel" : "";
  }

  void listen_to_core() {
    core_.set_on_step([this](const drivercore::KernelStep&) { on_step(); });
    core_.set_on_blocked([this](const drivercore::Blocked& blocked) {
      waits_ |= blocked.by == drivercore::Blocked::By::kUser;
      return false;
    });
  }

  void on_step() {
    if (!core_.has_work()) return;
    beside_workers_ = true;
    if (workers_ == Workers::kLate || std::exchange(working_, true)) return;
    while (core_.work()) {
    }
    working_ = false;
  }

  /// Through the tree of the model; again only when something became of the device.
  const DeviceLook& look_at(drivercore::DeviceKey key) {
    const drivercore::Device& device = core_.state().devices.at(key);
    const auto [known, is_new] = seen_->try_emplace(key);
    if (!is_new && known->second.device == device) return known->second.look;
    const auto dir = sysfs_->open_dir("bus/" + device.bus + "/devices/" + device.name);
    DeviceLook look;
    if (dir) {
      look = {.driver = (*dir)->read_link("driver").value_or(""),
              .driver_override = (*dir)->read("driver_override").value_or(""),
              .group = (*dir)->read_link("iommu_group").value_or(""),
              .physfn = (*dir)->read_link("physfn").value_or(""),
              .vf_autoprobe = (*dir)->read("sriov_drivers_autoprobe").value_or(""),
              .num_vfs = (*dir)->read("sriov_numvfs").value_or("")};
    }
    known->second = {.device = device, .look = std::move(look)};
    return known->second.look;
  }

  void keep_events() {
    for (auto& event : core_.take_uevents()) pending_.push_back(std::move(event));
  }

  static void add(const std::vector<drivercore::Uevent>& events, std::vector<std::string>& out) {
    for (const auto& event : events) {
      std::string line = event.action + "@" + event.devpath;
      bool compared = false;
      for (const std::string& word : event.lines) {
        if (word.starts_with("SUBSYSTEM=")) compared = is_compared(word.substr(10));
        if (!word.starts_with("SEQNUM=")) line.append(" ").append(word);
      }
      if (compared) out.push_back(std::move(line));
    }
  }

  std::string apply_one(const Operation& operation) {
    switch (operation.kind) {
      case Kind::kWrite:
        return answer_of(sysfs_->write(operation.path, operation.bytes), operation.bytes.size());
      case Kind::kLoad:
        return load(operation.bytes);
      case Kind::kUnload:
        return unload();
      case Kind::kHold:
        return hold(operation);
      case Kind::kPlug:
        return is_plugged(operation.path) || !core_.hot_add(operation.path) ? "failed" : "ok";
      case Kind::kUnplug:
        return is_plugged(operation.path) && core_.unplug(operation.path) ? "ok" : "failed";
      case Kind::kProbes:
        break;
    }
    if (!is_loaded()) return "failed";
    return core_.set_probe(kTestDrivers[operation.driver], -operation.result) ? "ok" : "failed";
  }

  std::string hold(const Operation& operation) {
    const std::string& function = operation.path;
    if (!open_.empty()) (void)core_.open_device("pci", std::exchange(open_, ""), false);
    // It may have lost it meanwhile, with the last device of the group.
    if (const auto held = std::exchange(held_, std::nullopt)) (void)core_.hold_group(*held, false);
    if (function.empty()) return "ok";
    const auto group = group_of(*sysfs_, function);
    if (!group || !core_.hold_group(*group, true)) return "failed";
    held_ = group;
    if (operation.bytes != Operation::kOpen) return "ok";
    if (!core_.open_device("pci", function, true)) return "taken and not open";
    open_ = function;
    return "open";
  }

  /// Whether a card of the slot is in the machine, though it may be removed through sysfs.
  [[nodiscard]] bool is_plugged(const std::string& slot) const {
    return std::ranges::any_of(core_.state().devices, [&](const auto& entry) {
      const drivercore::Device& device = entry.second;
      return device.bus == "pci" && device.present && device.physfn.empty() &&
             device.name.starts_with(slot + ".");
    });
  }

  // The module brings its platform device, last, and takes it along, first.
  std::string load(const std::string& parameters) {
    if (is_loaded()) return "ok";
    if (async_loaded_ == parameters.empty()) make_async(!parameters.empty());
    for (const char* driver : kTestDrivers) core_.set_probe(driver, 0);
    const bool loaded = core_.load_module(kTestModule);
    // A module's own event comes when its init is through; the device belongs before it.
    keep_events();
    const auto own =
        std::ranges::find(pending_, "/module/anybind_test", &drivercore::Uevent::devpath);
    const std::size_t at = static_cast<std::size_t>(own - pending_.begin());
    const bool added = core_.hot_add(kTestDevice);
    keep_events();
    if (at < pending_.size())
      std::ranges::rotate(pending_.begin() + static_cast<std::ptrdiff_t>(at),
                          pending_.begin() + static_cast<std::ptrdiff_t>(at) + 1, pending_.end());
    return loaded && added ? "ok" : "failed";
  }
  std::string unload() {
    if (!is_loaded()) return "failed";
    const bool unloaded = core_.unplug(kTestDevice) && core_.unload_module(kTestModule);
    return unloaded ? "ok" : "failed";
  }
  /// The last driver of the test module, so that no other is waiting behind it.
  void make_async(bool on) {
    async_loaded_ = on;
    drivercore::State state = core_.state();
    for (auto& [key, driver] : state.drivers) {
      if (driver.name == kAsyncDriver) driver.async_probe = on;
    }
    core_ = drivercore::DriverCore(std::move(state));
    listen_to_core();
  }
  [[nodiscard]] bool is_loaded() const {
    return core_.find_driver("pci", kTestDrivers[0]) != nullptr;
  }

  Workers workers_;
  drivercore::DriverCore core_;
  std::unique_ptr<Sysfs> sysfs_;
  std::shared_ptr<Seen> seen_;
  std::vector<drivercore::Uevent> pending_;
  std::optional<unsigned> held_;  ///< the group that user space has taken
  std::string open_;              ///< the function of it that user space has open
  bool waits_ = false;            ///< an operation would have waited for that user
  bool async_loaded_ = false;     ///< the order in which devices were bound is not determined
  bool beside_workers_ = false;   ///< retries were set going
  bool working_ = false;          ///< they are under way
};

}  // namespace

std::unique_ptr<Model> model_twin(Twin& real) {
  const std::string modules = "/lib/modules/" + kernel_release() + "/";
  const lab::Aliases aliases = lab::parse_aliases(file_text(modules + "modules.alias"),
                                                  file_text(modules + "modules.builtin.modinfo"));
  auto state = lab::capture(real.sysfs(), {BusName::literal("pci"), BusName::literal("platform")},
                            aliases, lab::Detail::kAll);
  if (!state) {
    std::fprintf(stderr, "%s\n", state.error().message().c_str());
    return nullptr;
  }
  state->profile = drivercore::profile_of_release(kernel_release());
  // The test module has no aliases, so that nothing loads it; its source says what its tables are.
  for (auto& [key, driver] : state->drivers) {
    for (std::uint64_t i = 0; i < kTestDriverCount; ++i) {
      if (driver.name != kTestDrivers[i] || driver.bus != "pci") continue;
      driver.ids = {{.vendor = 0x1234, .device = 0x11E8, .data = 5 + i}};
    }
    driver.sriov = sriov_of(driver);
  }
  return std::make_unique<ModelTwin>(*std::move(state), ModelTwin::Workers::kLate,
                                     std::make_shared<Seen>());
}

}  // namespace anybind::conformance
