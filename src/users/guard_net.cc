// Network interfaces in use: in our own network namespace, and in others.
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "users/guard_target.h"
#include "users/login.h"

namespace anybind::guards {
namespace {

constexpr std::size_t kMostTries = 8;  // processes of one namespace that are asked for its sysfs

/// What interfaces are used for, by their numbers (`ifindex`).
struct Routes {
  std::set<std::uint32_t> used;  ///< with an address or a route that something put there
  std::set<std::uint32_t> default4;
  std::set<std::uint32_t> default6;
  std::map<std::string, std::set<std::uint32_t>> addresses;  ///< by their bytes: whose they are
};

/// What `bytes` begin with, as the kernel lays it out; zeros for what is missing.
template <class T>
T begin_of(std::string_view bytes) {
  T out{};
  bytes.copy(reinterpret_cast<char*>(&out), sizeof out);  // NOLINT(*-reinterpret-cast)
  return out;
}

/// Goes through what is laid one behind the other, each part beginning with its own length, as in
/// netlink(7) and rtnetlink(7): calls `f` with each whole part. Ends at one that is not whole.
template <class Header, class Length, class F>
void each_part(std::string_view bytes, Length Header::* length, F&& f) {
  while (bytes.size() >= sizeof(Header)) {
    const std::size_t size = begin_of<Header>(bytes).*length;
    if (size < sizeof(Header) || size > bytes.size()) return;
    f(bytes.substr(0, size));
    bytes.remove_prefix(std::min<std::size_t>(NLMSG_ALIGN(size), bytes.size()));
  }
}

std::string_view behind(std::string_view bytes, std::size_t size) {
  return bytes.substr(std::min(size, bytes.size()));
}

void add_address(std::string_view message, Routes& out) {
  const auto address = begin_of<ifaddrmsg>(message);
  // Every interface that is up gives itself an address of IPv6 for its link.
  const bool counts = address.ifa_family == AF_INET || address.ifa_scope != RT_SCOPE_LINK;
  if (counts) out.used.insert(address.ifa_index);
  each_part(behind(message, sizeof address), &rtattr::rta_len, [&](std::string_view part) {
    const auto type = begin_of<rtattr>(part).rta_type & NLA_TYPE_MASK;
    // The one of a point-to-point link is IFA_LOCAL, and IFA_ADDRESS the other end's.
    if (type == IFA_LOCAL || type == IFA_ADDRESS)
      out.addresses[std::string(behind(part, sizeof(rtattr)))].insert(address.ifa_index);
  });
}

/// The interfaces that a route goes through: one, or that of each hop.
std::vector<std::uint32_t> interfaces_of(std::string_view attributes) {
  std::vector<std::uint32_t> out;
  each_part(attributes, &rtattr::rta_len, [&](std::string_view part) {
    const auto type = begin_of<rtattr>(part).rta_type & NLA_TYPE_MASK;
    const std::string_view value = behind(part, sizeof(rtattr));
    if (type == RTA_OIF) out.push_back(begin_of<std::uint32_t>(value));
    if (type != RTA_MULTIPATH) return;
    each_part(value, &rtnexthop::rtnh_len, [&](std::string_view hop) {
      out.push_back(static_cast<std::uint32_t>(begin_of<rtnexthop>(hop).rtnh_ifindex));
    });
  });
  return out;
}

/// In any table, as rules may choose each. The kernel itself routes what it has addresses for.
void add_route(std::string_view message, Routes& out) {
  const auto route = begin_of<rtmsg>(message);
  const bool is_ip = route.rtm_family == AF_INET || route.rtm_family == AF_INET6;
  if (!is_ip || route.rtm_type != RTN_UNICAST || (route.rtm_flags & RTM_F_CLONED) != 0) return;
  auto& defaults = route.rtm_family == AF_INET ? out.default4 : out.default6;
  for (const std::uint32_t interface : interfaces_of(behind(message, sizeof route))) {
    if (route.rtm_dst_len == 0) defaults.insert(interface);
    if (route.rtm_protocol != RTPROT_KERNEL) out.used.insert(interface);
  }
}

Reply<Routes> read_routes(const Proc& proc) {
  const std::string dump = TRY(proc.net_dump());
  Routes out;
  each_part(dump, &nlmsghdr::nlmsg_len, [&](std::string_view message) {
    const auto type = begin_of<nlmsghdr>(message).nlmsg_type;
    const std::string_view rest = behind(message, sizeof(nlmsghdr));
    if (type == RTM_NEWADDR) add_address(rest, out);
    if (type == RTM_NEWROUTE) add_route(rest, out);
  });
  return out;
}

bool is_up(Sysfs& root, const std::string& name) {
  const auto flags = parse_hex(attribute(root, "class/net/" + name + "/flags"), UINT32_MAX);
  return flags && (*flags & IFF_UP) != 0;
}

std::optional<std::uint32_t> number_of(Sysfs& root, const std::string& name) {
  const auto number = parse_decimal(attribute(root, "class/net/" + name + "/ifindex"), UINT32_MAX);
  return number ? std::optional(static_cast<std::uint32_t>(*number)) : std::nullopt;
}

/// "br0" of "upper_br0", for each.
std::vector<std::string> uppers_of(Sysfs& root, const std::string& name) {
  constexpr std::string_view kUpper = "upper_";
  std::vector<std::string> out;
  for (const std::string& entry : entries(root, "class/net/" + name)) {
    if (entry.starts_with(kUpper)) out.push_back(entry.substr(kUpper.size()));
  }
  return out;
}

/// What all interfaces of a plan are held against; read when the first one is up.
class Network {
 public:
  Network(const Proc& proc, std::string_view login)
      : routes_(read_routes(proc)), logins_(read_logins(proc, login)) {}

