#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/errno.h"
#include "drivercore/core/driver_lookup.h"
#include "drivercore/core/index.h"
#include "drivercore/core/kernel_step.h"
#include "drivercore/core/state.h"
#include "drivercore/core/uevent.h"

namespace anybind::drivercore {

/// The modelled kernel: performs operations on a State as drivers/base does, each a sequence of
/// visible steps (docs: kernel_step.h). At each step `on_step` is called, with no reference into
/// the state held over the call: another actor may run operations of this same DriverCore there,
/// and the operation looks everything up again when it goes on.
///
/// Where the kernel would sleep until another actor goes on (device_lock, pci_rescan_remove_lock),
/// `on_blocked` is asked. It lets another actor run and answers true: the operation looks again. Or
/// it answers false: the operation cannot wait, and ends with EDEADLK, which no kernel says. That
/// is what happens when nobody set it: a single actor can only be in its own way, from inside
/// on_step.
///
/// Not thread-safe: actors take turns.
class DriverCore {
 public:
  /// Takes any state that a machine file can describe, also one with `driver` set by hand: counts,
  /// links and numbers that follow from that are put right.
  explicit DriverCore(State state);

  [[nodiscard]] const State& state() const { return state_; }
  [[nodiscard]] const Index& index() const { return index_; }
  /// Whether a bridge leads to this device and to no other.
  [[nodiscard]] bool is_alone(const Device& device) const;

  void set_on_step(std::function<void(const KernelStep&)> on_step) {
    on_step_ = std::move(on_step);
  }
  void set_on_blocked(std::function<bool(const Blocked&)> on_blocked) {
    on_blocked_ = std::move(on_blocked);
  }

  /// Uevents sent since the last call, oldest first; at most kMaxUevents are kept.
  [[nodiscard]] std::vector<Uevent> take_uevents();
  static constexpr std::size_t kMaxUevents = 1U << 16;
  /// Nobody will take them: they are counted and not made.
  void send_to_nobody() { nobody_listens_ = true; }
  void send_to_somebody() { nobody_listens_ = false; }

  // What user space does, through sysfs: `text` is what one write(2) brought. The bus and the
  // driver must be there; a device that is not is ENODEV. All answer with the kernel's errno.
  Reply<void> bind(const std::string& bus, const std::string& driver, std::string_view text);
  Reply<void> vfio_bind(const std::string& bus, const std::string& driver, std::string_view text);
  Reply<void> unbind(const std::string& bus, const std::string& driver, std::string_view text);
  Reply<void> drivers_probe(const std::string& bus, std::string_view text);
  Reply<void> drivers_autoprobe(const std::string& bus, std::string_view text);
  Reply<void> new_id(const std::string& bus, const std::string& driver, std::string_view text);
  Reply<void> remove_id(const std::string& bus, const std::string& driver, std::string_view text);
  Reply<void> driver_autoprobe(const std::string& bus, const std::string& driver,
                               std::string_view text);
  Reply<void> driver_override(DeviceKey device, std::string_view text);
  Reply<std::string> read_driver_override(DeviceKey device);
  Reply<void> drvctl(DeviceKey device, std::string_view text);
  Reply<void> power_control(DeviceKey device, std::string_view text);
  Reply<std::string> read_power_control(DeviceKey device);
  Reply<void> driver_probe_id(DeviceKey device, std::string_view text);
  Reply<std::string> read_driver_probe_id(DeviceKey device);
  Reply<std::string> read_uevent(DeviceKey device);
  Reply<void> remove(DeviceKey device, std::string_view text);
  /// Of the whole bus, or of what is beside and behind `beside`.
  Reply<void> rescan(std::string_view text, DeviceKey beside = 0);
  /// Of what is behind a bridge; 0: of the whole bus.
  Reply<void> rescan_behind(std::string_view text, DeviceKey bridge);
  Reply<void> reset_method(DeviceKey device, std::string_view text);
  /// The `type` of an IOMMU group.
  Reply<void> group_type(unsigned group, std::string_view text);
  Reply<void> sriov_drivers_autoprobe(DeviceKey device, std::string_view text);
  Reply<void> sriov_numvfs(DeviceKey device, std::string_view text);
  Reply<std::string> read_sriov_numvfs(DeviceKey device);
  /// The parameter enable_sriov of the module of VFIO drivers.
  Reply<void> enable_sriov(const std::string& module, std::string_view text);
  Reply<void> numa_node(DeviceKey device, std::string_view text);
  /// A write to the `uevent` file of whatever stands at `devpath`.
  Reply<void> synthetic_uevent(DeviceKey device, std::string_view text);
  Reply<void> synthetic_uevent(const std::string& devpath, const std::string& subsystem,
                               std::string_view text);
  /// The same of what the driver of a device made at `path` below it: "net/eth0".
  Reply<void> synthetic_uevent_of_made(DeviceKey device, const std::string& path,
                                       std::string_view text);
  /// The same of what hangs on no device: "vfio/13", below /devices/virtual.
  Reply<void> synthetic_uevent_of_virtual(const std::string& path, std::string_view text);

