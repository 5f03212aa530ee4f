// From interfaces to devices, not the other way round: the classes of sysfs are small, and each of
// their entries is a link whose text is the path through all devices above it. Walking the
// directory of every device for a `net` or `block` in it would cost much more on a machine with
// thousands of functions.
#include "inventory/net_interface.h"
#include "base/try.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>
#include <span>

#include <fmt/format.h>

namespace anybind {
namespace {

constexpr int kMaxLinks = 40;

/// Classes whose entries people know a device by.
constexpr std::array<std::string_view, 10> kKnownBy = {
    "net", "nvme", "block", "drm", "graphics", "sound", "infiniband", "tty", "tpm", "vfio-dev"};

constexpr std::size_t kNamed = 4;  // of them people say the names of the first so many

/// Buses made up by a controller's own driver: what hangs there goes when the controller does.
constexpr std::array<std::string_view, 5> kMadeByDriver = {"virtio", "scsi", "auxiliary", "mmc",
                                                           "serial-base"};

std::string_view parent_of(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

/// `path` with `target`, the text of a link that stands in it, applied. EXDEV when that leaves the
/// tree.
Reply<std::string> resolve(std::string_view path, std::string_view target) {
  if (target.starts_with('/')) return std::unexpected(Errno{EXDEV});
  std::string out(path);
  while (!target.empty()) {
    const auto slash = target.find('/');
    const std::string_view part = target.substr(0, slash);
    target.remove_prefix(slash == std::string_view::npos ? target.size() : slash + 1);
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      out += (out.empty() ? "" : "/") + std::string(part);
    } else if (out.empty()) {
      return std::unexpected(Errno{EXDEV});
    } else {
      out.resize(parent_of(out).size());
    }
  }
  return out;
}

/// The real path behind a link, where the directory that it stands in is real.
Reply<std::string> follow(Sysfs& root, std::string_view link) {
  const std::string target = TRY(root.read_link(link));
  return resolve(parent_of(link), target);
}

/// The device whose own directory is `path`.
std::optional<DeviceId> device_at(Sysfs& root, std::string_view path) {
  auto name = DeviceName::parse(link_name(path));
  if (!name) return std::nullopt;
  const auto address = PciAddress::parse(name->str());
  if (address && address->function && address->str() == name->str()) {
    return DeviceId{.bus = BusName::literal("pci"), .name = *std::move(name)};
  }
  const auto subsystem = root.read_link(std::string(path) + "/subsystem");
  if (!subsystem || link_name(parent_of(*subsystem)) != "bus") return std::nullopt;
  auto bus = BusName::parse(link_name(*subsystem));
  if (!bus) return std::nullopt;
  return DeviceId{.bus = *std::move(bus), .name = *std::move(name)};
}

/// Everything that class/CLASS/NAME hangs on.
std::vector<DeviceId> devices_of(Sysfs& root, const std::string& real) {
  std::vector<std::string> paths = nvme_paths(root, real);
  if (paths.empty()) paths.push_back(real);
  std::vector<DeviceId> out;
  for (const std::string& path : paths) {
    const auto above = devices_above(root, path);
    out.insert(out.end(), above.begin(), above.end());
  }
  return out;
}

/// A thing of its own, and not a part of another of the same class: a partition, a connector of a
/// graphics card, a stream of a sound card.
bool is_whole(std::string_view kind, std::string_view real, const std::set<std::string>& names) {
  const std::string_view parent = link_name(parent_of(real));
  return kind == "block" ? !names.contains(std::string(parent)) : parent == kind;
}

/// One entry of a class that hangs on a device, or on none.
struct Interface {
  std::string_view kind;
  std::string name;
  std::string real;
};

std::vector<Interface> read_interfaces(Sysfs& root, std::span<const std::string_view> kinds) {
  std::vector<Interface> out;
  for (const std::string_view kind : kinds) {
    const auto list = root.list(fmt::format("class/{}", kind)).value_or(std::vector<std::string>{});
    const std::set<std::string> names(list.begin(), list.end());
    for (const std::string& name : names) {
      auto real = follow(root, fmt::format("class/{}/{}", kind, name));
      if (!real || !is_whole(kind, *real, names)) continue;
      out.push_back({.kind = kind, .name = name, .real = *std::move(real)});
    }
  }
  return out;
}

/// "eth0" of "net:eth0", as read_users() writes it.
std::string_view name_in(std::string_view interface) {
  return interface.substr(std::min(interface.find(':') + 1, interface.size()));
}

/// Than another of the same device: a controller than its disk, a render node than its card.
bool says_less(std::string_view interface, const std::vector<std::string>& of_device) {
  const auto has = [&](std::string_view beginning) {
    return std::ranges::any_of(
        of_device, [&](const std::string& other) { return other.starts_with(beginning); });
  };
  if (interface.starts_with("nvme:")) return has(fmt::format("block:{}n", name_in(interface)));
  return interface.starts_with("drm:") && !interface.starts_with("drm:card") && has("drm:card");
}

UsersByDevice users_of(Sysfs& root, std::span<const std::string_view> kinds) {
  UsersByDevice out;
  for (const Interface& interface : read_interfaces(root, kinds)) {
    for (const DeviceId& id : devices_of(root, interface.real)) {
      out[id].push_back(fmt::format("{}:{}", interface.kind, interface.name));
    }
  }
  for (auto& [id, names] : out) {
    std::ranges::sort(names);
    const auto twice = std::ranges::unique(names);
    names.erase(twice.begin(), twice.end());
  }
  return out;
}

bool made_by_driver(const DeviceId& id) {
  return std::ranges::find(kMadeByDriver, id.bus.str()) != kMadeByDriver.end();
}

}  // namespace

Reply<std::string> real_path(Sysfs& root, std::string_view path) {
  std::string done;
  std::string todo(path);
  for (int links = 0; !todo.empty();) {
    const auto slash = todo.find('/');
    const std::string part = todo.substr(0, slash);
    todo.erase(0, slash == std::string::npos ? todo.size() : slash + 1);
    const std::string here = TRY(resolve(done, part));
    const auto target =
        here.empty() ? Reply<std::string>(std::unexpected(Errno{EINVAL})) : root.read_link(here);
    if (!target && target.error().value != EINVAL) return std::unexpected(target.error());
    if (!target) {
      done = here;
      continue;
    }
    if (++links > kMaxLinks) return std::unexpected(Errno{ELOOP});
    if (target->starts_with('/')) return std::unexpected(Errno{EXDEV});
    todo.insert(0, *target + "/");
  }
  return done;
}

std::string read_syspath(Sysfs& root, const DeviceId& id) {
  return follow(root, id.path()).value_or(id.path());
}

std::vector<std::string> nvme_paths(Sysfs& root, const std::string& path) {
  const std::string_view subsystem = parent_of(path);
  if (link_name(parent_of(subsystem)) != "nvme-subsystem") return {};
  std::vector<std::string> out;
  auto entries = root.list(subsystem).value_or(std::vector<std::string>{});
  std::ranges::sort(entries);
  for (const std::string& entry : entries) {
    if (!entry.starts_with("nvme")) continue;
    if (auto real = follow(root, fmt::format("{}/{}", subsystem, entry)))
      out.push_back(*std::move(real));
  }
  return out;
}

std::vector<DeviceId> devices_above(Sysfs& root, std::string_view real_path) {
  std::vector<DeviceId> out;
  for (; !real_path.empty(); real_path = parent_of(real_path)) {
    auto id = device_at(root, real_path);
    if (!id) continue;
    out.push_back(*std::move(id));
    if (!made_by_driver(out.back())) break;
  }
  return out;
}

UsersByDevice read_users(Sysfs& root) {
  return users_of(root, kKnownBy);
}

NamesByDevice read_names(Sysfs& root) {
  NamesByDevice out;
  for (const auto& [id, interfaces] : users_of(root, std::span(kKnownBy).first(kNamed))) {
    for (const std::string_view interface : interfaces) {
      if (!says_less(interface, interfaces)) out[id].emplace_back(name_in(interface));
    }
  }
  return out;
}

std::vector<DeviceId> devices_behind(Sysfs& root, std::string_view interface) {
  if (!is_sysfs_name(interface)) return {};
  for (const std::string_view kind : kKnownBy) {
    const auto real = follow(root, fmt::format("class/{}/{}", kind, interface));
    if (!real) continue;
    std::vector<DeviceId> found = devices_of(root, *real);
    std::erase_if(found, made_by_driver);
    if (!found.empty()) return found;
  }
  return {};
}

std::vector<std::string> read_interface_names(Sysfs& root) {
  std::vector<std::string> out;
  for (Interface& interface : read_interfaces(root, kKnownBy))
    out.push_back(std::move(interface.name));
  return out;
}

}  // namespace anybind
