#include "cli/choose.h"

#include <set>

#include <fmt/format.h>

#include "base/try.h"
#include "cli/session.h"
#include "engine/engine.h"
#include "inventory/select.h"

namespace anybind::cli {
namespace {

constexpr std::string_view kDeviceFiles[] = {"/dev/dri/", "/dev/snd/", "/dev/"};

Error ambiguous(const std::string& word, const DeviceId& now, const DeviceId& then) {
  return {.kind = ErrorKind::kUsage,
          .object = word,
          .why = fmt::format("it is {} now, and {} was taken by that name", now.str(), then.str()),
          .advice = "name the one that is meant by its address"};
}

Result<std::vector<DeviceId>> devices_of(const Context& context, const std::string& word,
                                         Means means) {
  auto found = select_devices_unchecked(context.sysfs, {word}, context.sysfs_root);
  if (looks_like_device(word) || (found && means == Means::kWhatIsThere)) return found;
  auto taken = known_as(context.session.host(), word);
  if (!found && found.error().kind == ErrorKind::kNotFound && !taken.empty()) return taken;
  if (!found) return found;
  for (const DeviceId& id : taken) {
    if (!found->empty() && id != found->front()) return fail(ambiguous(word, found->front(), id));
  }
  return found;
}

}  // namespace

std::string without_dev(const std::string& word) {
  for (const std::string_view folder : kDeviceFiles) {
    if (!word.starts_with(folder)) continue;
    std::string name = word.substr(folder.size());
    if (!name.empty() && !looks_like_device(name)) return name;
  }
  return word;
}

std::vector<std::string> without_dev(std::vector<std::string> words) {
  for (std::string& word : words) word = without_dev(word);
  return words;
}

Result<Chosen> choose(const Context& context, const std::vector<std::string>& words, Means means) {
  Chosen out;
  std::set<DeviceId> seen;
  for (const std::string& word : without_dev(words)) {
    for (const DeviceId& id : TRY(devices_of(context, word, means))) {
      if (!looks_like_device(word)) out.names.emplace(id, word);
      if (seen.insert(id).second) out.devices.push_back(id);
    }
  }
  return out;
}

}  // namespace anybind::cli
