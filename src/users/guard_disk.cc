// Disks in use: mounted, swap, or part of something, through every layer.
#include <algorithm>
#include <cerrno>
#include <set>

#include <fmt/format.h>

#include "base/text.h"
#include "users/guard_target.h"

namespace anybind::guards {
namespace {

constexpr std::size_t kMostLayers = 256;  // of block devices stacked on one device's disks

/// A disk, a partition, or something stacked on one.
struct Layer {
  std::string name;    ///< "sda1", "dm-0"
  std::string number;  ///< "8:1"
  std::string mapper;  ///< the name of a dm device
};

/// What else there is on the machine, read once.
struct Others {
  std::vector<Mount> mounts;
  std::string swaps;
  std::vector<std::string> pools;               ///< ZFS
  std::map<std::string, std::string> loops;     ///< loop device, file or device behind it
  std::vector<std::vector<std::string>> btrfs;  ///< names of the members of each
};

Others read_others(Sysfs& root, const Proc& proc) {
  Others out{.mounts = read_mounts(proc), .swaps = proc.read("swaps").value_or("")};
  for (const std::string& name : proc.list("spl/kstat/zfs").value_or(std::vector<std::string>{})) {
    if (proc.read("spl/kstat/zfs/" + name + "/state")) out.pools.push_back(name);
  }
  for (const std::string& name : entries(root, "class/block")) {
    if (!name.starts_with("loop")) continue;
    std::string file = attribute(root, fmt::format("class/block/{}/loop/backing_file", name));
    if (!file.empty()) out.loops.emplace(name, std::move(file));
  }
  for (const std::string& name : entries(root, "fs/btrfs")) {
    auto members = entries(root, "fs/btrfs/" + name + "/devices");
    if (members.size() > 1) out.btrfs.push_back(std::move(members));
  }
  return out;
}

bool is_source(std::string_view source, const Layer& layer) {
  if (!source.starts_with('/')) return false;
  return link_name(source) == layer.name ||
         (!layer.mapper.empty() && link_name(source) == layer.mapper);
}

/// The disks and all that stands on them, by their partitions, `holders` and loop devices.
std::vector<Layer> layers_of(Sysfs& root, const Others& others, std::vector<std::string> todo) {
  std::vector<Layer> out;
  std::set<std::string> seen;
  std::ranges::reverse(todo);
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
    for (const auto& [loop, file] : others.loops) {
      if (is_source(file, out.back())) todo.push_back(loop);
    }
  }
  return out;
}

/// "vg" of "vg-root": LVM writes a '-' in a name twice.
std::string volume_group(const std::string& mapper) {
  std::string out;
  for (std::size_t i = 0; i < mapper.size(); ++i) {
    if (mapper[i] == '-') {
      if (i + 1 == mapper.size() || mapper[i + 1] != '-') break;
      ++i;
    }
    out += mapper[i];
  }
  return out;
}

/// What takes a holder away.
std::string advice(Sysfs& root, const std::string& holder, const std::string& mapper) {
  const std::string dir = "class/block/" + holder;
  const std::string uuid = attribute(root, dir + "/dm/uuid");
  const std::string name = shell_quote(mapper);
  if (uuid.starts_with("LVM-")) return "vgchange -an " + shell_quote(volume_group(mapper));
  if (uuid.starts_with("CRYPT-")) return "cryptsetup close " + name;
  if (uuid.starts_with("mpath-")) return "multipath -f " + name;
  if (!mapper.empty()) return "dmsetup remove " + name;
  if (root.read(dir + "/md/level"))
    // not advice: mdadm's option
    return fmt::format("mdadm --stop {}{}", kDev, shell_quote(holder));
  if (holder.starts_with("bcache"))
    return fmt::format("echo 1 > /sys/block/{}/bcache/stop", shell_quote(holder));
  return fmt::format("stop {} first", holder);
}

/// One target against all of it.
class Disks {
 public:
  Disks(Sysfs& root, const Others& others, Target& target, Findings& out)
      : root_(root), others_(others), target_(target), out_(out) {}

  void look() {
    const auto layers = layers_of(root_, others_, target_.disks);
    for (const Layer& layer : layers) {
      if (const auto number = parse_node_number(layer.number, true)) {
        target_.nodes.emplace(*number, fmt::format("{}{}", kDev, layer.name));
      }
      look_at_holders(layer);
      look_at_mounts(layer);
      look_at_swap(layer);
      look_at_loops(layer);
      look_at_zfs(layer);
    }
  }

 private:
  void look_at_holders(const Layer& layer) {
    for (const std::string& holder : entries(root_, "class/block/" + layer.name + "/holders")) {
      const std::string mapper = attribute(root_, "class/block/" + holder + "/dm/name");
      out_.add(target_, "holder",
               fmt::format("{} is part of {}{}", layer.name, holder,
                           mapper.empty() ? "" : " (" + mapper + ")"),
               advice(root_, holder, mapper));
    }
  }

