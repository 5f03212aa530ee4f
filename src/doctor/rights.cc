// May this user bind, and may those who shall use the devices open them?
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "base/text.h"
#include "doctor/checks.h"
#include "host/accounts.h"
#include "users/guard_target.h"

namespace anybind::doctor {
namespace {

constexpr const char* kContainer = "/dev/vfio/vfio";  // told to people, never opened
constexpr std::uint64_t kMegabyte = 1U << 20;

/// "0660 alice:kvm"
std::string owner_of(const FileStatus& status, const Accounts& accounts) {
  return fmt::format("{:04o} {}", status.mode & 07777U, accounts.owner(status.uid, status.gid));
}

/// The number that sysfs gives a node, and the one that it has.
bool is_right(const Host& host, const std::string& path, const FileStatus& status) {
  const auto number = parse_node_number(value_of(host, path).value_or(""), false);
  return number && status.node && *number == *status.node;
}

void check_container_node(const Observed& seen, const Accounts& accounts, Report& out) {
  const auto status = seen.host.files.status("dev/vfio/vfio");
  const bool is_loaded = seen.host.sysfs.open_dir("class/misc/vfio").has_value();
  if (!status && !is_loaded) return;
  if (!status) {
    return out.problem(fmt::format("vfio is loaded, but there is no {}", kContainer),
                       "mount devtmpfs at /dev, or let udev make it; in a container: pass it in");
  }
  if (is_loaded && !is_right(seen.host, "class/misc/vfio/dev", *status)) {
    return out.problem(fmt::format("{} is not the node of vfio", kContainer),
                       // not advice: udevadm's option
                       "rm it, and: udevadm trigger --sysname-match=vfio");
  }
  constexpr unsigned kAnybody = 0666;
  const std::string whose = owner_of(*status, accounts);
  if ((status->mode & kAnybody) == kAnybody)
    return out.ok(
        fmt::format("{}: {}, anybody may open it, which gives no device", kContainer, whose));
  out.warning(fmt::format("{}: {}; others cannot use a group that is theirs", kContainer, whose),
              fmt::format("chmod 0666 {}, and a udev rule for KERNEL==\"vfio\"", kContainer));
}

}  // namespace

void check_root(const Observed& seen, Report& out) {
  const auto mounts =
      guards::parse_mounts(seen.host.files.read("proc/self/mountinfo").value_or(""));
  const auto sys = std::ranges::find_if(mounts.rbegin(), mounts.rend(), [&](const auto& mount) {
    return mount.where == seen.host.sysfs_root;
  });
  if (sys != mounts.rend() && sys->read_only) {
    out.problem(fmt::format("{} is mounted read-only, as in a container", seen.host.sysfs_root),
                "run anybind on the host");
  } else if (seen.host.is_root) {
    out.ok("this is root");
  } else {
    out.unknown("not root: some things cannot be seen, and binding needs root",
                Action::kCheckAsRoot);
  }
}

void check_lockdown(const Observed& seen, Report& out) {
  const std::string text = value_of(seen.host, "kernel/security/lockdown").value_or("");
  const auto open = text.find('[');
  const auto close = text.find(']');
  const std::string mode =
      open < close && close != std::string::npos ? text.substr(open + 1, close - open - 1) : "";
  // Four bytes of attributes, then one of value: linux Documentation/filesystems/efivarfs.rst.
  const auto secure =
      seen.host.sysfs.read("firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c");
  const bool is_secure = secure && secure->size() == 5 && secure->back() == 1;
  const std::string boot = is_secure ? "secure boot is on; " : "";
  if (mode.empty() || mode == "none") {
    out.ok(boot + "the kernel is not locked down");
  } else {
    out.ok(fmt::format("{}lockdown is {}: unsigned modules are refused; VFIO works", boot, mode));
  }
}

void check_memlock(const Observed& seen, Report& out) {
  const auto limit = seen.host.memlock;
  const std::string words =
      limit ? fmt::format("{} MB", *limit / kMegabyte) : std::string("no limit");
  constexpr std::uint64_t kEnough = 1024 * kMegabyte;
  if (seen.host.is_root || !limit || *limit >= kEnough) {
    out.ok(fmt::format("{} of locked memory{}", words,
                       seen.host.is_root && limit ? ", which does not bind root" : ""));
  } else {
    out.warning(fmt::format("{} of locked memory: a virtual machine of this user cannot pin its "
                            "memory",
                            words),
                "raise memlock in /etc/security/limits.conf (libvirt does so by itself)");
  }
}

void check_nodes(const Observed& seen, Report& out) {
  const Host& host = seen.host;
  const Accounts accounts(host.files);
  check_container_node(seen, accounts, out);
  std::map<std::string, std::vector<std::string>> by_owner;
  const auto look = [&](const std::string& path, const std::string& number) {
    const auto status = host.files.status(path);
    if (!status) {
      out.warning(fmt::format("there is no /{}", path),
                  // not advice: udevadm's option
                  "udevadm trigger --subsystem-match=vfio");
    } else if (!is_right(host, number, *status)) {
      out.warning(fmt::format("/{} is the node of something else", path),
                  // not advice: udevadm's option
                  fmt::format("rm /{}, and: udevadm trigger --subsystem-match=vfio", path));
    } else {
      by_owner[owner_of(*status, accounts)].push_back(path.substr(path.find("vfio/") + 5));
    }
  };
  for (const std::string& name : names_in(host, "class/vfio"))
    look("dev/vfio/" + name, fmt::format("class/vfio/{}/dev", name));
  for (const std::string& name : names_in(host, "class/vfio-dev")) {
    const std::string number = fmt::format("class/vfio-dev/{}/dev", name);
    if (value_of(host, number)) look("dev/vfio/devices/" + name, number);
  }
  for (const auto& [owner, names] : by_owner)
    out.ok(fmt::format("{}vfio/{}: {}", guards::kDev, some_of(names), owner));
  if (out.empty()) out.ok("no device is on a VFIO driver, so there are none");
}

}  // namespace anybind::doctor