  [[nodiscard]] const Reply<Routes>& routes() const { return routes_; }

  /// The login that goes over this interface or one that it is part of; nullptr: none, as far as
  /// can be seen.
  [[nodiscard]] const Login* login_over(Sysfs& root, const std::string& name) const {
    if (!routes_) return nullptr;
    std::vector<std::string> todo = {name};
    for (std::size_t i = 0; i < std::min(todo.size(), kMostUppers); ++i) {
      const auto number = number_of(root, todo[i]);
      for (const Login& login : logins_) {
        const auto found = routes_->addresses.find(login.address);
        if (number && found != routes_->addresses.end() && found->second.contains(*number))
          return &login;
      }
      for (std::string& upper : uppers_of(root, todo[i])) {
        if (!contains(todo, upper)) todo.push_back(std::move(upper));
      }
    }
    return nullptr;
  }
  /// Somebody is logged in, and over which interface cannot be seen.
  [[nodiscard]] bool may_be_any() const { return !routes_ && !logins_.empty(); }

 private:
  static constexpr std::size_t kMostUppers = 64;
  Reply<Routes> routes_;
  std::vector<Login> logins_;
};

/// What is said in place of how to take an interface down.
constexpr const char* kLogInElsewhere =
    "log in over another interface, or at the console, and free it from there";

/// Finds the login, and gives what to do about `name` else: `next`, unless that would throw the
/// administrator out.
class SafeAdvice {
 public:
  SafeAdvice(Sysfs& root, const Network& network, const Target& target, const std::string& name,
             Findings& out)
      : is_login_(network.may_be_any()) {
    const Login* login = network.login_over(root, name);
    if (login == nullptr) return;
    is_login_ = true;
    out.add(target, "login",
            fmt::format("{} logged in over {}", login->is_ours ? "you are" : "somebody is", name),
            kLogInElsewhere);
  }
  [[nodiscard]] std::string operator()(std::string next) const {
    return is_login_ ? std::string(kLogInElsewhere) : std::move(next);
  }

 private:
  bool is_login_ = false;
};

void look_at_uppers(Sysfs& root, const Target& target, const std::string& name,
                    const SafeAdvice& safe, Findings& out) {
  const std::string dir = "class/net/" + name;
  for (const std::string& upper : uppers_of(root, name)) {
    const bool is_master = link_name(root.read_link(dir + "/master").value_or("")) == upper;
    out.add(target, "interface-member", fmt::format("{} is under {}", name, upper),
            safe(is_master ? fmt::format("ip link set {} nomaster", shell_quote(name))
                           : fmt::format("ip link del {}", shell_quote(upper))));
  }
}

/// Of an interface that is up. Its routes are not to be had where nobody answers.
void look_at_routes(Sysfs& root, const Reply<Routes>& routes, const Target& target,
                    const std::string& name, const SafeAdvice& safe, Findings& out) {
  const std::string next = safe(fmt::format("ip link set {} down", shell_quote(name)));
  const auto interface = number_of(root, name);
  if (!routes || !interface) {
    out.add(target, "interface-up",
            fmt::format("{} is up, and whether it has addresses or routes cannot be seen: {}", name,
                        routes ? "no ifindex" : routes.error().text()),
            next);
    return;
  }
  if (routes->default4.contains(*interface)) {
    out.add(target, "default-route", name + " has the default route", next);
  }
  if (routes->default6.contains(*interface)) {
    out.add(target, "default-route", name + " has the default route of IPv6", next);
  }
  if (routes->used.contains(*interface)) {
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
                        std::string_view login, Findings& out) {
  std::optional<Network> network;
  for (const Target& target : targets) {
    for (const std::string& name : target.interfaces) {
      const auto uppers = uppers_of(root, name);
      const bool up = is_up(root, name);
      if (!up && uppers.empty()) continue;
      if (!network) network.emplace(proc, login);
      const SafeAdvice safe(root, *network, target, name, out);
      look_at_uppers(root, target, name, safe, out);
      // A machine that is only looked at has no routes: a tree, a lab.
      const auto& routes = network->routes();
      if (up && (routes || routes.error().value != ENOENT))
        look_at_routes(root, routes, target, name, safe, out);
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
