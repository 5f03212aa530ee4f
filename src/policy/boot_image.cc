#include "policy/boot_image.h"

#include <map>
#include <optional>

#include <fmt/format.h>

#include "policy/boot_list.h"
#include "policy/spec.h"

namespace anybind {
namespace {

struct Hook {
  const char* file;  ///< of the hook, below the root
  const char* how;
};

constexpr Hook kHooks[] = {
    {.file = "usr/share/initramfs-tools/hooks/anybind", .how = "update-initramfs -u -k all"},
    {.file = "usr/lib/dracut/modules.d/90anybind/module-setup.sh", .how = "dracut -f"},
};
/// By which it is told which of the two makes the initramfs.
constexpr const char* kMakers[] = {"usr/sbin/mkinitramfs", "usr/bin/dracut"};

bool is_there(const Proc& files, const std::string& path) {
  return files.status(path).has_value();
}

/// Every file that says what early boot shall do, by its path. nullopt: one cannot be read.
std::optional<std::map<std::string, std::string>> files_of_rules(const Proc& root) {
  std::map<std::string, std::string> out;
  for (const std::string folder : {kRuleFolders[0], kRuleFolders[1], kDriverctlFolder}) {
    for (const std::string& name : root.list(folder).value_or(std::vector<std::string>{})) {
      const std::string path = fmt::format("{}/{}", folder, name);
      const bool counts =
          name.ends_with(".toml") || name == kBootList || folder == kDriverctlFolder;
      if (!counts) continue;
      auto text = root.read(path);
      if (!text) return std::nullopt;
      out.emplace(path, *std::move(text));
    }
  }
  return out;
}

}  // namespace

BootImage look_at_boot_image(const Host& host) {
  BootImage out;
  for (std::size_t i = 0; i < std::size(kHooks) && out.how.empty(); ++i)
    if (is_there(host.files, kHooks[i].file) && is_there(host.files, kMakers[i]))
      out.how = kHooks[i].how;
  if (out.how.empty() || host.release.empty()) return out;
  const auto now = files_of_rules(host.files);
  const auto then =
      files_of_rules(host.files.below(fmt::format("{}/{}", kBootImages, host.release)));
  const bool has_list = now && now->contains(fmt::format("{}/{}", kRuleFolders[0], kBootList));
  const bool had_list = then && then->contains(fmt::format("{}/{}", kRuleFolders[0], kBootList));
  const bool same = now && then && (*now == *then || (!has_list && !had_list));
  out.state = same ? BootImage::State::kMatches : BootImage::State::kDiffers;
  return out;
}

}  // namespace anybind
