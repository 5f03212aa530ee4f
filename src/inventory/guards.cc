#include "inventory/guards.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>

#include <fmt/format.h>

#include "base/text.h"
#include "inventory/interface.h"

namespace anybind {
namespace {

constexpr std::size_t kMostLayers = 64;  // of block devices stacked on one disk

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

template <class F>
void each_line(std::string_view text, F&& f) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    f(words_of(text.substr(0, end)));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
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

/// One file system in one mount namespace.
struct Mount {
  std::string number;  ///< "8:1"; of btrfs and others an invented one
  std::string source;  ///< "/dev/sda1"
  std::string where;
  std::string pid;  ///< a process that sees it
};

/// A process's view of the mounts: linux fs/proc_namespace.c:show_mountinfo.
void add_mounts(std::string_view text, const std::string& pid, std::vector<Mount>& out) {
  each_line(text, [&](const std::vector<std::string_view>& words) {
    if (words.size() < 9) return;
    const auto dash = std::find(words.begin() + 6, words.end(), std::string_view("-"));
    if (words.end() - dash < 3) return;
    out.push_back({.number = std::string(words[2]),
                   .source = std::string(dash[2]),
                   .where = std::string(words[4]),
                   .pid = pid});
  });
}

/// The mounts of every mount namespace that can be seen, each namespace once.
std::vector<Mount> read_mounts(const Proc& proc) {
  std::vector<Mount> out;
  std::set<std::string> seen;
  for (const std::string& pid : proc.processes()) {
    const auto ns = proc.read_link(pid + "/ns/mnt");
    if (!ns || !seen.insert(*ns).second) continue;
    if (const auto text = proc.read(pid + "/mountinfo")) add_mounts(*text, pid, out);
  }
  if (!seen.empty()) return out;
  if (const auto text = proc.read("self/mountinfo")) add_mounts(*text, "self", out);
  return out;
}

/// What /proc tells, read when first asked for.
class Proced {
 public:
  explicit Proced(const Proc& proc) : proc_(proc) {}
  const std::vector<Mount>& mounts() {
    if (!mounts_) mounts_ = read_mounts(proc_);
    return *mounts_;
  }
  const std::string& file(std::optional<std::string>& cache, std::string_view path) {
    if (!cache) cache = proc_.read(path).value_or("");
    return *cache;
  }
  const std::string& swaps() { return file(swaps_, "swaps"); }
  const std::string& routes() { return file(routes_, "net/route"); }
  const std::string& addresses6() { return file(addresses6_, "net/if_inet6"); }

 private:
  const Proc& proc_;
  std::optional<std::vector<Mount>> mounts_;
  std::optional<std::string> swaps_;
  std::optional<std::string> routes_;
  std::optional<std::string> addresses6_;
};

/// A disk, a partition, or something stacked on one.
struct Layer {
  std::string name;    ///< "sda1", "dm-0"
  std::string number;  ///< "8:1"
  std::string mapper;  ///< the name of a dm device
};

/// A disk and all that stands on it, by its partitions and `holders`.
std::vector<Layer> layers_of(Sysfs& root, const std::string& disk) {
  std::vector<Layer> out;
  std::set<std::string> seen;
  std::vector<std::string> todo = {disk};
  while (!todo.empty() && seen.size() < kMostLayers) {
    const std::string name = todo.back();
    todo.pop_back();
    if (!is_sysfs_name(name) || !seen.insert(name).second) continue;
    const std::string dir = "class/block/" + name;
    out.push_back({.name = name,
                   .number = attribute(root, fmt::format("{}/dev", dir)),
                   .mapper = attribute(root, dir + "/dm/name")});
    for (const std::string& holder : entries(root, dir + "/holders")) todo.push_back(holder);
    for (const std::string& part : entries(root, dir)) {
      if (part.starts_with(name) && root.read(fmt::format("{}/{}/partition", dir, part)))
        todo.push_back(part);
    }
  }
  return out;
}

bool is_source(std::string_view source, const Layer& layer) {
  if (!source.starts_with('/')) return false;
  return link_name(source) == layer.name ||
         (!layer.mapper.empty() && link_name(source) == layer.mapper);
}

class Finder {
 public:
  Finder(Sysfs& root, const Proc& proc) : root_(root), proc_(proc) {}

  void look_at(const DeviceId& device, const std::vector<std::string>& interfaces) {
    device_ = &device;
    for (const std::string& interface : interfaces) {
      const auto colon = interface.find(':');
      const std::string name = interface.substr(colon + 1);
      if (interface.starts_with("net:")) look_at_net(name);
      if (interface.starts_with("block:")) look_at_disk(name);
    }
    if (device.bus.str() == "pci") look_at_function();
  }
  [[nodiscard]] std::vector<Blocker> found() && { return std::move(found_); }

