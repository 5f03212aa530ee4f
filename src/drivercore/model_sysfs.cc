// The tree that Linux shows, made from the State at each look. A place in it is a canonical path
// (no links, no ".."), and what is found there is computed, not stored: there is no second copy of
// the truth.
//
//   bus/BUS/{drivers_autoprobe,...}  bus/BUS/devices/NAME -> device bus/BUS/drivers/NAME/{bind,...}
//   devices/pci0000:00/.../NAME/     devices/platform/NAME/          class/KIND/NAME -> child of a
//   device kernel/iommu_groups/N/devices/NAME -> device module/NAME/drivers/BUS:DRIVER
#include "drivercore/model_sysfs.h"

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "drivercore/attributes.h"

namespace anybind::drivercore {
namespace {

using Path = std::vector<std::string>;

Path split(std::string_view text) {
  Path out;
  while (!text.empty()) {
    const auto slash = text.find('/');
    const auto part = text.substr(0, slash);
    if (!part.empty() && part != ".") out.emplace_back(part);
    if (slash == std::string_view::npos) break;
    text.remove_prefix(slash + 1);
  }
  return out;
}

std::string join(const Path& path) {
  std::string out;
  for (const std::string& part : path) out += (out.empty() ? "" : "/") + part;
  return out;
}

/// What stands at a place.
struct Node {
  enum class Kind { kDirectory, kAttribute, kLink };
  Kind kind = Kind::kDirectory;
  Owner owner;         ///< of an attribute; of the directory of a bus, driver or device
  std::string text;    ///< of a link: where it leads, from the root; of a fixed attribute: its text
  bool fixed = false;  ///< an attribute that only has a text
};

Node directory(Owner owner = {}) {
  return {.kind = Node::Kind::kDirectory, .owner = std::move(owner)};
}
Node link_to(std::string path) {
  return {.kind = Node::Kind::kLink, .text = std::move(path)};
}
Node fixed_text(std::string text) {
  return {.kind = Node::Kind::kAttribute, .text = std::move(text), .fixed = true};
}

using Entries = std::map<std::string, Node>;

/// Looks things up in the tree of one State.
class Tree {
 public:
  explicit Tree(const DriverCore& core) : core_(core) {}

  /// The entry `name` of the directory at the canonical path `at`; nullopt when there is none.
  [[nodiscard]] std::optional<Node> child(const Path& at, const std::string& name) const;
  /// All entries of it. Callers have made sure that it is a directory.
  [[nodiscard]] Entries children(const Path& at) const;
  /// The device whose directory `at` is; 0 for none.
  [[nodiscard]] DeviceKey device_at(const Path& at) const;

 private:
  [[nodiscard]] const State& state() const { return core_.state(); }
  [[nodiscard]] std::string path_of(const Device& device) const {
    return core_.devpath(device).substr(1);
  }
  [[nodiscard]] Entries top(const Path& at) const;
  [[nodiscard]] Entries bus_children(const Path& at) const;
  [[nodiscard]] Entries driver_children(const std::string& bus, const std::string& name) const;
  [[nodiscard]] Entries device_tree(const Path& at) const;
  [[nodiscard]] Entries device_links(const Device& device) const;
  [[nodiscard]] Entries device_children(DeviceKey key) const;
  [[nodiscard]] Entries interface_children(const Path& at) const;
  [[nodiscard]] Entries class_children(const Path& at) const;
  [[nodiscard]] Entries group_children(const Path& at) const;
  [[nodiscard]] Entries module_children(const Path& at) const;
  [[nodiscard]] bool shows_children(const Device& device) const;

