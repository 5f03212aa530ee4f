// Uses that nobody can see, but that a machine file tells of: so that losing the boot disk, or the
// card over which one is logged in, can be rehearsed in a lab.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/text.h"
#include "users/guard_target.h"

namespace anybind::guards {
namespace {

struct DeclaredWords {
  std::string_view name;
  std::string_view who;
  const char* advice;
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

/// What the guard of this name is about.
std::string subject(const Target& target, std::string_view name) {
  const bool is_net = name == "login" || name == "default-route" || name.starts_with("interface-");
  const auto& names = is_net ? target.interfaces : target.disks;
  if (name == "vfio-user" || names.empty()) return "it";
  return join_words(names);
}

}  // namespace

void look_at_declared(const DeclaredUsers& declared, const Target& target, bool has_host_driver,
                      Findings& out) {
  for (const std::string& name : declared.of(target.device)) {
    // Its driver is what all other uses go through.
    if (!has_host_driver && name != "vfio-user") continue;
    const auto* found = std::ranges::find(kDeclaredWords, name, &DeclaredWords::name);
    if (found == kDeclaredWords.end()) {
      out.add(target, name, "the machine file says so", "free it");
      continue;
    }
    out.add(
        target, name,
        fmt::format(fmt::runtime(found->who), subject(target, name)) + ", says the machine file",
        found->advice);
  }
}

}  // namespace anybind::guards
