#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "drivercore/kernel_profile.h"

namespace anybind::drivercore {

/// Names one instance of a device for the whole life of a State; never used again after it is gone.
using DeviceKey = std::uint32_t;
/// Names one driver in the same way.
using DriverKey = std::uint32_t;

/// struct pci_device_id. Any is 0xFFFFFFFF.
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

struct Driver {
  std::string bus;
  std::string name;
  std::string module;              ///< empty: built in, and nothing in /sys/module
  bool built_in = false;           ///< its module can be seen, but neither loaded nor unloaded
  std::vector<PciId> ids;          ///< static table, pci
  std::vector<std::string> names;  ///< static table, platform; empty: it matches by its own name
  std::vector<PciId> dynamic_ids;  ///< in insertion order
  bool managed_dma = false;    ///< driver_managed_dma: never refused for, never counted in, a group
  bool needs_group = false;    ///< its probe is EINVAL without an IOMMU group (vfio-pci)
  bool suppress_bind = false;  ///< no bind and unbind files
  bool registered = false;
  ProbeRule probe;
  std::vector<DeviceKey> bound;    ///< in the order they were bound
  std::optional<PciId> probed_id;  ///< what the last probe was given
  friend bool operator==(const Driver&, const Driver&) = default;
};

/// What a host driver makes below the device while it is bound: {"net", "eth0"}.
struct Child {
  std::string kind;
  std::string name;
  friend bool operator==(const Child&, const Child&) = default;
};

struct Device {
  std::string bus;
  std::string name;
  std::string parent;  ///< name of the bridge above; empty: the root of its bus
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
  bool present = true;       ///< false: a card in the drawer; rescan does not find it
  bool vf_autoprobe = true;  ///< sriov_drivers_autoprobe, for a physical function
  unsigned total_vfs = 0;
  std::vector<Child> children;

  // What the driver core keeps of a device that is there.
  std::optional<std::string> driver_override;
  std::optional<DriverKey> driver;  ///< dev->driver
  bool driver_link =
      false;  ///< the symlink, which comes before the probe and goes before the remove
  bool ready_to_probe = false;  ///< device_add is far enough
  bool match_driver = false;    ///< pci: set by pci_bus_add_device
  bool deferred = false;
  bool dead = false;
  bool counted = false;  ///< its driver holds a use count on the default domain of its group
  unsigned probes = 0;   ///< how often a probe() has run on it
  friend bool operator==(const Device&, const Device&) = default;
};

struct Group {
  bool held = false;    ///< user space owns it
  unsigned in_use = 0;  ///< drivers without managed_dma that are bound in it
  friend bool operator==(const Group&, const Group&) = default;
};

struct Bus {
  std::string name;
  bool autoprobe = true;
  std::vector<DeviceKey> devices;  ///< in the order of addition
  std::vector<DriverKey> drivers;  ///< in the order of registration
  std::map<std::string, DeviceKey> device_names;
  std::map<std::string, DriverKey> driver_names;
  friend bool operator==(const Bus&, const Bus&) = default;
};

/// One uevent, as its lines after ACTION@DEVPATH.
struct Uevent {
  std::string action;
  std::string devpath;
  std::vector<std::string> lines;  ///< "KEY=VALUE", SEQNUM last
  friend bool operator==(const Uevent&, const Uevent&) = default;
};

/// The whole modelled kernel: a value. Copy it to try something out. Ordered containers only, no
/// pointers: the same operations on equal states give equal states.
struct State {
  KernelProfile profile;
  bool iommu = true;
  std::map<std::string, Bus> buses;
  std::map<DeviceKey, Device> devices;
  std::map<DriverKey, Driver> drivers;
  std::map<unsigned, Group> groups;
  std::vector<DeviceKey>
      drawer;  ///< removed or not yet plugged: what a rescan or hot-add can bring
  std::deque<DeviceKey> deferred;  ///< waiting for a successful bind
  std::uint32_t next_key = 1;
  std::uint64_t seqnum = 1;
  std::vector<Uevent> uevents;  ///< sent so far, oldest first; see DriverCore::take_uevents
  friend bool operator==(const State&, const State&) = default;
};

}  // namespace anybind::drivercore