  const DriverCore& core_;
};

Entries directories(std::initializer_list<const char*> names) {
  Entries out;
  for (const char* name : names) out.emplace(name, directory());
  return out;
}

/// What host drivers make below a device is there while one is bound; a driver for user space makes
/// none.
bool Tree::shows_children(const Device& device) const {
  if (!device.driver || !device.driver_link) return false;
  return !state().drivers.at(*device.driver).managed_dma;
}

Entries Tree::driver_children(const std::string& bus, const std::string& name) const {
  Entries out;
  const Owner owner{.bus = bus, .driver = name};
  const Driver& driver = *core_.find_driver(bus, name);
  for (std::string& attribute : attribute_names(core_, owner)) {
    out.emplace(std::move(attribute), Node{.kind = Node::Kind::kAttribute, .owner = owner});
  }
  if (!driver.module.empty()) {
    std::string module = driver.module;
    std::ranges::replace(module, '-', '_');
    out.emplace("module", link_to("module/" + module));
  }
  for (const DeviceKey key : driver.bound) {
    const Device& device = *core_.find(key);
    if (device.driver_link) out.emplace(device.name, link_to(path_of(device)));
  }
  return out;
}

Entries Tree::bus_children(const Path& at) const {
  Entries out;
  if (at.size() == 1) {
    for (const auto& [name, bus] : state().buses) out.emplace(name, directory({.bus = name}));
    return out;
  }
  const Bus& bus = state().buses.at(at[1]);
  if (at.size() == 2) {
    out = directories({"devices", "drivers"});
    for (std::string& name : attribute_names(core_, {.bus = bus.name})) {
      out.emplace(std::move(name),
                  Node{.kind = Node::Kind::kAttribute, .owner = {.bus = bus.name}});
    }
  } else if (at[2] == "devices") {
    for (const auto& [name, key] : bus.device_names)
      out.emplace(name, link_to(path_of(*core_.find(key))));
  } else if (at.size() == 3) {
    for (const auto& [name, key] : bus.driver_names) {
      out.emplace(name, directory({.bus = bus.name, .driver = name}));
    }
  } else {
    out = driver_children(bus.name, at[3]);
  }
  return out;
}

/// The links of a device that cost no search.
Entries Tree::device_links(const Device& device) const {
  Entries out;
  out.emplace("subsystem", link_to("bus/" + device.bus));
  if (device.driver && device.driver_link) {
    const std::string& driver = state().drivers.at(*device.driver).name;
    out.emplace("driver", link_to("bus/" + device.bus + "/drivers/" + driver));
  }
  if (device.group)
    out.emplace("iommu_group", link_to(fmt::format("kernel/iommu_groups/{}", *device.group)));
  if (const Device* pf = device.physfn.empty() ? nullptr : core_.find("pci", device.physfn)) {
    out.emplace("physfn", link_to(path_of(*pf)));
  }
  return out;
}

Entries Tree::device_children(DeviceKey key) const {
  const Device& device = *core_.find(key);
  Entries out = device_links(device);
  for (std::string& name : attribute_names(core_, {.device = key})) {
    out.emplace(std::move(name), Node{.kind = Node::Kind::kAttribute, .owner = {.device = key}});
  }
  unsigned virtual_function = 0;
  for (const auto& [name, other] : state().buses.at(device.bus).device_names) {
    const Device& candidate = *core_.find(other);
    if (candidate.parent == device.name) out.emplace(name, directory({.device = other}));
    if (candidate.physfn == device.name) {
      out.emplace(fmt::format("virtfn{}", virtual_function++), link_to(path_of(candidate)));
    }
  }
  if (!shows_children(device)) return out;
  for (const Child& child : device.children) out.emplace(child.kind, directory());
  return out;
}

/// DEVICE/KIND and DEVICE/KIND/NAME of what a host driver makes.
Entries Tree::interface_children(const Path& at) const {
  Entries out;
  const DeviceKey kind_owner = device_at({at.begin(), at.end() - 1});
  if (kind_owner != 0) {
    for (const Child& child : core_.find(kind_owner)->children) {
      if (child.kind == at.back()) out.emplace(child.name, directory());
    }
    return out;
  }
  const Path device_path(at.begin(), at.end() - 2);
  out.emplace("uevent", fixed_text("INTERFACE=" + at.back() + "\n"));
  out.emplace("subsystem", link_to("class/" + at[at.size() - 2]));
  out.emplace("device", link_to(join(device_path)));
  return out;
}

Entries Tree::device_tree(const Path& at) const {
  Entries out;
  if (at.size() == 1) {
    out = directories({"platform"});
    for (const auto& [name, key] : state().buses.at("pci").device_names) {
      const std::string path = path_of(*core_.find(key));
      out.emplace(split(path)[1], directory());
    }
    return out;
  }
  if (const DeviceKey key = device_at(at); key != 0) return device_children(key);
  if (at.size() > 2) return interface_children(at);
  for (const auto& [bus_name, bus] : state().buses) {
    for (const auto& [name, key] : bus.device_names) {
      const Device& device = *core_.find(key);
      if (device.parent.empty() && path_of(device) == join(at) + "/" + name) {
        out.emplace(name, directory({.device = key}));
      }
    }
  }
  return out;
}

Entries Tree::class_children(const Path& at) const {
  Entries out;
  for (const auto& [bus_name, bus] : state().buses) {
    for (const auto& [name, key] : bus.device_names) {
      const Device& device = *core_.find(key);
      if (!shows_children(device)) continue;
      for (const Child& child : device.children) {
        if (at.size() == 1) {
          out.emplace(child.kind, directory());
        } else if (child.kind == at[1]) {
          out.emplace(child.name, link_to(path_of(device) + "/" + child.kind + "/" + child.name));
        }
      }
    }
  }
  if (at.size() == 1 && state().iommu) out.emplace("iommu", directory());
  if (at.size() == 2 && at[1] == "iommu") out.emplace("dmar0", directory());
  return out;
}

Entries Tree::group_children(const Path& at) const {
  Entries out;
  if (at.size() == 1) return directories({"iommu_groups"});
  std::set<unsigned> groups;
  const auto& devices = state().devices;
  if (at.size() == 2) {
    for (const auto& [key, device] : devices) {
      if (!device.dead && device.group) out.emplace(std::to_string(*device.group), directory());
    }
  } else if (at.size() == 3) {
    out = directories({"devices"});
    out.emplace("type", fixed_text("DMA\n"));
  } else {
    for (const auto& [key, device] : devices) {
      if (!device.dead && device.group && std::to_string(*device.group) == at[2]) {
        out.emplace(device.name, link_to(path_of(device)));
      }
    }
  }
  return out;
}

Entries Tree::module_children(const Path& at) const {
  Entries out;
  for (const auto& [key, driver] : state().drivers) {
    if (!driver.registered || driver.module.empty()) continue;
    std::string module = driver.module;
    std::ranges::replace(module, '-', '_');
    if (at.size() == 1) {
      out.emplace(module, directory());
    } else if (module == at[1] && at.size() == 2) {
      out.emplace("drivers", directory());
    } else if (module == at[1]) {
      out.emplace(driver.bus + ":" + driver.name,
                  link_to("bus/" + driver.bus + "/drivers/" + driver.name));
    }
  }
  return out;
}

Entries Tree::children(const Path& at) const {
  if (at.empty()) return directories({"bus", "class", "devices", "kernel", "module"});
  if (at[0] == "bus") return bus_children(at);
  if (at[0] == "devices") return device_tree(at);
  if (at[0] == "class") return class_children(at);
  if (at[0] == "kernel") return group_children(at);
  return module_children(at);
}

DeviceKey Tree::device_at(const Path& at) const {
  if (at.size() < 3 || at[0] != "devices") return 0;
  for (const auto& [name, bus] : state().buses) {
    const auto found = bus.device_names.find(at.back());
    if (found != bus.device_names.end() && path_of(*core_.find(found->second)) == join(at)) {
      return found->second;
    }
  }
  return 0;
}

/// The everyday look-ups do not list a directory of thousands first.
std::optional<Node> Tree::child(const Path& at, const std::string& name) const {
  if (at.size() == 3 && at[0] == "bus" && at[2] == "devices") {
    const Device* device = core_.find(at[1], name);
    return device != nullptr ? std::optional(link_to(path_of(*device))) : std::nullopt;
  }
  if (!at.empty() && at[0] == "devices") {
    Path below = at;
    below.push_back(name);
    if (const DeviceKey key = device_at(below); key != 0) return directory({.device = key});
    const DeviceKey here = device_at(at);
    if (here != 0 && has_attribute(core_, {.device = here}, name)) {
      return Node{.kind = Node::Kind::kAttribute, .owner = {.device = here}};
    }
    if (const Device* device = core_.find(here)) {
      Entries links = device_links(*device);
      if (const auto found = links.find(name); found != links.end())
        return std::move(found->second);
      if (name == "driver" || name == "iommu_group" || name == "physfn") return std::nullopt;
    }
  }
  Entries all = children(at);
  const auto found = all.find(name);
  return found == all.end() ? std::nullopt : std::optional(std::move(found->second));
}

/// A place that was found, without links in its path.
struct Place {
  Path path;
  Node node;
};

/// "../../../bus/pci/drivers/x" for a link in the directory `from` to `to`, both from the root.
std::string relative(const Path& from, const Path& to) {
  std::size_t common = 0;
  while (common < from.size() && common < to.size() && from[common] == to[common]) ++common;
  std::string out;
  for (std::size_t i = common; i < from.size(); ++i) out += "../";
  return out + join({to.begin() + static_cast<std::ptrdiff_t>(common), to.end()});
}

class ModelSysfs final : public Sysfs {
 public:
  ModelSysfs(DriverCore& core, Path at, DeviceKey device)
      : core_(core), at_(std::move(at)), device_(device) {}