  // What the world does. False: no such thing, not now, or it could not wait.
  /// Plugs the card of this name in: a function, all functions of a slot ("0000:03:00"), or
  /// BUS/NAME. The slot must be free and the bridge above there. The bus adds it and probes; behind
  /// a bridge also what was removed through sysfs from other slots of that bus.
  bool hot_add(const std::string& name);
  /// Takes it out, with all that is behind it, also what somebody has removed through sysfs; a
  /// rescan does not find it again.
  bool unplug(const std::string& name);
  /// Registers all drivers of the module, and waits for their probes. Loading it again is no error.
  bool load_module(const std::string& module);
  /// Detaches and unregisters them. False also while user space has one of their devices open, or
  /// somebody else loads or unloads it.
  bool unload_module(const std::string& module);
  [[nodiscard]] bool is_loaded(const std::string& module) const;
  /// A parameter of State::modules. EINVAL: Y or N, and the text is neither.
  Reply<void> module_parameter(const std::string& module, const std::string& name,
                               std::string_view text);
  /// What the probe of this driver answers from now on: 0 or a negative errno, -517 to defer; for
  /// one device only, when one is named.
  bool set_probe(const std::string& driver, int result, const std::string& device = "");
  /// User space takes or releases an IOMMU group, as VFIO does. It cannot take one without a VFIO
  /// driver in it, one that a host driver uses, or one that is taken.
  bool hold_group(unsigned group, bool held);
  /// User space opens a device of a group that it holds, or closes it. While it is open no unbind
  /// of it ends; the group goes only after it.
  bool open_device(const std::string& bus, const std::string& name, bool open);
  /// Probes these devices in this order, as a boot does.
  void boot(const std::vector<DeviceKey>& devices);

  // Workers: the retries of deferred devices, and asynchronous probes. By themselves they run when
  // the operation that gave them work has ended. An explorer that makes them an actor of its own
  // switches that off.
  void set_workers_run_by_themselves(bool on) { workers_run_ = on; }
  [[nodiscard]] bool has_work() const;
  /// Does one piece of work. False when there is none.
  bool work();
  /// How often the deferred devices were set going: the one thing that an operation under way
  /// compares and the State does not hold.
  [[nodiscard]] std::uint64_t trigger_count() const { return trigger_count_; }

  /// Every walk over drivers asks each of them, as Linux does; else those are asked that have
  /// something in common with the device. What comes of it is the same: this is for comparison.
  void walk_over_all_drivers() { lookup_.switch_off(); }

  /// nullptr for one that is not there (any more).
  [[nodiscard]] const Device* find(DeviceKey device) const;
  [[nodiscard]] const Device* find(const std::string& bus, const std::string& name) const;
  /// Of one that the state itself lists or links to, and so must be there.
  [[nodiscard]] const Device& existing(DeviceKey device) const;
  /// nullptr for one that is not registered.
  [[nodiscard]] const Driver* find_driver(const std::string& bus, const std::string& name) const;
  [[nodiscard]] const Driver* find_driver(DriverKey driver) const;
  [[nodiscard]] DeviceKey key_of(const std::string& bus, const std::string& name) const {
    return Index::named(state_, bus, name);
  }
  /// Whether its bus lists it; if not, its attributes are gone too.
  [[nodiscard]] bool listed(const Device& device, DeviceKey key) const;
  /// The device and all that are above it, itself first.
  [[nodiscard]] std::vector<const Device*> line_of(const Device& device) const;
  /// "/devices/pci0000:00/0000:00:03.0"
  [[nodiscard]] std::string devpath(const Device& device) const;

