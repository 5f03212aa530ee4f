// Network interfaces in use: in our own network namespace, and in others.
#include <set>

#include <fmt/format.h>

#include "base/text.h"
#include "inventory/guard_target.h"

namespace anybind::guards {
namespace {

constexpr std::size_t kMostTries = 8;  // processes of one namespace that are asked for its sysfs

struct Routes {
  std::set<std::string, std::less<>> used;  ///< interfaces with an address or a route
  std::set<std::string, std::less<>> default4;
  std::set<std::string, std::less<>> default6;
};

bool is_zeros(std::string_view text) {
  return text.find_first_not_of('0') == std::string_view::npos;
}

Routes read_routes(const Proc& proc) {
  Routes out;
  // Iface Destination Gateway Flags RefCnt Use Metric Mask ...
  each_line(proc.read("net/route").value_or(""), [&](const std::vector<std::string_view>& words) {
    if (words.size() < 8) return;
    out.used.emplace(words[0]);
    if (is_zeros(words[1]) && is_zeros(words[7])) out.default4.emplace(words[0]);
  });
  // Scope 0 is global; every interface that is up gives itself an address of scope 20 (link).
  each_line(proc.read("net/if_inet6").value_or(""),
            [&](const std::vector<std::string_view>& words) {
              if (words.size() == 6 && words[3] == "00") out.used.emplace(words[5]);
            });
  // Destination, length, source, length, next hop, metric, references, uses, flags, interface.
  constexpr std::uint64_t kUpAndNotReject = 0x0201;  // RTF_UP without RTF_REJECT
  each_line(proc.read("net/ipv6_route").value_or(""),
            [&](const std::vector<std::string_view>& words) {
              if (words.size() != 10 || words[1] != "00" || !is_zeros(words[0])) return;
              const auto flags = parse_hex(words[8], UINT32_MAX);
              if (!flags || (*flags & kUpAndNotReject) != 1) return;
              out.default6.emplace(words[9]);
            });
  return out;
}

void look_at_interface(Sysfs& root, const Routes& routes, const Target& target,
                       const std::string& name, Findings& out) {
  const std::string dir = "class/net/" + name;
  const std::string word = shell_quote(name);
  for (const std::string& entry : entries(root, dir)) {
    if (!entry.starts_with("upper_")) continue;
    const std::string upper = entry.substr(6);
    const bool is_master = link_name(root.read_link(dir + "/master").value_or("")) == upper;
    out.add(target, "interface-member", fmt::format("{} is under {}", name, upper),
            is_master ? fmt::format("ip link set {} nomaster", word)
                      : fmt::format("ip link del {}", shell_quote(upper)));
  }
  const auto flags = parse_hex(attribute(root, dir + "/flags"), UINT32_MAX);
  if (!flags || (*flags & 1U) == 0) return;  // IFF_UP
  const std::string next = fmt::format("ip link set {} down", word);
  if (routes.default4.contains(name)) {
    out.add(target, "default-route", name + " has the default route", next);
  }
  if (routes.default6.contains(name)) {
    out.add(target, "default-route", name + " has the default route of IPv6", next);
  }
  if (routes.used.contains(name)) {
    out.add(target, "interface-up", name + " is up and has addresses or routes", next);
  }
}

/// The sysfs that a process sees at /sys, named by the number of its file system, of which there is
/// one for each network namespace; empty where /sys or the root may be made by another program,
/// which could let us wait for ever.
std::string sysfs_number(const Proc& proc, const std::string& pid) {
  std::string out;
  bool is_safe = true;
  for (const Mount& mount : parse_mounts(proc.read(pid + "/mountinfo").value_or(""))) {
    if (mount.where == kSysfs) out = mount.type == "sysfs" ? mount.number : "";
    if (mount.where == "/") is_safe = !mount.type.starts_with("fuse") && mount.type != "nfs4";
  }
  return is_safe ? out : "";
}

}  // namespace

void look_at_interfaces(Sysfs& root, const Proc& proc, const std::vector<Target>& targets,
                        Findings& out) {
  std::optional<Routes> routes;
  for (const Target& target : targets) {
    for (const std::string& name : target.interfaces) {
      if (!routes) routes = read_routes(proc);
      look_at_interface(root, *routes, target, name, out);
    }
  }
}

void look_at_other_namespaces(const Proc& proc, const Tree& tree, Findings& out) {
  const auto own = proc.read_link("self/ns/net");
  if (!own) return;
  std::set<std::string> sysfs = {sysfs_number(proc, "self")};
  std::map<std::string, std::size_t> tries;
  for (const std::string& pid : proc.processes()) {
    const auto ns = proc.read_link(pid + "/ns/net");
    if (!ns || *ns == *own || ++tries[*ns] > kMostTries) continue;
    // Many share a namespace; only one with a sysfs of that namespace shows what is in it.
    const std::string number = sysfs_number(proc, pid);
    if (number.empty() || !sysfs.insert(number).second) continue;
    const std::string dir = pid + "/root/sys/class/net/";
    for (const std::string& name : proc.list(dir).value_or(std::vector<std::string>{})) {
      const auto link = proc.read_link(dir + name);
      if (!link) continue;
      tree.each_above(real_of(*link), [&](const Target& target) {
        out.add(target, "interface-away",
                fmt::format("{} is in another network namespace, that of process {}", name, pid),
                fmt::format("nsenter -t {} -n ip link set {} netns 1", pid, shell_quote(name)));
      });
    }
  }
}

}  // namespace anybind::guards
