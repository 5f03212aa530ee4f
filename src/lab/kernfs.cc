#include "lab/kernfs.h"

#include <fcntl.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "base/try.h"
#include "drivercore/core/model_modules.h"
#include "host/tracing_sysfs.h"

namespace anybind::lab {

using drivercore::DriverCore;
using drivercore::Entry;
using drivercore::Place;
using drivercore::Tree;

namespace {

constexpr std::size_t kNameMax = 255;
constexpr off_t kPage = 4096;
constexpr unsigned kMiscMajor = 10;
constexpr unsigned kVfioMinor = 196;
constexpr unsigned kGroupMajor = 242;  // of the range that Linux takes dynamic ones from

std::unexpected<Errno> error(int value) {
  return std::unexpected(Errno{value});
}

ino_t hash(ino_t directory, std::string_view name) {
  const std::uint64_t out = fnv1a(name, kFnvBasis ^ directory);
  return (out >> 2) | (std::uint64_t{1} << 62);  // apart from the small numbers of instances
}

/// Devices and drivers show which instance they are.
ino_t inode_of(const Entry& entry, ino_t directory, std::string_view name) {
  if (entry.kind == Entry::Kind::kDirectory) {
    if (entry.place.kind == Place::Kind::kDevice) return entry.place.key;
    if (entry.place.kind == Place::Kind::kDriver) return entry.place.registration;
  }
  return hash(directory, name);
}

bool same(const Place& a, const Place& b) {
  return a.kind == b.kind && a.name == b.name && a.key == b.key && a.registration == b.registration;
}

/// Directories that are there from the start to the end.
bool is_fixed(const Place& place) {
  using Kind = Place::Kind;
  static constexpr std::array kFixed = {Kind::kRoot,       Kind::kBuses,      Kind::kBus,
                                        Kind::kBusDevices, Kind::kBusDrivers, Kind::kDevices,
                                        Kind::kVirtual,    Kind::kKernel,     Kind::kClasses,
                                        Kind::kGroups,     Kind::kModules};
  return std::ranges::find(kFixed, place.kind) != kFixed.end();
}

/// Directories with files and links alone, of which there may be many.
bool is_flat(const Place& place) {
  using Kind = Place::Kind;
  static constexpr std::array kFlat = {
      Kind::kBusDevices,       Kind::kClass, Kind::kGroupDevices, Kind::kModuleHolders,
      Kind::kModuleDrivers,    Kind::kPower, Kind::kIommuDevices, Kind::kIommuRegisters,
      Kind::kModuleParameters, Kind::kDebug, Kind::kPciBus};
  return std::ranges::find(kFlat, place.kind) != kFlat.end();
}

std::vector<std::string> vfio_nodes(const DriverCore& core) {
  std::vector<std::string> out = {"vfio"};
  for (const auto& [group, users] : core.index().vfio_groups())
    out.push_back(std::to_string(group));
  return out;
}

off_t size_of(DriverCore& core, const Entry& entry) {
  const auto bytes = drivercore::show_attribute(core, entry.place, *entry.attribute);
  return bytes ? static_cast<off_t>(bytes->size()) : 0;
}

template <class Container>
bool contains(const Container& values, std::string_view value) {
  return std::ranges::find(values, value) != values.end();
}

}  // namespace

std::string proc_modules(const DriverCore& core) {
  std::set<std::string> names;
  for (const auto& [key, driver] : core.state().drivers) {
    if (driver.registered && !driver.built_in && !driver.module.empty()) {
      names.insert(drivercore::Index::module_name(driver.module));
    }
  }
  for (const auto& [name, keys] : core.index().modules()) {
    if (keys.empty() && core.is_loaded(name)) names.insert(name);
  }
  std::string out;
  for (const std::string& name : names)
    out += fmt::format("{} 16384 0 - Live 0x0000000000000000\n", name);
  return out;
}

Kernfs::Kernfs(Machine& machine, Options options)
    : machine_(machine),
      options_(std::move(options)),
      mount_points_(options_.mount_points.begin(), options_.mount_points.end()) {
  ::clock_gettime(CLOCK_REALTIME, &born_);
  nodes_[kRoot] = {.what = options_.whole_lab ? What::kTop : What::kEntry,
                   .parent = kRoot,
                   .inode = kRoot,
                   .references = 1};
}

// ---- what a number stands for

Reply<const Kernfs::Node*> Kernfs::node(Number number) const {
  const auto found = nodes_.find(number);
  if (found == nodes_.end()) return error(ESTALE);
  return &found->second;
}

/// Names from the root of the tree on.
std::vector<std::string> Kernfs::names_to(const Node& node) const {
  std::vector<std::string> out;
  for (const Node* at = &node; at->place.kind != Place::Kind::kRoot && at->what != What::kTop;
       at = &nodes_.at(at->parent)) {
    out.push_back(at->name);
  }
  std::ranges::reverse(out);
  return out;
}

std::string Kernfs::path(const Node& node) const {
  return fmt::format("{}", fmt::join(names_to(node), "/"));
}

bool Kernfs::is_there(const DriverCore& core, const Node& node) const {
  return node.what != What::kEntry || node.kind != Entry::Kind::kDirectory ||
         Tree(core).exists(node.place);
}

/// What a file or a link of the tree is now: it has no number in the model, only its directory has.
Reply<Entry> Kernfs::entry_of(const DriverCore& core, const Node& node) const {
  if (node.what != What::kEntry) return Entry{};
  if (node.kind == Entry::Kind::kDirectory) {
    if (!is_there(core, node)) return error(ENOENT);
    return Entry{.place = node.place};
  }
  const Node& directory = nodes_.at(node.parent);
  if (!is_there(core, directory)) return error(ENOENT);
  auto entry = Tree(core).find(directory.place, node.name);
  if (!entry || entry->kind != node.kind) return error(ENOENT);
  return *std::move(entry);
}

mode_t Kernfs::type_of(What what, Entry::Kind kind) {
  if (what == What::kVfioNode) return S_IFCHR;
  if (what == What::kModules || what == What::kAliases) return S_IFREG;
  if (kind == Entry::Kind::kDirectory) return S_IFDIR;
  return kind == Entry::Kind::kLink ? S_IFLNK : S_IFREG;
}

struct stat Kernfs::status_of(DriverCore& core, const Node& node, const Entry& entry) const {
  struct stat out{};
  out.st_ino = node.inode;
  out.st_nlink = 1;
  out.st_uid = options_.uid;
  out.st_gid = options_.gid;
  out.st_blksize = kPage;
  out.st_atim = out.st_mtim = out.st_ctim = born_;
  out.st_mode = type_of(node.what, node.kind);
  if (node.what == What::kVfioNode) {
    const auto group = parse_decimal(node.name, UINT32_MAX);
    out.st_mode |= group ? 0600U : 0666U;
    out.st_rdev = group ? ::makedev(kGroupMajor, static_cast<unsigned>(*group))
                        : ::makedev(kMiscMajor, kVfioMinor);
  } else if (S_ISDIR(out.st_mode)) {
    out.st_mode |= 0755U;
    out.st_nlink = 2 + subdirectories(core, node);
  } else if (S_ISLNK(out.st_mode)) {
    out.st_mode |= 0777U;
  } else if (entry.attribute == nullptr) {
    out.st_mode |= 0444U;
    out.st_size = node.what == What::kEntry ? kPage : 0;
  } else {
    out.st_mode |= entry.attribute->mode();
    out.st_size = entry.attribute->binary ? size_of(core, entry) : kPage;
  }
  if (const auto changed = changes_.find(node.inode); changed != changes_.end()) {
    if (changed->second.mode) out.st_mode = (out.st_mode & S_IFMT) | *changed->second.mode;
    out.st_uid = changed->second.uid.value_or(out.st_uid);
    out.st_gid = changed->second.gid.value_or(out.st_gid);
  }
  return out;
}

// ---- looking up

Reply<Kernfs::Found> Kernfs::find_in_tree(const DriverCore& core, Number number, const Node& at,
                                          const std::string& name) const {
  if (at.kind != Entry::Kind::kDirectory) return error(ENOTDIR);
  if (!is_there(core, at)) return error(ENOENT);
  Found out{.node = {.parent = number, .name = name}};
  if (auto entry = Tree(core).find(at.place, name)) {
    out.node.kind = entry->kind;
    if (entry->kind == Entry::Kind::kDirectory) out.node.place = entry->place;
    out.node.inode = inode_of(*entry, at.inode, name);
    out.lasting = entry->kind == Entry::Kind::kDirectory && is_fixed(entry->place);
    out.entry = *std::move(entry);
    return out;
  }
  const std::string above = path(at);
  if (!mount_points_.contains(above.empty() ? name : above + "/" + name)) return error(ENOENT);
  out.node.what = What::kMount;
  out.node.inode = hash(at.inode, name);
  out.lasting = true;
  return out;
}

Reply<Kernfs::Found> Kernfs::find(const DriverCore& core, Number number,
                                  const std::string& name) const {
  if (name.size() > kNameMax) return error(ENAMETOOLONG);
  const Node& at = *TRY(node(number));
  Found out{.node = {.parent = number, .name = name, .inode = hash(at.inode, name)}};
  switch (at.what) {
    case What::kEntry:
      return find_in_tree(core, number, at, name);
    case What::kTop:
      out.lasting = true;
      if (name == "sys") return out;
      if (name == "vfio") return out.node.what = What::kVfio, out;
      if (name == "modules") return out.node.what = What::kModules, out;
      if (name == "modules.alias") return out.node.what = What::kAliases, out;
      return error(ENOENT);
    case What::kVfio:
      if (!contains(vfio_nodes(core), name)) return error(ENOENT);
      out.node.what = What::kVfioNode;
      return out;
    case What::kMount:
      return error(ENOENT);
    default:
      return error(ENOTDIR);
  }
}

/// The number that this thing has already; a new one for a thing that is new, and for a file whose
/// store is under way: others may write to it meanwhile, and the kernel lets only one write to each
/// number.
Kernfs::Number Kernfs::number_of(Found found, Number directory) {
  Number& number = numbers_[{directory, found.node.name}];
  if (const auto known = nodes_.find(number); known != nodes_.end()) {
    Node& node = known->second;
    if (node.what == found.node.what && node.kind == found.node.kind && node.writers == 0 &&
        same(node.place, found.node.place)) {
      ++node.references;
      return number;
    }
  }
  number = next_++;
  ++nodes_.at(directory).references;  // it is needed for as long as what is in it
  found.node.references = 1;
  nodes_.emplace(number, std::move(found.node));
  return number;
}

Reply<Kernfs::Looked> Kernfs::lookup(Number directory, const std::string& name) {
  return machine_.look([&](DriverCore& core) -> Reply<Looked> {
    Found found = TRY(find(core, directory, name));
    Looked out{.lasting = found.lasting};
    out.status = status_of(core, found.node, found.entry);
    out.number = number_of(std::move(found), directory);
    return out;
  });
}

void Kernfs::forget(Number number, std::uint64_t references) {
  machine_.look([&](DriverCore& /*core*/) {
    while (number != kRoot) {
      const auto found = nodes_.find(number);
      if (found == nodes_.end()) return;
      Node& node = found->second;
      node.references -= std::min(node.references, references);
      if (node.references > 0) return;
      const auto named = numbers_.find({node.parent, node.name});
      if (named != numbers_.end() && named->second == number) numbers_.erase(named);
      number = node.parent;
      references = 1;
      nodes_.erase(found);
    }
  });
}

Reply<struct stat> Kernfs::status(Number number) {
  return machine_.look([&](DriverCore& core) -> Reply<struct stat> {
    const Node& at = *TRY(node(number));
    const Entry entry = TRY(entry_of(core, at));
    return status_of(core, at, entry);
  });
}

bool Kernfs::make_room(const DriverCore& core) {
  if (changes_.size() < options_.most_changes) return true;
  const auto nodes = vfio_nodes(core);
  const Tree tree(core);
  std::erase_if(changes_, [&](const auto& changed) {
    const Change& change = changed.second;
    if (change.what == What::kVfioNode) return !contains(nodes, change.name);
    if (change.what != What::kEntry) return false;
    if (!tree.exists(change.place)) return true;
    return change.kind != Entry::Kind::kDirectory && !tree.find(change.place, change.name);
  });
  return changes_.size() < options_.most_changes;
}

Reply<struct stat> Kernfs::change(Number number, std::optional<mode_t> mode,
                                  std::optional<uid_t> uid, std::optional<gid_t> gid) {
  return machine_.look([&](DriverCore& core) -> Reply<struct stat> {
    const Node& at = *TRY(node(number));
    const Entry entry = TRY(entry_of(core, at));
    if (mode || uid || gid) {
      if (!changes_.contains(at.inode) && !make_room(core)) return error(ENOSPC);
      Change& change = changes_[at.inode];
      const bool directory = at.kind == Entry::Kind::kDirectory;
      change.what = at.what;
      change.kind = at.kind;
      change.place = directory ? at.place : nodes_.at(at.parent).place;
      change.name = at.name;
      if (mode) change.mode = *mode & 07777;
      if (uid) change.uid = uid;
      if (gid) change.gid = gid;
    }
    return status_of(core, at, entry);
  });
}

Reply<std::string> Kernfs::read_link(Number number) {
  return machine_.look([&](DriverCore& core) -> Reply<std::string> {
    const Node& at = *TRY(node(number));
    const Entry entry = TRY(entry_of(core, at));
    if (entry.kind != Entry::Kind::kLink) return error(EINVAL);
    return drivercore::relative_link(names_to(nodes_.at(at.parent)), Tree(core).target(entry));
  });
}

std::vector<std::string> Kernfs::names_in(const DriverCore& core, const Node& at) const {
  if (at.what == What::kTop) return {"modules", "modules.alias", "sys", "vfio"};
  if (at.what == What::kVfio) return vfio_nodes(core);
  if (at.what != What::kEntry) return {};
  auto out = Tree(core).list(at.place);
  const std::string above = path(at);
  for (const std::string& mount : mount_points_) {
    const auto slash = mount.rfind('/');
    const bool here = slash == std::string::npos ? above.empty() : mount.substr(0, slash) == above;
    const std::string name = mount.substr(slash == std::string::npos ? 0 : slash + 1);
    if (here && !contains(out, name)) out.push_back(name);
  }
  return out;
}

/// fs/kernfs/inode.c:kernfs_refresh_inode: each is a link to the directory that it is in.
nlink_t Kernfs::subdirectories(const DriverCore& core, const Node& at) const {
  if (at.what == What::kTop) return 2;
  if (at.what != What::kEntry || is_flat(at.place) || !is_there(core, at)) return 0;
  const Tree tree(core);
  const auto names = names_in(core, at);
  return static_cast<nlink_t>(std::ranges::count_if(names, [&](const std::string& name) {
    const auto entry = tree.find(at.place, name);
    return !entry || entry->kind == Entry::Kind::kDirectory;  // none: something is mounted there
  }));
}

Reply<std::vector<Kernfs::Name>> Kernfs::list(Number number) {
  return machine_.look([&](DriverCore& core) -> Reply<std::vector<Name>> {
    const Node& at = *TRY(node(number));
    if (!is_there(core, at)) return error(ENOENT);
    std::vector<Name> out;
    for (std::string& name : names_in(core, at)) {
      const auto found = find(core, number, name);
      if (!found) continue;  // a name that is longer than a path may have
      out.push_back({.name = std::move(name),
                     .inode = found->node.inode,
                     .type = type_of(found->node.what, found->node.kind)});
    }
    return out;
  });
}

// ---- open files

Reply<Kernfs::File> Kernfs::open(Number number, int flags) {
  return machine_.look([&](DriverCore& core) -> Reply<File> {
    const Node& at = *TRY(node(number));
    const bool reads = (flags & O_ACCMODE) != O_WRONLY;
    const bool writes = (flags & O_ACCMODE) != O_RDONLY;
    if (at.what == What::kModules || at.what == What::kAliases) {
      if (writes) return error(EACCES);
      return File{.number = number};
    }
    Entry entry = TRY(entry_of(core, at));
    if (entry.kind == Entry::Kind::kDirectory) return error(EISDIR);
    if (entry.kind == Entry::Kind::kLink) return error(ELOOP);
    const bool text = entry.kind == Entry::Kind::kText;
    // fs/kernfs/file.c:kernfs_fop_open asks for the mode and for a function behind it.
    if (writes && (text || entry.attribute->store == nullptr)) return error(EACCES);
    if (reads && !text && entry.attribute->show == nullptr) return error(EACCES);
    return File{
        .number = number, .entry = std::move(entry), .in = nodes_.at(at.parent).place, .text = {}};
  });
}

namespace {

/// Whether an open attribute is still that of the thing that it was opened of.
bool is_alive(const DriverCore& core, const Kernfs::File& file) {
  const Tree tree(core);
  if (!tree.exists(file.in)) return false;
  const auto* attribute = file.entry.attribute;
  // A parameter is there for as long as its module.
  return attribute == nullptr || attribute == &drivercore::parameter_attribute() ||
         drivercore::find_attribute(core, file.entry.place, attribute->name) == attribute;
}

}  // namespace

Reply<std::string> Kernfs::read(File& file, std::size_t size, off_t offset) {
  return machine_.look([&](DriverCore& core) -> Reply<std::string> {
    const Node& at = *TRY(node(file.number));
    if (at.what == What::kEntry && !is_alive(core, file)) return error(ENODEV);
    const auto* attribute = file.entry.attribute;
    const bool binary = attribute != nullptr && attribute->binary;
    if (!file.text || offset == 0 || binary) {
      if (at.what == What::kModules) {
        file.text = proc_modules(core);
      } else if (at.what == What::kAliases) {
        file.text = drivercore::model_modules(core)->aliases();
      } else if (attribute == nullptr) {
        file.text = file.entry.text;
      } else {
        file.text = TRY(drivercore::show_attribute(core, file.entry.place, *attribute));
      }
    }
    if (offset < 0 || static_cast<std::size_t>(offset) >= file.text->size()) return std::string();
    return file.text->substr(static_cast<std::size_t>(offset), size);
  });
}

Reply<std::size_t> Kernfs::write(File& file, std::string_view bytes, off_t /*offset*/) {
  return machine_.run([&](DriverCore& core) -> Reply<std::size_t> {
    if (file.entry.attribute == nullptr) return error(EACCES);
    const auto at = nodes_.find(file.number);
    std::string where;
    if (at != nodes_.end() && options_.on_write)
      where = fmt::format("{}/{}", path(nodes_.at(at->second.parent)), at->second.name);
    const auto told = [&](Reply<std::size_t> out) {
      if (!options_.on_write) return out;
      options_.on_write(Operation{.kind = Operation::Kind::kWrite,
                                  .path = where,
                                  .bytes = std::string(trim_newline(bytes)),
                                  .err = out ? Errno{} : out.error()}
                            .str());
      return out;
    };
    if (!is_alive(core, file)) return told(error(ENODEV));
    const auto writers = [&](int difference) {
      const auto found = nodes_.find(file.number);
      if (found != nodes_.end()) found->second.writers += static_cast<unsigned>(difference);
    };
    writers(+1);
    const auto out =
        drivercore::store_attribute(core, file.entry.place, *file.entry.attribute, bytes);
    writers(-1);
    return told(out);
  });
}

}  // namespace anybind::lab