 private:
  /// How a try to bind ended. Linux tells the two failures apart by the sign: what goes wrong
  /// before probe() runs ends a walk over the drivers; what probe() itself answers does not.
  struct Attempt {
    enum class Kind { kBound, kRefused, kProbeFailed };
    Kind kind = Kind::kBound;
    int error = 0;
    [[nodiscard]] bool deferred() const;
    /// For KernelStep: equal when all is.
    [[nodiscard]] int outcome() const { return static_cast<int>(kind) << 16 | error; }
  };
  /// How a device comes to be offered to a driver: unasked, or by a write to a file of the driver.
  enum class Offer { kAutomatic, kBindFile, kPrivateFile };
  /// Counts operations under way, so that workers run after the outermost.
  class Operation;
  /// Holds device_lock; free again at the latest when it goes out of scope.
  class DeviceLock;
  class RescanLock;
  /// Keeps a driver from going.
  class DriverUse;
  /// A card that a scan finds.
  struct Found {
    DeviceKey card = 0;
    std::string first;  ///< what leads to it, on the bus that is scanned; itself perhaps
  };
  /// Which drivers a walk looks at (dd.c:__device_attach).
  enum class Pass { kAll, kSyncOnly, kAsyncOnly };

  // driver_core.cc
  [[nodiscard]] Device* device(DeviceKey key);
  [[nodiscard]] Driver* driver(DriverKey key);
  /// Of what must be there: whoever holds its lock, or a use of the driver, keeps it from going.
  [[nodiscard]] Device& the_device(DeviceKey key);
  [[nodiscard]] Driver& the_driver(DriverKey key);
  [[nodiscard]] DriverKey driver_key(const std::string& bus, const std::string& name) const;
  void step(KernelStep::Kind kind, DeviceKey device, DriverKey driver = 0, int outcome = 0);
  bool wait(const Blocked& blocked);
  void leave_out_other_buses();
  void adopt();
  void adopt_binding(DeviceKey key, Device& device);

  // mechanisms.cc
  [[nodiscard]] bool matches(DeviceKey device, DriverKey driver,
                             Offer offer = Offer::kAutomatic) const;

  // bus_files.cc
  Reply<void> bind_by_file(const std::string& bus, const std::string& driver_name,
                           std::string_view text, Offer offer);

  // probe.cc
  Attempt really_probe(DeviceKey device, DriverKey driver, Offer offer);
  int call_probe(DeviceKey device, DriverKey driver, Offer offer);
  void fail_probe(DeviceKey device, DriverKey driver);
  void driver_bound(DeviceKey device, DriverKey driver);
  Attempt try_driver(DeviceKey device, DriverKey driver, Offer offer = Offer::kAutomatic);
  Attempt driver_probe_device(DeviceKey device, DriverKey driver, Offer offer = Offer::kAutomatic);
  Reply<bool> device_attach(DeviceKey device, Pass pass = Pass::kAll);
  [[nodiscard]] DriverKey next_match(DeviceKey device, DriverKey last);
  Reply<bool> attach_to_any(DeviceKey device, Pass pass);
  [[nodiscard]] bool wants_async(DeviceKey device);
  void initial_probe(DeviceKey device);
  Reply<void> driver_attach(DriverKey driver);
  Reply<void> offer(DeviceKey device, DriverKey driver);
  Reply<void> release_driver(DeviceKey device, DriverKey only = 0);
  Reply<void> release_locked(DeviceKey device);
  Reply<void> call_remove(DeviceKey device, DriverKey driver);
  void defer(DeviceKey device);
  void undefer(DeviceKey device);
  void trigger_deferred();
  void work_async(const AsyncProbe& work);
  void let_workers_run();