  Reply<std::string> read(std::string_view path) override {
    const Place place = TRY(find(path, true));
    if (place.node.kind == Node::Kind::kDirectory) return std::unexpected(Errno{EISDIR});
    if (place.node.fixed) return place.node.text;
    return show_attribute(core_, place.node.owner, place.path.back());
  }

  Reply<std::size_t> write(std::string_view path, std::string_view bytes) override {
    const Place place = TRY(find(path, true));
    if (place.node.kind == Node::Kind::kDirectory) return std::unexpected(Errno{EISDIR});
    if (place.node.fixed) return std::unexpected(Errno{EACCES});
    return store_attribute(core_, place.node.owner, place.path.back(), bytes);
  }

  Reply<std::string> read_link(std::string_view path) override {
    const Place place = TRY(find(path, false));
    if (place.node.kind != Node::Kind::kLink) return std::unexpected(Errno{EINVAL});
    return relative({place.path.begin(), place.path.end() - 1}, split(place.node.text));
  }

  Reply<std::vector<std::string>> list(std::string_view path) override {
    const Place place = TRY(find(path, true));
    if (place.node.kind != Node::Kind::kDirectory) return std::unexpected(Errno{ENOTDIR});
    std::vector<std::string> out;
    for (auto& [name, node] : Tree(core_).children(place.path)) out.push_back(name);
    return out;
  }

