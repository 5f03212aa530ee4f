#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "drivercore/core/state.h"

namespace anybind::drivercore {

/// What follows from a State and is looked up often, so that no look-up walks over all devices.
/// DriverCore keeps it up to date; it is no part of the State.
class Index {
 public:
  using Names = std::map<std::string, DeviceKey>;

  explicit Index(const State& state);

  /// A device is in the machine: everything but its interfaces. Its parent was added before.
  void add(const State& state, DeviceKey key);
  void remove(const State& state, DeviceKey key);
  /// What its driver made appears under /sys/class, or goes.
  void show(const Device& device, DeviceKey key);
  void hide(const Device& device);
  /// The two halves of the latter for a VFIO driver: its vfio-dev goes; its number and its place in
  /// the group are free. And the first taken back.
  void unlist_vfio(const Device& device);
  void leave_vfio(const Device& device);
  void list_vfio(const Device& device, DeviceKey key);

  /// By name: the devices below one; those below "pci0000:00" or "platform"; the members of a
  /// group; the virtual functions of a physical one; the devices whose drivers made the interfaces
  /// of a class ("eth0").
  [[nodiscard]] const Names& children(DeviceKey key) const { return at(children_, key); }
  [[nodiscard]] const Names& root(const std::string& name) const { return at(roots_, name); }
  [[nodiscard]] const std::map<std::string, Names>& roots() const { return roots_; }
  [[nodiscard]] const Names& members(unsigned group) const { return at(members_, group); }
  [[nodiscard]] const std::map<unsigned, Names>& groups() const { return members_; }
  [[nodiscard]] const Names& virtual_functions(DeviceKey key) const { return at(vfs_, key); }
  [[nodiscard]] const Names& interfaces(const std::string& kind) const {
    return at(classes_, kind);
  }
  [[nodiscard]] const std::map<std::string, Names>& classes() const { return classes_; }
  /// All classes of which a driver could make something, there or not.
  [[nodiscard]] const std::set<std::string>& kinds() const { return kinds_; }
  /// The members of the group that a VFIO driver has.
  [[nodiscard]] std::size_t vfio_users(unsigned group) const;
  [[nodiscard]] const std::map<unsigned, std::size_t>& vfio_groups() const { return vfio_groups_; }

  /// A card of State::drawer, under the device that it belongs below; and no longer.
  void put_away(const Device& card, DeviceKey key);
  void take_out(const Device& card, DeviceKey key);
  /// Those that belong right below a device, in the order of the drawer.
  [[nodiscard]] const std::vector<DeviceKey>& away_below(const Device& device) const;

  /// Devices between "the link is there" and "bound", which no driver's list has yet.
  void set_probing(DeviceKey key, bool on) {
    on ? void(probing_.insert(key)) : void(probing_.erase(key));
  }
  [[nodiscard]] const std::set<DeviceKey>& probing() const { return probing_; }

  /// The drivers of each module, registered or not, perhaps none; its name has no '-' here.
  [[nodiscard]] const std::map<std::string, std::vector<DriverKey>>& modules() const {
    return modules_;
  }
  [[nodiscard]] static std::string module_name(std::string name);

  /// The lowest number that no vfio-dev has.
  [[nodiscard]] unsigned free_vfio() const;

  /// The device above, by the name that `device` has for it; 0 for none.
  [[nodiscard]] static DeviceKey parent_of(const State& state, const Device& device);
  /// The device of a bus by name; 0 for none.
  [[nodiscard]] static DeviceKey named(const State& state, const std::string& bus,
                                       const std::string& name);

 private:
  template <class Map>
  static const Names& at(const Map& map, const typename Map::key_type& key) {
    static const Names kNone;
    const auto found = map.find(key);
    return found == map.end() ? kNone : found->second;
  }
  void take_vfio(unsigned number);

  std::map<DeviceKey, Names> children_;
  std::map<std::string, Names> roots_;
  std::map<unsigned, Names> members_;
  std::map<DeviceKey, Names> vfs_;
  std::map<std::string, Names> classes_;
  std::set<std::string> kinds_;
  std::map<unsigned, std::size_t> vfio_groups_;
  std::map<std::string, std::vector<DeviceKey>> away_;  ///< by BUS/NAME of what is above
  std::set<DeviceKey> probing_;
  std::map<std::string, std::vector<DriverKey>> modules_;
  std::set<unsigned> free_vfio_;  ///< below next_vfio_
  unsigned next_vfio_ = 0;
};

/// The last component of a child's name: "nvme0n1" of "nvme/nvme0/nvme0n1".
[[nodiscard]] std::string child_name(const Child& child);
/// Where it is below its device: "net/eth0".
[[nodiscard]] std::string child_path(const Child& child);

}  // namespace anybind::drivercore