  [[nodiscard]] bool is_on(const Mount& mount, const Layer& layer) const {
    if (!layer.number.empty() && mount.number == layer.number) return true;
    if (is_source(mount.source, layer)) return true;
    if (mount.type != "btrfs") return false;
    // Of a file system on several disks the mount names one.
    return std::ranges::any_of(others_.btrfs, [&](const std::vector<std::string>& members) {
      return contains(members, layer.name) && contains(members, link_name(mount.source));
    });
  }

  void look_at_mounts(const Layer& layer) {
    for (const Mount& mount : others_.mounts) {
      if (!is_on(mount, layer) || !seen_.insert({layer.name, mount.where}).second) continue;
      const bool is_root = mount.where == "/";
      const std::string enter = mount.here ? "" : fmt::format("nsenter -t {} -m ", mount.pid);
      out_.add(target_, is_root ? "root-filesystem" : "mounted",
               fmt::format("{} is mounted at {}{}", layer.name, mount.where,
                           mount.here ? "" : fmt::format(" for process {}", mount.pid)),
               is_root ? "another disk must hold the root file system"
                       : enter + "umount " + shell_quote(mount.where));
    }
  }

  void look_at_swap(const Layer& layer) {
    each_line(others_.swaps, [&](const std::vector<std::string_view>& words) {
      if (words.size() < 2 || words[1] != "partition" || !is_source(words[0], layer)) return;
      out_.add(target_, "swap", layer.name + " is used for swap",
               "swapoff " + shell_quote(words[0]));
    });
  }

  void look_at_loops(const Layer& layer) {
    for (const auto& [loop, file] : others_.loops) {
      if (!is_source(file, layer)) continue;
      out_.add(target_, "loop", fmt::format("{} is made of {}", loop, layer.name),
               fmt::format("losetup -d {}{}", kDev, shell_quote(loop)));
    }
  }

  /// The kernel does not show which disks a pool is made of; only the name that zpool gives a
  /// partition tells.
  void look_at_zfs(const Layer& layer) {
    if (others_.pools.empty()) return;
    const auto uevent = root_.read("class/block/" + layer.name + "/uevent");
    const bool is_known = uevent || uevent.error().value != ETIMEDOUT;
    if (is_known && !uevent.value_or("").contains("PARTNAME=zfs")) return;
    out_.add(target_, "zfs",
             fmt::format("{} is a ZFS partition, perhaps of an imported pool: {}", layer.name,
                         join_words(others_.pools, "or")),
             "zpool export " + shell_quote(others_.pools.front()));
  }

  Sysfs& root_;
  const Others& others_;
  Target& target_;
  Findings& out_;
  std::set<std::pair<std::string, std::string>> seen_;
};

/// "\040" for a blank, as the kernel writes names: linux fs/seq_file.c:mangle_path.
std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digits = text.substr(std::min(i + 1, text.size()), 3);
    const bool is_octal = text[i] == '\\' && digits.size() == 3 && digits[0] <= '3' &&
                          std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '7'; });
    if (!is_octal) {
      out += text[i];
      continue;
    }
    out += static_cast<char>((digits[0] - '0') * 64 + (digits[1] - '0') * 8 + (digits[2] - '0'));
    i += 3;
  }
  return out;
}

}  // namespace

std::vector<Mount> parse_mounts(std::string_view text) {
  std::vector<Mount> out;
  each_line(text, [&](const std::vector<std::string_view>& words) {
    if (words.size() < 9) return;
    const auto dash = std::find(words.begin() + 6, words.end(), std::string_view("-"));
    if (words.end() - dash < 3) return;
    out.push_back({.number = std::string(words[2]),
                   .type = std::string(dash[1]),
                   .source = unescaped(dash[2]),
                   .where = unescaped(words[4]),
                   .pid = "self",
                   .read_only = words[5] == "ro" || words[5].starts_with("ro,")});
  });
  return out;
}

std::vector<Mount> read_mounts(const Proc& proc) {
  std::vector<Mount> out = parse_mounts(proc.read("self/mountinfo").value_or(""));
  std::set<std::string> seen = {proc.read_link("self/ns/mnt").value_or("")};
  for (const std::string& pid : proc.processes()) {
    const auto ns = proc.read_link(pid + "/ns/mnt");
    if (!ns || !seen.insert(*ns).second) continue;
    for (Mount& mount : parse_mounts(proc.read(pid + "/mountinfo").value_or(""))) {
      mount.pid = pid;
      mount.here = false;
      out.push_back(std::move(mount));
    }
  }
  return out;
}

void look_at_disks(Sysfs& root, const Proc& proc, std::vector<Target>& targets, Findings& out) {
  std::optional<Others> others;
  for (Target& target : targets) {
    if (target.disks.empty()) continue;
    if (!others) others = read_others(root, proc);
    Disks(root, *others, target, out).look();
  }
}

}  // namespace anybind::guards
