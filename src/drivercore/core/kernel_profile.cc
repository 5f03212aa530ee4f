#include "drivercore/core/kernel_profile.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/text.h"

namespace anybind::drivercore {
namespace {

/// Today's kernel with the proposal in the place of driver_override: what then differs is the
/// mechanism, and not twelve years of other work.
KernelProfile proposal(const char* name, Mechanism mechanism) {
  return {.name = name, .mechanism = mechanism};
}

}  // namespace

std::span<const KernelProfile> profiles() {
  static const std::array kAll = std::to_array<KernelProfile>({
      {},
      {.name = "linux-6.1",
       .version = 6001,
       .override_takes_device_lock = true,
       .uevent_takes_device_lock = true,
       .changes_shared_group_type = false,
       .vfio_dev_goes_first = false},
      {.name = "linux-3.14",
       .version = 3014,
       .mechanism = std::nullopt,
       .bind_reports_probe_errno = false,
       .new_id_refuses_duplicates = false,
       .dma_ownership = false,
       .changes_shared_group_type = false,
       .vfio_dev_goes_first = false,
       .bind_events = false},
      proposal("sysfs-bind-only", Mechanism::kSysfsBindOnly),
      proposal("vfio-bind", Mechanism::kVfioBind),
      proposal("autoprobe-flag", Mechanism::kAutoprobeFlag),
      proposal("preferred-driver", Mechanism::kPreferredDriver),
      proposal("driver-probe-id", Mechanism::kDriverProbeId),
      proposal("platform-new-id", Mechanism::kPlatformNewId),
  });
  return kAll;
}

Result<KernelProfile> find_profile(std::string_view name) {
  const auto all = profiles();
  const auto found = std::ranges::find(all, name, &KernelProfile::name);
  if (found != all.end()) return *found;
  std::vector<std::string> names;
  for (const KernelProfile& profile : all) names.push_back(profile.name);
  return fail({.kind = ErrorKind::kUsage,
               .object = std::string(name),
               .why = "no such kernel profile",
               .advice = "there are " + join_words(names)});
}

}  // namespace anybind::drivercore
