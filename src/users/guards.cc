// Who uses a device. From the users to the devices, not the other way round: the classes of sysfs
// and dev/char are small, and each of their entries is a link whose text is the path through all
// devices above it. So one look at them finds everything that hangs on any of the devices, however
// deep: a disk behind a hub behind a USB controller, a card behind a bridge.
//
// The kernel does not ask anybody before it takes a driver away: `unbind` of a disk with a mounted
// file system succeeds, and the file system is gone. Only VFIO's unbind waits for its user, and
// that wait cannot be ended (kernel-facts: finding 7). So the question has to be asked here, and
// right before the write, as an answer is old at once.
//
// What can go wrong is to miss a use, and to see one that is none. To miss one loses data, so every
// namespace of mounts and of networks is looked at, and what could not be looked at is told
// (InUse::unseen), not taken for unused. To see too many makes people ignore all of them. So each
// guard has a name and can be ignored by itself, says who it is and what would free the device, and
// a device on a driver for user space counts as used only when its VFIO files are open.
//
// A guard that cannot read its file finds nothing. That is no reason to refuse: without /proc, or
// in a lab, nobody is there to be found.
#include "users/guards.h"

#include <algorithm>
#include <array>
#include <iterator>

#include <fmt/format.h>

#include "base/check.h"
#include "base/text.h"
#include "inventory/group.h"
#include "inventory/net_interface.h"
#include "inventory/vfio_driver.h"
#include "inventory/vfio_node.h"
#include "inventory/vfio_refusal.h"
#include "users/guard_target.h"

namespace anybind {
namespace guards {

void Findings::add(const Target& target, std::string_view name, std::string who, Remark advice) {
  Found& found = by_place_[target.place];
  Blocker blocker{.device = target.device,
                  .name = std::string(name),
                  .who = std::move(who),
                  .advice = std::move(advice)};
  if (std::ranges::find(found.blockers, blocker) != found.blockers.end()) return;
  if (++found.count[blocker.name] <= kMostOfAKind) found.blockers.push_back(std::move(blocker));
}

std::vector<Blocker> Findings::take() && {
  std::vector<Blocker> out;
  for (auto& [place, found] : by_place_) {
    for (Blocker& blocker : found.blockers) out.push_back(std::move(blocker));
    for (const auto& [name, count] : found.count) {
      if (count <= kMostOfAKind) continue;
      const auto last = std::ranges::find(out.rbegin(), out.rend(), name, &Blocker::name);
      CHECK(last != out.rend(), "of a kind that was counted too often some were kept");
      last->who += fmt::format(", and {} more like that", count - kMostOfAKind);
    }
  }
  return out;
}

bool contains(const std::vector<std::string>& list, std::string_view word) {
  return std::ranges::find(list, word) != list.end();
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> out;
  while (!line.empty()) {
    const auto start = line.find_first_not_of(" \t");
    if (start == std::string_view::npos) break;
    line.remove_prefix(start);
    const auto end = std::min(line.find_first_of(" \t"), line.size());
    out.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
  return out;
}

std::string attribute(Sysfs& root, const std::string& path) {
  const auto text = root.read(path);
  return text ? std::string(trim_newline(*text)) : "";
}

std::vector<std::string> entries(Sysfs& root, const std::string& path) {
  auto out = root.list(path).value_or(std::vector<std::string>{});
  std::ranges::sort(out);
  return out;
}

std::string_view real_of(std::string_view link) {
  while (link.starts_with("../")) link.remove_prefix(3);
  return link.starts_with("devices/") ? link : std::string_view{};
}

Tree::Tree(std::vector<Target>& targets) {
  for (Target& target : targets) by_path_.emplace(target.real, &target);
}

}  // namespace guards

namespace {

using guards::Findings;
using guards::Target;
using guards::Tree;

/// Calls `f` with each entry of a directory of links that is at or below one of the targets.
template <class F>
void each_below(Sysfs& root, const char* path, const Tree& tree, F&& f) {
  const auto dir = root.open_dir(path);
  if (!dir) return;
  for (const std::string& name : guards::entries(**dir, "")) {
    const auto link = (*dir)->read_link(name);
    if (!link) continue;
    const std::string_view real = guards::real_of(*link);
    tree.each_above(real, [&](Target& target) { f(target, name, real); });
  }
}

/// A namespace of an NVMe subsystem with several controllers hangs on none of them in the tree.
void add_shared_disks(Sysfs& root, const Tree& tree) {
  const auto dir = root.open_dir("class/block");
  if (!dir) return;
  for (const std::string& name : guards::entries(**dir, "")) {
    const auto link = name.starts_with("nvme") ? (*dir)->read_link(name) : Reply<std::string>("");
    if (!link || !link->contains("/nvme-subsystem/")) continue;
    for (const std::string& path : nvme_paths(root, std::string(guards::real_of(*link)))) {
      tree.each_above(path, [&](Target& target) { target.disks.push_back(name); });
    }
  }
}

/// The name that udev would give the node of a link of dev/.
std::string node_name(Sysfs& root, std::string_view real) {
  const auto uevent = root.read(std::string(real) + "/uevent").value_or("");
  constexpr std::string_view kKey = "DEVNAME=";
  const auto at = uevent.starts_with(kKey) ? 0 : uevent.find(fmt::format("\n{}", kKey));
  if (at == std::string::npos) return std::string(link_name(real));
  const auto start = uevent.find('=', at) + 1;
  return fmt::format("{}{}", guards::kDev, uevent.substr(start, uevent.find('\n', start) - start));
}

void collect(Sysfs& root, const Tree& tree) {
  using Text = const std::string&;
  each_below(root, "class/net", tree,
             [](Target& it, Text name, std::string_view) { it.interfaces.push_back(name); });
  each_below(root, "class/block", tree,
             [](Target& it, Text name, std::string_view) { it.disks.push_back(name); });
  add_shared_disks(root, tree);
  each_below(root, "class/graphics", tree,
             [](Target& it, Text name, std::string_view) { it.displays.push_back(name); });
  each_below(root, "class/input", tree,
             [](Target& it, Text name, std::string_view) { it.inputs.push_back(name); });
  each_below(root, "dev/char", tree, [&](Target& it, Text name, std::string_view real) {
    const auto number = parse_node_number(name, false);
    if (number) it.nodes.emplace(*number, node_name(root, real));
    if (real.contains("/tty/")) it.ports.emplace_back(link_name(real));
  });
}

}  // namespace

std::string unseen_words(std::size_t processes) {
  return fmt::format("the open files of {} process{} could not be looked at", processes,
                     processes == 1 ? "" : "es");
}

const std::vector<std::string>& guard_names() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> out = {
        "boot-display", "bridge",         "console", "default-route",   "holder",
        "input",        "interface-up",   "loop",    "mounted",         "interface-member",
        "open",         "interface-away", "swap",    "root-filesystem", "zfs",
        "vf-in-use",    "vfio-user",      "login",   "tsm-bound",       "libvirt"};
    std::ranges::copy(vfio_guard_names(), std::back_inserter(out));
    return out;
  }();
  return kNames;
}