  Reply<std::unique_ptr<Sysfs>> open_dir(std::string_view path) override {
    const Place place = TRY(find(path, true));
    if (place.node.kind != Node::Kind::kDirectory) return std::unexpected(Errno{ENOTDIR});
    const DeviceKey device = Tree(core_).device_at(place.path);
    return std::make_unique<ModelSysfs>(core_, place.path, device);
  }

  Reply<Instance> instance() override {
    if (device_ != 0) return Instance{.device = 1, .inode = device_};
    std::uint64_t inode = 0xCBF29CE484222325;  // of the path: other directories are never replaced
    for (const char c : join(at_)) inode = (inode ^ static_cast<unsigned char>(c)) * 0x100000001B3;
    return Instance{.device = 2, .inode = inode};
  }

 private:
  /// Walks from this directory; follows links on the way, and one at the end with `follow`.
  Reply<Place> find(std::string_view path, bool follow) const {
    if (path.find('\0') != std::string_view::npos) return std::unexpected(Errno{EINVAL});
    if (path.size() > kPathMax) return std::unexpected(Errno{ENAMETOOLONG});
    if (path.starts_with('/')) return std::unexpected(Errno{EXDEV});
    const Tree tree(core_);
    if (device_ != 0 && tree.device_at(at_) != device_) return std::unexpected(Errno{ENOENT});
    Place place{.path = at_, .node = directory()};
    Path todo = split(path);
    std::ranges::reverse(todo);
    for (int links = 0; !todo.empty();) {
      const std::string part = std::move(todo.back());
      todo.pop_back();
      if (place.node.kind != Node::Kind::kDirectory) return std::unexpected(Errno{ENOTDIR});
      if (part == "..") {
        if (place.path.size() <= at_.size()) return std::unexpected(Errno{EXDEV});
        place.path.pop_back();
        continue;
      }
      auto next = tree.child(place.path, part);
      if (!next) return std::unexpected(Errno{ENOENT});
      if (next->kind == Node::Kind::kLink && (follow || !todo.empty())) {
        if (++links > kMaxLinks) return std::unexpected(Errno{ELOOP});
        Path target = split(next->text);
        if (!inside(target)) return std::unexpected(Errno{EXDEV});
        place = {.path = std::move(target), .node = directory()};
        if (todo.empty() && !is_directory(tree, place.path)) return std::unexpected(Errno{ENOENT});
        continue;
      }
      place.path.push_back(part);
      place.node = *std::move(next);
    }
    return place;
  }

  /// A link from a held directory may not lead out of it, as openat2(RESOLVE_BENEATH) has it.
  [[nodiscard]] bool inside(const Path& target) const {
    return target.size() >= at_.size() && std::equal(at_.begin(), at_.end(), target.begin());
  }

  static bool is_directory(const Tree& tree, const Path& path) {
    if (path.empty()) return true;
    const auto node = tree.child({path.begin(), path.end() - 1}, path.back());
    return node && node->kind == Node::Kind::kDirectory;
  }

  static constexpr std::size_t kPathMax = 1023;
  static constexpr int kMaxLinks = 40;

  DriverCore& core_;
  Path at_;
  DeviceKey device_;
};

}  // namespace

std::unique_ptr<Sysfs> model_sysfs(DriverCore& core) {
  return std::make_unique<ModelSysfs>(core, Path{}, DeviceKey{0});
}

}  // namespace anybind::drivercore
