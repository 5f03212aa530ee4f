#include "binding/virtual_functions.h"

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "inventory/device.h"
#include "inventory/unknown.h"

namespace anybind {
namespace {

Error refuse(const DeviceId& pf, std::string why, std::string next) {
  return {
      .code = Code::kRefused, .object = pf.str(), .why = std::move(why), .next = std::move(next)};
}

/// A number in an attribute of `dir`.
Result<unsigned> read_number(Sysfs& dir, const DeviceId& pf, const std::string& attribute) {
  const auto text = dir.read(attribute);
  if (!text) return fail(from_errno(text.error(), "read " + attribute + " of", pf.str()));
  const auto number = parse_decimal(trim_newline(*text));
  if (number && *number <= 0xFFFF) return static_cast<unsigned>(*number);
  return fail({.code = Code::kFailed,
               .operation = "read " + attribute + " of",
               .object = pf.str(),
               .why = "not a number: " + printable(trim_newline(*text))});
}

/// Removing a function unbinds it, and that waits for whoever uses it through VFIO.
Result<> check_free(Sysfs& root, const DeviceId& pf, unsigned count) {
  for (const DeviceId& vf : TRY(virtual_functions(root, pf, count))) {
    const auto dir = root.open_dir(vf.path());
    const auto driver = dir ? read_driver(**dir).value_or(std::nullopt) : std::nullopt;
    if (!driver || !is_vfio_driver(driver->str())) continue;
    return fail(refuse(vf,
                       fmt::format("it is on {} and may be in use; removing it would wait for its "
                                   "user",
                                   driver->str()),
                       fmt::format("anybind unbind {}, and the others like it", vf.str())));
  }
  return {};
}

}  // namespace

Result<Plan> plan_virtual_functions(Sysfs& root, const DeviceId& pf, unsigned count) {
  auto dir = root.open_dir(pf.path());
  if (!dir) return fail(no_such_device(root, pf, pf.str()));
  if (!(*dir)->read("sriov_totalvfs")) {
    return fail(refuse(pf, "it has no SR-IOV capability", "anybind list class:network"));
  }
  const unsigned total = TRY(read_number(**dir, pf, "sriov_totalvfs"));
  const unsigned now = TRY(read_number(**dir, pf, "sriov_numvfs"));
  Plan plan;
  if (now == count) return plan;
  if (count > total) {
    return fail(refuse(pf, fmt::format("it has at most {} virtual functions", total),
                       fmt::format("anybind vfs {} {}", pf.str(), total)));
  }
  if (now != 0 && count != 0) {
    return fail(refuse(pf,
                       fmt::format("it has {} virtual functions, and the kernel can only "
                                   "change that to none",
                                   now),
                       fmt::format("anybind vfs {} 0", pf.str())));
  }
  const auto driver = read_driver(**dir);
  if (!driver || !*driver) {
    return fail(refuse(pf, "it has no driver, which would have to create them",
                       fmt::format("anybind restore {}", pf.str())));
  }
  if (count == 0) TRY(check_free(root, pf, now));
  const std::string flag = pf.path() + "/sriov_drivers_autoprobe";
  if (count != 0 && TRY(read_number(**dir, pf, "sriov_drivers_autoprobe")) != 0) {
    plan.settings.push_back({.path = flag,
                             .bytes = "0",
                             .undo_path = flag,
                             .undo_bytes = "1",
                             .reason = "let no driver probe the virtual functions"});
  }
  const std::string number = pf.path() + "/sriov_numvfs";
  plan.settings.push_back({.path = number,
                           .bytes = std::to_string(count),
                           .undo_path = number,
                           .undo_bytes = std::to_string(now),
                           .reason = count != 0 ? "create them" : "remove them",
                           .lasting = true});
  return plan;
}

Result<std::vector<DeviceId>> virtual_functions(Sysfs& root, const DeviceId& pf, unsigned count) {
  std::vector<DeviceId> out;
  for (unsigned i = 0; i < count; ++i) {
    const auto link = root.read_link(fmt::format("{}/virtfn{}", pf.path(), i));
    if (!link) {
      return fail({.code = Code::kFailed,
                   .operation = "find the virtual functions of",
                   .object = pf.str(),
                   .why = fmt::format("virtfn{} is not there: {}", i, link.error().text()),
                   .next = "anybind show " + pf.str()});
    }
    out.push_back({.bus = pf.bus, .name = TRY(DeviceName::parse(std::string(link_name(*link))))});
  }
  return out;
}

}  // namespace anybind