namespace {

/// Beside what can be seen.
struct Told {
  std::string_view login{};
  const DeclaredUsers* declared = nullptr;
  std::vector<LibvirtDomain> domains{};
};

InUse find_all(Sysfs& root, const Proc& proc, const std::vector<Asked>& devices, const Told& told) {
  // The tree of those that a host driver has; the others have nothing but their VFIO files.
  std::vector<Target> hosts;
  std::vector<Target> others;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    const auto& [device, dir] = devices[i];
    Target target{.device = device, .place = i, .dir = dir, .real = device.path()};
    const auto link = dir ? dir->read_link("driver") : root.read_link(target.real + "/driver");
    if (auto driver = DriverName::parse(link ? link_name(*link) : "")) target.driver = *driver;
    const bool host = target.driver && !is_for_user_space(target.driver->str());
    if (host) target.real = read_syspath(root, device);
    (host ? hosts : others).push_back(std::move(target));
  }
  Findings found;
  InUse out;
  if (!hosts.empty()) {
    const Tree tree(hosts);
    collect(root, tree);
    guards::look_at_interfaces(root, proc, hosts, told.login, found);
    guards::look_at_other_namespaces(proc, tree, found);
    guards::look_at_disks(root, proc, hosts, found);
    for (const Target& target : hosts) guards::look_at_display(root, target, found);
  }
  const auto has_nodes = [](const Target& target) { return !target.nodes.empty(); };
  const auto has_driver = [](const Target& target) { return target.driver.has_value(); };
  if (std::ranges::any_of(hosts, has_nodes) || std::ranges::any_of(others, has_driver)) {
    const guards::OpenFiles open = guards::read_open_files(proc);
    out.unseen = open.unseen;
    // Mostly none is open at all, and then no device needs to be asked for its own.
    if (guards::has_vfio_files(proc, open)) {
      for (Target& target : others) {
        if (!target.driver) continue;
        target.real = read_syspath(root, target.device);
        for (const VfioNode& node : vfio_nodes(root, target.real))
          target.vfio.emplace(node.number, fmt::format("{}{}", guards::kDev, node.path));
      }
    }
    guards::look_at_open_nodes(proc, open, hosts, found);
    guards::look_at_open_nodes(proc, open, others, found);
  }
  if (told.declared != nullptr)
    guards::look_at_declared(root, *told.declared, Tree(hosts), others, found);
  guards::look_at_domains(told.domains, hosts, found);
  guards::look_at_domains(told.domains, others, found);
  for (const Target& target : hosts) guards::look_at_functions(root, target, found);
  for (const Target& target : others) guards::look_at_functions(root, target, found);
  out.blockers = std::move(found).take();
  return out;
}

}  // namespace

InUse find_blockers(const Host& host, const std::vector<Asked>& devices) {
  if (!host.has_users) return {};
  return find_all(
      host.sysfs, host.proc, devices,
      {.login = host.login, .declared = host.declared, .domains = running_domains(host.run)});
}

InUse find_blockers(Sysfs& root, const Proc& proc, const std::vector<Asked>& devices) {
  return find_all(root, proc, devices, {});
}

InUse find_blockers(Sysfs& root, const Proc& proc, const std::vector<DeviceId>& devices) {
  std::vector<Asked> asked;
  asked.reserve(devices.size());
  for (const DeviceId& device : devices) asked.push_back({device});
  return find_blockers(root, proc, asked);
}

}  // namespace anybind