 private:
  void add(std::string name, std::string who, std::string next) {
    Blocker blocker{.device = *device_,
                    .name = std::move(name),
                    .who = std::move(who),
                    .next = std::move(next)};
    if (std::ranges::find(found_, blocker) == found_.end()) found_.push_back(std::move(blocker));
  }

  void look_at_net(const std::string& name) {
    const std::string dir = "class/net/" + name;
    for (const std::string& entry : entries(root_, dir)) {
      if (!entry.starts_with("upper_")) continue;
      add("interface-member", fmt::format("{} is under {}", name, entry.substr(6)),
          fmt::format("ip link set {} nomaster, or ip link del {}", shell_quote(name),
                      shell_quote(entry.substr(6))));
    }
    const auto flags = attribute(root_, dir + "/flags");
    const auto bits = parse_hex(flags, UINT32_MAX);
    if (!bits || (*bits & 1U) == 0) return;  // IFF_UP
    const std::string next = fmt::format("ip link set {} down", shell_quote(name));
    bool routed = false;
    each_line(proc_.routes(), [&](const std::vector<std::string_view>& words) {
      if (words.size() < 8 || words[0] != name) return;
      if (words[1] == "00000000" && words[7] == "00000000") {
        add("default-route", name + " has the default route", next);
      }
      routed = true;
    });
    each_line(proc_.addresses6(), [&](const std::vector<std::string_view>& words) {
      // Scope 0 is global; every interface that is up gives itself one of scope 20 (link).
      if (words.size() == 6 && words[5] == name && words[3] == "00") routed = true;
    });
    if (routed) add("interface-up", name + " is up and has addresses or routes", next);
  }

  void look_at_disk(const std::string& disk) {
    for (const Layer& layer : layers_of(root_, disk)) {
      for (const std::string& holder : entries(root_, "class/block/" + layer.name + "/holders")) {
        const std::string mapper = attribute(root_, "class/block/" + holder + "/dm/name");
        const std::string next =
            mapper.empty() ? "stop " + holder + " first" : "dmsetup remove " + shell_quote(mapper);
        add("holder",
            fmt::format("{} is part of {}{}", layer.name, holder,
                        mapper.empty() ? "" : " (" + mapper + ")"),
            next);
      }
      look_at_mounts(layer);
      look_at_swap(layer);
    }
  }

  void look_at_mounts(const Layer& layer) {
    for (const Mount& mount : proc_.mounts()) {
      const bool same = !layer.number.empty() && mount.number == layer.number;
      if (!same && !is_source(mount.source, layer)) continue;
      const bool is_root = mount.where == "/";
      add(is_root ? "root-filesystem" : "mounted",
          fmt::format("{} is mounted at {} (as process {} sees it)", layer.name, mount.where,
                      mount.pid),
          is_root ? "another disk must hold the root file system"
                  : "umount " + shell_quote(mount.where));
    }
  }

  void look_at_swap(const Layer& layer) {
    each_line(proc_.swaps(), [&](const std::vector<std::string_view>& words) {
      if (words.size() < 2 || words[1] != "partition" || !is_source(words[0], layer)) return;
      add("swap", layer.name + " is used for swap", "swapoff " + shell_quote(words[0]));
    });
  }

  void look_at_function() {
    const std::string dir = device_->path();
    if (attribute(root_, dir + "/boot_vga") == "1") {
      add("boot-display", "it is the display that the firmware used",
          "use another display, or none");
    }
    const std::string count = attribute(root_, dir + "/sriov_numvfs");
    if (count.empty() || count == "0") return;
    for (const std::string& entry : entries(root_, dir)) {
      if (!entry.starts_with("virtfn")) continue;
      const auto driver = root_.read_link(fmt::format("{}/{}/driver", dir, entry));
      if (!driver) continue;
      add("vf-in-use",
          fmt::format("its virtual function {} is on {}", entry.substr(6), link_name(*driver)),
          "unbind its virtual functions first");
    }
  }

  Sysfs& root_;
  Proced proc_;
  const DeviceId* device_ = nullptr;
  std::vector<Blocker> found_;
};

}  // namespace

const std::vector<std::string>& guard_names() {
  static const std::vector<std::string> kNames = {"boot-display",     "default-route", "holder",
                                                  "interface-member", "interface-up",  "mounted",
                                                  "root-filesystem",  "swap",          "vf-in-use"};
  return kNames;
}

std::vector<Blocker> find_blockers(Sysfs& root, const Proc& proc,
                                   const std::vector<DeviceId>& devices) {
  if (devices.empty()) return {};
  const Users users = read_users(root);
  Finder finder(root, proc);
  for (const DeviceId& device : devices) {
    const auto found = users.find(device);
    finder.look_at(device, found == users.end() ? std::vector<std::string>{} : found->second);
  }
  return std::move(finder).found();
}

}  // namespace anybind
