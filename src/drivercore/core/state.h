#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "drivercore/core/kernel_profile.h"

namespace anybind::drivercore {

/// Names one instance of a device for the whole life of a State; never used again after it is gone.
/// It is what `Instance` shows to user space. Keys grow in the order of addition.
using DeviceKey = std::uint32_t;
/// Names the description of one driver, registered or not.
using DriverKey = std::uint32_t;

/// struct pci_device_id. kAny matches everything.
struct PciId {
  static constexpr std::uint32_t kAny = 0xFFFFFFFF;
  std::uint32_t vendor = kAny;
  std::uint32_t device = kAny;
  std::uint32_t subvendor = kAny;
  std::uint32_t subdevice = kAny;
  std::uint32_t class_code = 0;
  std::uint32_t class_mask = 0;
  std::uint64_t data = 0;
  bool override_only = false;  ///< counts only when driver_override names the driver
  friend bool operator==(const PciId&, const PciId&) = default;
};

/// What a driver's probe() answers: 0, or a negative errno (-EPROBE_DEFER is -517).
struct ProbeRule {
  int result = 0;
  std::map<std::string, int> per_device;  ///< by device name, where it differs
  friend bool operator==(const ProbeRule&, const ProbeRule&) = default;
};

/// What a driver can do with the virtual functions of its device.
enum class Sriov {
  kNone,     ///< no sriov_configure: it cannot enable any
  kLeaves,   ///< enables them, and leaves them when it lets go (pci_sriov_configure_simple: nvme)
  kRemoves,  ///< enables them, and disables them in its remove()
};

/// A driver: what its source says of it, and what becomes of that while it is registered.
struct Driver {
  std::string bus;
  std::string name;
  std::string module;                ///< empty: built in, and nothing in /sys/module
  bool built_in = false;             ///< its module can be seen, but neither loaded nor unloaded
  std::vector<PciId> ids;            ///< static table, pci
  std::vector<std::string> names;    ///< static table, platform; empty: it matches by its own name
  std::vector<std::string> aliases;  ///< static table, buses but pci: patterns over a modalias
  std::vector<PciId> dynamic_ids;    ///< in insertion order
  std::vector<std::string> dynamic_names;  ///< the same where ids are texts
  /// What sysfs_bind_only was proposed for: it has an id that matches anything, and nothing but its
  /// bind file binds it.
  bool sysfs_bind_only = false;
  bool managed_dma = false;    ///< driver_managed_dma: never refused for, never counted in, a group
  bool needs_group = false;    ///< a VFIO driver: probe is EINVAL without an IOMMU group
  bool suppress_bind = false;  ///< no bind and unbind files
  bool async_probe = false;    ///< probes from a worker where the kernel allows it
  Sriov sriov = Sriov::kNone;  ///< a VFIO driver has kRemoves, and enable_sriov decides
  ProbeRule probe;

  // What the driver core keeps of it.
  bool enable_sriov = false;       ///< the parameter of a VFIO driver's module
  bool registered = false;         ///< in the list of its bus
  bool files = true;               ///< bind, unbind, new_id ... are there: made last, removed first
  std::uint32_t registration = 0;  ///< from State::next_key; tells a reloaded driver from the old
  std::vector<DeviceKey> bound;    ///< in the order they were bound
  std::optional<PciId> probed_id;  ///< what the last probe was given
  bool autoprobe = true;           ///< false: somebody said that only its bind file binds it
  unsigned users = 0;              ///< operations under way that hold it: it cannot go before them
  friend bool operator==(const Driver&, const Driver&) = default;
};

/// What a host driver makes below the device while it is bound: {"net", "eth0"} at
/// DEVICE/net/eth0, or at the path below the device that the name is when it has a '/'
/// ({"block", "nvme/nvme0/nvme0n1"}).
struct Child {
  std::string kind;  ///< its class
  std::string name;
  friend bool operator==(const Child&, const Child&) = default;
};

/// One instance of a device; or a card that is not in the machine now (`gone`).
struct Device {
  // What the hardware is.
  std::string bus;
  std::string name;
  std::string parent;  ///< name of the device above, or BUS/NAME on another bus; empty: none
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
  std::uint16_t subvendor = 0;
  std::uint16_t subdevice = 0;
  std::uint32_t class_code = 0;
  std::uint8_t revision = 0;
  std::optional<unsigned> group;
  std::string physfn;  ///< name of the physical function, for a virtual one
  int numa_node = -1;
  bool boot_vga = false;
  std::string serial;   ///< its serial number, "00-1b-21-ff-ff-6a-2c-8e"; empty: it tells none
  bool present = true;  ///< false: not in its slot; a rescan does not find it
  bool can_reset = true;
  bool bus_reset = false;  ///< only with the bus that it is on, and so only if it came alone to it
  bool reset_off = false;  ///< user space has emptied its reset_method
  bool vf_autoprobe = true;  ///< sriov_drivers_autoprobe, for a physical function
  unsigned total_vfs = 0;
  std::uint16_t vf_device = 0;  ///< device id of its virtual functions; 0: its own
  std::uint16_t vf_offset = 1;  ///< how far the address of the first is from its own
  std::uint16_t vf_stride = 1;  ///< and how far each further one is from the one before
  std::string modalias;         ///< where it is not the bus's usual one: "acpi:PNP0103:"
  std::vector<Child> children;
  /// Names of guards (docs/guards.md) that find it in use while a host driver has it: the modelled
  /// kernel does not care, but whoever asks it for changes does.
  std::vector<std::string> in_use;

