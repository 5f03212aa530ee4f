// Uses that nobody can see, but that a machine file tells of: so that losing the boot disk, or the
// card over which one is logged in, can be rehearsed in a lab.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/text.h"
#include "inventory/net_interface.h"
#include "inventory/vfio_driver.h"
#include "users/guard_target.h"

namespace anybind::guards {
namespace {

struct DeclaredWords {
  std::string_view name;
  std::string_view who;
  const char* advice;
};

/// A device that somebody uses, which may be below the one that is asked about.
struct Declared {
  DeviceId device;
  std::vector<std::string> guards{};
  bool has_host_driver = false;  ///< and not one for user space
  std::string real{};            ///< "devices/pci0000:00/0000:00:03.0"
};

constexpr auto kDeclaredWords = std::to_array<DeclaredWords>({
    {"default-route", "{} has the default route", "give another interface the default route"},
    {"interface-up", "{} is up and has addresses or routes", "take it down first"},
    {"interface-member", "{} is part of another interface", "take it out of that one"},
    {"login", "you are logged in over {}", "log in over another interface, or at the console"},
    {"root-filesystem", "the root file system is on {}",
     "another disk must hold the root file system"},
    {"mounted", "a file system on {} is mounted", "unmount it"},
    {"swap", "{} is used for swap", "swapoff it"},
    {"holder", "{} is part of another block device", "stop that one"},
    {"vfio-user", "user space has {} open", "end that program"},
});

/// The entries of a class that are at or below a device's directory.
std::vector<std::string> entries_below(Sysfs& root, const char* path, const std::string& real) {
  std::vector<std::string> out;
  const auto dir = root.open_dir(path);
  if (!dir) return out;
  for (std::string& name : entries(**dir, "")) {
    const auto link = (*dir)->read_link(name);
    if (link && real_of(*link).starts_with(real + "/")) out.push_back(std::move(name));
  }
  return out;
}

/// What the guard of this name is about.
std::string subject(Sysfs& root, const Declared& declared, const Target& target,
                    std::string_view name) {
  const bool is_own = declared.device == target.device;
  std::string it = is_own ? "it" : declared.device.str();
  if (name == "vfio-user") return it;
  const bool is_net = name == "login" || name == "default-route" || name.starts_with("interface-");
  const auto& own = is_net ? target.interfaces : target.disks;
  const auto names =
      is_own ? own : entries_below(root, is_net ? "class/net" : "class/block", declared.real);
  return names.empty() ? it : join_words(names);
}

void look_at(Sysfs& root, const Declared& declared, const Target& target, Findings& out) {
  for (const std::string& name : declared.guards) {
    // Its driver is what all other uses go through.
    if (name == "vfio-user" ? declared.device != target.device : !declared.has_host_driver)
      continue;
    const auto* found = std::ranges::find(kDeclaredWords, name, &DeclaredWords::name);
    if (found == kDeclaredWords.end()) {
      const std::string of = declared.device == target.device ? "" : " of " + declared.device.str();
      out.add(target, name, "the machine file says so" + of, "free it");
      continue;
    }
    const std::string about = subject(root, declared, target, name);
    out.add(target, name, fmt::format(fmt::runtime(found->who), about) + ", says the machine file",
            found->advice);
  }
}

}  // namespace

void look_at_declared(Sysfs& root, const DeclaredUsers& users, const Tree& hosts,
                      const std::vector<Target>& others, Findings& out) {
  for (auto& [device, names] : users.all()) {
    Declared declared{.device = device, .guards = std::move(names)};
    const auto link = root.read_link(device.path() + "/driver");
    declared.has_host_driver = link && !is_for_user_space(link_name(*link));
    declared.real = read_syspath(root, device);
    hosts.each_above(declared.real, [&](Target& it) { look_at(root, declared, it, out); });
    for (const Target& it : others) {
      if (it.device == device) look_at(root, declared, it, out);
    }
  }
}

}  // namespace anybind::guards
