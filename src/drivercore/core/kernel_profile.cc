// Where kernels differ. A kernel is a version, and each difference has one version since which it
// is so: a machine file that says linux-6.17 then gets all of 6.17's behaviour, also where nobody
// thought of that version in particular.
#include "drivercore/core/kernel_profile.h"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>

#include "base/check.h"
#include "base/text.h"

namespace anybind::drivercore {
namespace {

using enum ChangeSince::Known;

constexpr auto kChanges = std::to_array<ChangeSince>({
    {Change::kDriverOverride, {3, 16}, kSource, "drivers/pci/pci-sysfs.c:driver_override_store"},
    {Change::kNewIdRefusesDuplicates, {3, 16}, kSource, "drivers/pci/pci-driver.c:new_id_store"},
    {Change::kBindEvents, {4, 14}, kSource, "drivers/base/dd.c:driver_bound"},
    {Change::kGroupTypeFile, {5, 11}, kSource, "drivers/iommu/iommu.c:iommu_group_store_type"},
    {Change::kBindReportsProbeErrno, {5, 14}, kSource, "drivers/base/bus.c:bind_store"},
    {Change::kDmaOwnership, {5, 19}, kSource, "drivers/pci/pci-driver.c:pci_dma_configure"},
    // The series 6.12 got both, the second with .91.
    {Change::kUeventTakesNoLock, {6, 15}, kSource, "drivers/base/core.c:uevent_show", {6, 12}},
    {Change::kOverrideTakesNoLock, {7, 0}, kSource, "drivers/base/core.c", {6, 12}},
    {Change::kChangesSharedGroupType,
     {6, 12},
     kBetween,
     "drivers/iommu/iommu.c:iommu_group_store_type"},
    {Change::kVfioDevGoesFirst,
     {6, 12},
     kBetween,
     "drivers/vfio/vfio_main.c:vfio_unregister_group_dev"},
    {Change::kFauxBus, {6, 14}, kSource, "drivers/base/faux.c"},
    {Change::kAddAsksSyncDriversFirst, {6, 17}, kSource, "drivers/pci/bus.c:pci_bus_add_device"},
    {Change::kTellsVfioDevice,
     {6, 18},
     kSource,
     "drivers/vfio/vfio_main.c:vfio_device_show_fdinfo"},
    {Change::kPciAddHonoursAutoprobe, {6, 19}, kMeasured, "drivers/base/dd.c:device_initial_probe"},
    {Change::kBuiltInPlatformModules, {7, 2}, kMeasured, "drivers/base/platform.c"},
});

KernelProfile of_version(KernelVersion version) {
  KernelProfile out{.name = "linux-" + version.str(), .version = version};
  if (!out.has(Change::kDriverOverride)) out.mechanism.reset();
  return out;
}

/// Linux 6.12 with the proposal in the place of driver_override: what then differs is the
/// mechanism, and not twelve years of other work.
KernelProfile proposal(const char* name, Mechanism mechanism) {
  return {.name = name, .mechanism = mechanism};
}

}  // namespace

std::span<const ChangeSince> changes() {
  return kChanges;
}

bool KernelProfile::has(Change change) const {
  const auto at = static_cast<std::size_t>(change);
  CHECK(at < kChanges.size() && kChanges[at].change == change, "the table has a row for each");
  return version >= kChanges[at].since || version == kChanges[at].also_stable;
}

std::span<const KernelProfile> profiles() {
  static const std::array kAll = std::to_array<KernelProfile>({
      of_version({7, 3}),
      of_version({6, 19}),
      of_version({6, 18}),
      of_version({6, 12}),
      of_version({6, 1}),
      of_version({3, 14}),
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
  constexpr std::string_view kLinux = "linux-";
  const auto all = profiles();
  const auto found = std::ranges::find(all, name, &KernelProfile::name);
  if (found != all.end()) return *found;
  if (name.starts_with(kLinux)) {
    const auto version = KernelVersion::parse(name.substr(kLinux.size()));
    if (version && *version >= kOldestKernel && *version <= kNewestKernel &&
        of_version(*version).name == name)
      return of_version(*version);
  }
  std::vector<std::string> names;
  for (const KernelProfile& profile : all) names.push_back(profile.name);
  return fail({.kind = ErrorKind::kUsage,
               .object = std::string(name),
               .why = "no such kernel profile",
               .advice = fmt::format("there are {}, and every other linux-X.Y from {} to {}",
                                     join_words(names), kOldestKernel.str(), kNewestKernel.str())});
}

std::optional<KernelProfile> profile_with(KernelVersion version, Mechanism mechanism) {
  KernelProfile out = of_version(version);
  if (mechanism == Mechanism::kDriverOverride)
    return out.mechanism ? std::optional(std::move(out)) : std::nullopt;
  const auto all = profiles();
  const auto proposed = std::ranges::find(all, mechanism, &KernelProfile::mechanism);
  CHECK(proposed != all.end(), "each proposal has a profile");
  out.name = proposed->name;
  out.mechanism = mechanism;
  return out;
}

KernelProfile profile_of_release(std::string_view release) {
  const auto version = KernelVersion::parse(release).value_or(kOldestKernel);
  return of_version(std::clamp(version, kOldestKernel, kNewestKernel));
}

}  // namespace anybind::drivercore
