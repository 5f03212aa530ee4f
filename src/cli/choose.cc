#include "cli/choose.h"

#include <algorithm>
#include <iterator>
#include <set>

#include <fmt/format.h>

#include "base/try.h"
#include "cli/session.h"
#include "engine/engine.h"
#include "inventory/net_interface.h"
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

using Devices = std::vector<DeviceId>;

/// A glob or a range: what it means, and what was taken by such a name and has it no more.
Result<Devices> devices_like(const Context& context, const std::string& word) {
  auto found = select_devices_unchecked(context.sysfs, {word}, context.sysfs_root);
  auto taken = known_as(context.session.host(),
                        [&](const std::string& name) { return means_name(word, name); });
  if (!found && (found.error().kind != ErrorKind::kNotFound || taken.empty())) return found;
  if (!found) return taken;
  std::ranges::copy_if(taken, std::back_inserter(*found), [&](const DeviceId& id) {
    return std::ranges::find(*found, id) == found->end();
  });
  return found;
}

Result<Devices> devices_of(const Context& context, const std::string& word, Means means) {
  if (may_mean_names(word)) return devices_like(context, word);
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

/// The name by which a word that is none itself means each device.
void add_names(const Context& context, const std::string& word,
               std::map<DeviceId, std::string>& out) {
  for (const std::string& name : read_interface_names(context.sysfs)) {
    if (!means_name(word, name)) continue;
    for (const DeviceId& id : devices_behind(context.sysfs, name)) out.emplace(id, name);
  }
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

std::vector<std::string> single_words(Sysfs& root, const std::vector<std::string>& words) {
  std::vector<std::string> out;
  for (const std::string& word : words) {
    for (const std::string& part : parts_of_list(root, word)) out.push_back(without_dev(part));
  }
  return out;
}

Result<Chosen> choose(const Context& context, const std::vector<std::string>& words, Means means) {
  Chosen out;
  std::set<DeviceId> seen;
  for (const std::string& word : single_words(context.sysfs, words)) {
    const Devices devices = TRY(devices_of(context, word, means));
    if (may_mean_names(word)) {
      add_names(context, word, out.names);
    } else if (!looks_like_device(word)) {
      for (const DeviceId& id : devices) out.names.emplace(id, word);
    }
    for (const DeviceId& id : devices) {
      if (!is_pattern(word)) out.named.insert(id);
      if (seen.insert(id).second) out.devices.push_back(id);
    }
  }
  return out;
}

}  // namespace anybind::cli