  // device_life.cc
  void device_add(DeviceKey device);
  void pci_bus_add_device(DeviceKey device);
  void add_all(const std::vector<DeviceKey>& cards);
  [[nodiscard]] std::vector<DeviceKey> start_to_add(const std::vector<DeviceKey>& cards);
  void set_free(const std::vector<DeviceKey>& added);
  void look_into_slots(const std::string& bridge, std::vector<DeviceKey> added);
  Reply<void> scan(std::string_view text, const std::string& below);
  [[nodiscard]] std::vector<Found> found_by_scan(const std::string& below) const;
  [[nodiscard]] std::vector<DeviceKey> bring_in(const std::vector<DeviceKey>& cards);
  [[nodiscard]] std::vector<DeviceKey> named(const std::string& name) const;
  [[nodiscard]] std::vector<DeviceKey> removed_cards(const std::string& name) const;
  void take_out_of_slot(DeviceKey card);
  DeviceKey renew(DeviceKey card);
  [[nodiscard]] std::vector<DeviceKey> subtree(DeviceKey device, bool last_first) const;
  Reply<void> stop_and_remove(DeviceKey device);
  Reply<void> device_del(DeviceKey device);

  // made_devices.cc
  [[nodiscard]] std::optional<DeviceKey> maker_of(const Device& device) const;
  [[nodiscard]] bool makes_devices(DeviceKey device) const;
  [[nodiscard]] bool can_be_there(const Device& card) const;
  [[nodiscard]] std::vector<DeviceKey> made_by(DeviceKey device) const;
  [[nodiscard]] std::vector<DeviceKey> cards_below(DeviceKey device,
                                                   std::optional<DeviceKey> maker) const;
  [[nodiscard]] std::vector<DeviceKey> cards_made_by(DeviceKey device) const;
  void plug_in_below(const Device& device);
  void bring(std::vector<DeviceKey> cards);
  Reply<void> drop_made(DeviceKey device);
  Reply<void> drop_all_below(DeviceKey device);
  Reply<void> remove_with_all_below(DeviceKey device);
  void drop_what_nobody_made();

  // sriov.cc
  Reply<void> set_num_vfs(DeviceKey pf, unsigned wanted);
  Reply<void> enable_vfs(DeviceKey pf, unsigned count);
  Reply<void> disable_vfs(DeviceKey pf);
  [[nodiscard]] Device make_vf(const Device& pf, std::string name) const;
  DeviceKey vf_card(DeviceKey pf, const std::string& name);
  void add_vf(DeviceKey pf, const std::string& name);
  void orphan_vfs(DeviceKey pf);
  void adopt_vfs();

  // driver_life.cc
  [[nodiscard]] std::vector<DriverKey> drivers_of(const std::string& module) const;
  bool register_driver(DriverKey driver);
  bool unregister_driver(DriverKey driver);
  bool wait_for_users(DriverKey driver);
  bool set_plain_module(const std::string& name, bool loaded);
  bool settle_module(const std::string& name, DriverKey driver);
  bool init_module(const std::vector<DriverKey>& drivers);
  [[nodiscard]] bool is_open(const std::vector<DriverKey>& drivers) const;

  // iommu.cc
  bool use_domain(DeviceKey device, DriverKey driver);
  void unuse_domain(Device& device);
  void make_children(DeviceKey device, DriverKey driver);
  void remove_children(DeviceKey device);
  void show_vfio_dev(DeviceKey device);
  void hide_vfio_dev(DeviceKey device);
  Reply<void> wait_for_user(DeviceKey device);
  Reply<void> remove_vfio(DeviceKey device);

  // uevent_sending.cc
  void send(Uevent event);
  void send(const std::string& action, const Device& device);
  void send_removed(Uevent event);
  Reply<void> send_synthetic(std::string_view text, std::string devpath,
                             const std::string& subsystem, std::vector<std::string> lines);
  Reply<void> check_room(const Uevent& event);

  State state_;
  Index index_;
  DriverLookup lookup_;
  std::function<void(const KernelStep&)> on_step_;
  std::function<bool(const Blocked&)> on_blocked_;
  std::deque<Uevent> uevents_;
  bool nobody_listens_ = false;
  bool workers_run_ = true;
  unsigned depth_ = 0;
  std::uint64_t trigger_count_ = 0;  ///< how often the deferred devices were set going
};

}  // namespace anybind::drivercore
