// A newcomer is worth hurrying for: the kernel looks for a driver of its own while we look at it.
// An override that is there before the driver asks keeps it off for good; written a moment later it
// still says where the device shall go, which is then for a change with all its care. There is
// nothing to roll back in one write, and nothing to remember: a device that had neither driver nor
// override is not missed by anybody.
#include "engine/claim.h"

#include <cerrno>
#include <memory>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"

namespace anybind {
namespace {

constexpr const char* kOverride = "driver_override";
constexpr const char* kFunctionsAutoprobe = "sriov_drivers_autoprobe";

/// The directory of this very card.
Result<std::unique_ptr<Sysfs>> open_card(const Host& host, const DeviceId& device,
                                         const Instance& instance) {
  auto dir = TRY(open_device(host.sysfs, device));
  const auto found =
      dir == nullptr ? Reply<Instance>(std::unexpected(Errno{ENOENT})) : dir->instance();
  if (found && *found == instance) return dir;
  return fail({.kind = ErrorKind::kNotFound,
               .object = device.str(),
               .why = found ? "another card has come to its place" : "it is gone"});
}

}  // namespace

Result<Claim> claim(const Host& host, const DeviceId& device, const Instance& instance,
                    const DriverName& driver) {
  const auto dir = TRY(open_card(host, device, instance));
  const auto before = read_driver(*dir);
  if (!before) return fail(read_error(before.error(), "read the driver of", device));
  if (*before) return Claim::kHasDriver;
  Abandoned abandoned;
  const auto now = dir->write_and_read_back(kOverride, driver.str() + "\n", Patience{}, abandoned);
  if (!now && now.error().value == ENOENT)
    return fail({.object = device.str(), .why = "its bus has no driver_override"});
  if (!now) return fail(read_error(now.error(), "keep for " + driver.str(), device));
  if (parse_override(*now) != driver.str())
    return fail({.object = device.str(),
                 .why = fmt::format("its driver_override is {} and not {}",
                                    printable(trim_newline(*now)), driver.str())});
  const auto after = read_driver(*dir);
  if (!after) return fail(read_error(after.error(), "read the driver of", device));
  return !*after || *after == driver ? Claim::kKept : Claim::kTooLate;
}

Result<bool> disclaim(const Host& host, const DeviceId& device, const Instance& instance,
                      const DriverName& driver) {
  const auto dir = TRY(open_card(host, device, instance));
  const auto bound = read_driver(*dir);
  const auto override = dir->read(kOverride);
  if (!bound || *bound == driver || !override || parse_override(*override) != driver.str())
    return false;
  Abandoned abandoned;
  const auto now = dir->write_and_read_back(kOverride, "\n", Patience{}, abandoned);
  if (!now) return fail(read_error(now.error(), "give back", device));
  return !*bound;
}

Result<> hold_functions(const Host& host, const DeviceId& pf, const Instance& instance) {
  const auto dir = TRY(open_card(host, pf, instance));
  Abandoned abandoned;
  const auto now = dir->write_and_read_back(kFunctionsAutoprobe, "0", Patience{}, abandoned);
  if (!now && now.error().value == ENOENT) return {};
  if (!now) return fail(read_error(now.error(), "keep the virtual functions of", pf));
  return {};
}

}  // namespace anybind