  // What the driver core keeps of a device that is there.
  std::optional<std::string> driver_override;  ///< or preferred_driver
  std::string probe_id;             ///< what was written to driver_probe_id; empty: its own
  std::optional<bool> kept_awake;   ///< power/control; nullopt: as the bus begins with it
  std::optional<DriverKey> driver;  ///< dev->driver: the truth
  bool driver_link = false;         ///< the symlink: comes before probe() and goes before remove()
  bool ready_to_probe = false;      ///< device_add is far enough
  bool match_driver = false;        ///< pci: set by pci_bus_add_device
  bool locked = false;              ///< somebody holds device_lock
  bool deferred = false;            ///< in State::deferred or State::retrying
  bool dead = false;                ///< being deleted: nothing is probed any more
  bool vf_linked = false;           ///< of a virtual function: physfn and virtfnN are there
  unsigned num_vfs = 0;             ///< how many virtual functions are enabled
  bool gone = false;                ///< not in the machine; in State::drawer
  bool counted = false;         ///< its driver holds a use count on the default domain of its group
  bool children_shown = false;  ///< what its driver makes is there
  std::optional<unsigned> vfio;        ///< the number of its vfio-dev, while a VFIO driver has it
  bool open = false;                   ///< user space has it open, through that driver
  std::optional<DriverKey> async_for;  ///< an asynchronous probe of this driver is under way
  friend bool operator==(const Device&, const Device&) = default;
};

struct Group {
  static constexpr const char* kUsualType = "DMA-FQ";
  static constexpr const char* kUsualRegion = "0x00000000fee00000 0x00000000feefffff msi";
  std::string type = kUsualType;  ///< of its default domain
  bool held = false;              ///< user space owns it
  unsigned in_use = 0;            ///< drivers without managed_dma that are bound in it
  /// The lines of reserved_regions; empty: the usual one, of the interrupts.
  std::vector<std::string> regions{};
  /// What the firmware wants mapped one to one keeps the group from user space.
  [[nodiscard]] bool has_direct_region() const;
  friend bool operator==(const Group&, const Group&) = default;
};

struct Bus {
  std::string name;
  bool autoprobe = true;
  std::vector<DeviceKey> devices;  ///< in the order of addition, which is that of the keys
  std::vector<DriverKey> drivers;  ///< in the order of registration
  std::map<std::string, DeviceKey> device_names;
  std::map<std::string, DriverKey> driver_names;  ///< of registered drivers
  friend bool operator==(const Bus&, const Bus&) = default;
};

/// A module that brings no driver ("vfio_iommu_type1"), or what is known of one that does beside
/// its drivers: its parameters.
struct Module {
  bool loaded = true;  ///< counts for one without drivers
  std::map<std::string, std::string> parameters;
  friend bool operator==(const Module&, const Module&) = default;
};

/// Work that the kernel leaves to a worker: an asynchronous probe. Driver 0: of every asynchronous
/// driver that matches.
struct AsyncProbe {
  DeviceKey device = 0;
  DriverKey driver = 0;
  friend bool operator==(const AsyncProbe&, const AsyncProbe&) = default;
};

/// The whole modelled kernel: a value. Copy it to try something out. Ordered containers only, no
/// pointers: the same operations on equal states give equal states. It holds what is true and
/// nothing that follows from it; what is looked up often is in an Index beside it.
struct State {
  KernelProfile profile;
  bool iommu = true;
  std::map<std::string, Bus> buses;
  std::map<DeviceKey, Device> devices;
  std::map<DriverKey, Driver> drivers;
  std::map<unsigned, Group> groups;
  std::map<std::string, Module> modules;  ///< by name as in /sys/module
  std::vector<DeviceKey> drawer;   ///< removed or not yet plugged: what rescan or hot-add bring
  std::deque<DeviceKey> deferred;  ///< waiting for a successful bind
  std::deque<DeviceKey> retrying;  ///< the worker's list: to be probed again
  std::deque<AsyncProbe> async;    ///< the worker's other list
  std::set<std::string> modules_coming;  ///< being loaded; names as in /sys/module
  std::set<std::string> modules_going;   ///< being unloaded
  /// Drivers and modules, by devpath, for which user space itself wrote "remove" to `uevent`: the
  /// kernel says no more when they go (lib/kobject.c:__kobject_del).
  std::set<std::string> said_removed;
  bool rescan_locked = false;  ///< somebody holds pci_rescan_remove_lock
  std::uint32_t next_key = 1;
  std::uint64_t seqnum = 1;  ///< of the next uevent
  friend bool operator==(const State&, const State&) = default;
};

}  // namespace anybind::drivercore
