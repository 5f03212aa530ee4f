#include "engine/driver_answer.h"

#include <cstddef>

#include <fmt/format.h>

#include "base/try.h"
#include "inventory/not_there.h"
#include "inventory/vfio_driver.h"
#include "plan/choose_mechanism.h"
#include "users/guards.h"

namespace anybind {
namespace {

/// "a, b then c"
Remark one_after_another(const std::vector<Remark>& remarks) {
  Remark out;
  for (std::size_t i = 0; i < remarks.size(); ++i) {
    if (i > 0) out += i + 1 < remarks.size() ? ", " : " then ";
    out += remarks[i];
  }
  return out;
}

/// How a change would do it; an obstacle when it cannot.
std::optional<Mechanism> find_mechanism(const Host& host, const Explanation& e,
                                        const DriverName& driver,
                                        std::vector<Obstacle>& obstacles) {
  const auto dir = host.sysfs.open_dir(e.device.id.path());
  if (!dir) return std::nullopt;
  if (!obstacles.empty() && !host.sysfs.open_dir(driver_path(e.device.id.bus, driver)))
    return std::nullopt;
  auto mechanism = choose_mechanism(host.sysfs, e.device.id, **dir, driver, host.modules);
  if (mechanism) return *mechanism;
  const Error& error = mechanism.error();
  obstacles.push_back({.what = error.why, .advice = one_after_another(error.details)});
  return std::nullopt;
}

/// Also who uses it, when another driver has it.
std::vector<Obstacle> all_obstacles(const Host& host, const Explanation& e,
                                    const DriverName& driver) {
  auto out = obstacles_for(host, e, driver);
  if (e.device.driver == driver) return out;
  for (const Blocker& blocker : find_blockers(host, {{e.device.id}}).blockers) {
    out.push_back({.what = fmt::format("in use, {}: {}", blocker.name, blocker.who),
                   .advice = blocker.way_out()});
  }
  return out;
}

/// The variants of vfio-pci that are made for it, when that is what was asked for.
std::vector<Candidate> variants_of(const Host& host, const Explanation& e, const DriverName& driver,
                                   const std::string& aliases) {
  if (driver.str() != "vfio-pci") return {};
  return vfio_variants(host.sysfs, e.device.id.bus, e.device.modalias,
                       vfio_variant_aliases(aliases));
}

/// As a change does: a name that no driver and no module has is a mistake, and no question.
Result<> check_driver(const Host& host, const DeviceId& device, const DriverName& driver) {
  if (host.modules == nullptr || host.sysfs.open_dir(driver_path(device.bus, driver))) return {};
  const auto module = host.modules->find(driver.str());
  const bool is_loaded =
      module && (module->built_in || host.sysfs.open_dir("module/" + module_key(module->name)));
  if (module && !is_loaded) return {};
  return fail(no_such_driver(host.sysfs, device.bus, driver, host.modules->names()));
}

}  // namespace

Result<DriverAnswer> ask_driver(const Host& host, const Explanation& explanation,
                                const DriverName& driver, const std::string& aliases) {
  const DeviceId& id = explanation.device.id;
  TRY(check_driver(host, id, driver));
  DriverAnswer out{.driver = driver, .obstacles = all_obstacles(host, explanation, driver)};
  if (explanation.device.driver != driver)
    out.mechanism = find_mechanism(host, explanation, driver, out.obstacles);
  if (explanation.group && is_vfio_driver(driver.str()))
    out.group = judge_group(host.sysfs, *explanation.group, {id}, host.rule);
  out.variants = variants_of(host, explanation, driver, aliases);
  out.loads_module =
      out.obstacles.empty() && !host.sysfs.open_dir(driver_path(id.bus, driver)).has_value();
  return out;
}

}  // namespace anybind
