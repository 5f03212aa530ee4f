#include "drivercore/kernel_profile.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/text.h"

namespace anybind::drivercore {

std::span<const KernelProfile> profiles() {
  static const std::array<KernelProfile, 2> kAll = {{
      {},
      {.name = "linux-6.1", .override_takes_device_lock = true, .uevent_takes_device_lock = true},
  }};
  return kAll;
}

Result<KernelProfile> find_profile(std::string_view name) {
  const auto all = profiles();
  const auto found = std::ranges::find(all, name, &KernelProfile::name);
  if (found != all.end()) return *found;
  std::vector<std::string> names;
  for (const KernelProfile& profile : all) names.push_back(profile.name);
  return fail({.code = Code::kUsage,
               .object = std::string(name),
               .why = "no such kernel profile",
               .next = "there are " + join_words(names)});
}

}  // namespace anybind::drivercore
