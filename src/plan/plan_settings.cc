#include "plan/plan_settings.h"
#include "plan/choose_mechanism.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/check.h"
#include "base/text.h"
#include "base/try.h"
#include "inventory/match.h"
#include "inventory/not_there.h"
#include "plan/dynamic_id.h"
#include "plan/request.h"

namespace anybind {
namespace {

/// An id that no hardware has: vendor and device have 16 bits.
constexpr std::string_view kMadeUpId = "1dead beef";

bool needs_own_id(Mechanism mechanism) {
  return mechanism == Mechanism::kNewId || mechanism == Mechanism::kNewIdWindow ||
         mechanism == Mechanism::kAutoprobeFlag;
}

/// Collects the settings of one plan, each once.
class Settings {
 public:
  Settings(const Host& host, const BindRequest& request, Plan& plan)
      : root_(host.sysfs), modules_(host.modules), request_(request), plan_(plan) {
    for (const DevicePlan& device : plan.devices) going_.insert(device.device);
  }

  Result<> add_flags(const DevicePlan& of) {
    if (of.mechanism == Mechanism::kNewIdWindow) TRY(add_autoprobe(of.device.bus));
    if (of.mechanism == Mechanism::kAutoprobeFlag) {
      add_flag(driver_path(of.device.bus, request_.driver) + "/autoprobe",
               "let nothing but its bind file bind " + request_.driver.str());
    }
    return {};
  }

  Result<> add_ids(const DevicePlan& of) {
    const std::string driver = driver_path(of.device.bus, request_.driver);
    if (of.mechanism == Mechanism::kDriverProbeId) {
      const std::string file = of.device.path() + "/driver_probe_id";
      add({.path = file,
           .bytes = std::string(kMadeUpId) + "\n",
           .undo_path = file,
           .undo_bytes = "\n",
           .reason = "give it an id that no other device has",
           .device = of.device,
           .instance = of.instance,
           .brief = true});
      TRY(check_captured(of, std::nullopt));
      add_id(driver, {.add = std::string(kMadeUpId), .remove = std::string(kMadeUpId)});
    } else if (needs_own_id(of.mechanism)) {
      const auto dir = root_.open_dir(of.device.path());
      if (!dir) return fail(no_such_device(root_, of.device, of.device.str()));
      const auto id = dynamic_id(**dir, of.device);
      if (!id) return {};  // offered_mechanisms() has seen one, so that it has just gone
      if (of.mechanism != Mechanism::kAutoprobeFlag) TRY(check_captured(of, id));
      add_id(driver, *id);
    }
    return {};
  }

 private:
  void add(Setting setting) {
    if (std::ranges::find(plan_.settings, setting) == plan_.settings.end())
      plan_.settings.push_back(std::move(setting));
  }
  /// Nothing to do where it is off: whoever did that wants it so.
  void add_flag(const std::string& path, std::string reason, Instance youngest = {}) {
    const auto text = root_.read(path);
    if (!text || text->starts_with('0')) return;
    add({.path = path,
         .bytes = "0",
         .undo_path = path,
         .undo_bytes = "1",
         .reason = std::move(reason),
         .youngest = youngest});
  }
  Result<> add_autoprobe(const BusName& bus) {
    const std::string path = fmt::format("bus/{}/drivers_autoprobe", bus.str());
    if (std::ranges::find(plan_.settings, path, &Setting::path) != plan_.settings.end()) return {};
    add_flag(path, "let no device or driver that comes be probed", TRY(youngest_on(root_, bus)));
    return {};
  }
  void add_id(const std::string& driver, const DynamicId& id) {
    add({.path = driver + "/new_id",
         .bytes = id.add,
         .undo_path = driver + "/remove_id",
         .undo_bytes = id.remove,
         .reason = "let " + request_.driver.str() + " match it, meanwhile",
         .brief = true});
  }

  Result<> check_captured(const DevicePlan& of, const std::optional<DynamicId>& id) {
    const OwnIds own(root_, of.device.bus, request_.driver, modules_);
    const auto others = TRY(captured_by(root_, of.device.bus, id, request_.driver, own, going_));
    if (others.empty()) return {};
    std::vector<std::string> names;
    names.reserve(others.size());
    for (const DeviceId& other : others) names.push_back(other.str());
    const std::string what = fmt::format(
        "{} without a driver would go to {} too, for new_id offers it every such device",
        join_words(names), request_.driver.str());
    if (request_.ignores_same_id) {
      plan_.warnings.emplace_back(what);
      return {};
    }
    return fail({.kind = ErrorKind::kRefused,
                 .object = of.device.str(),
                 .why = what,
                 .advice = "name them too, or " + Remark(Action::kIgnore, {std::string(kSameId)})});
  }

  Sysfs& root_;
  ModuleLoader* modules_;
  const BindRequest& request_;
  Plan& plan_;
  std::set<DeviceId> going_;
};

constexpr const char* kNoIommuMode = "module/vfio/parameters/enable_unsafe_noiommu_mode";

}  // namespace

Result<> add_no_iommu_mode(const Host& host, const BindRequest& request, const DeviceId& id,
                           Plan& plan) {
  Sysfs& root = host.sysfs;
  const std::string device = id.str();
  const auto mode = root.read(kNoIommuMode);
  const bool is_on = mode && mode->starts_with('Y');
  if (!request.no_iommu) {
    // Before its module is loaded nobody knows which buses a driver is on; most of VFIO's are on
    // PCI.
    if (!is_on && !plan.modules.empty() && id.bus.str() != "pci") return {};
    if (!is_on) {  // the driver would refuse it, when the host driver has already gone
      Obstacle none = no_group_obstacle(host);
      return fail({.kind = ErrorKind::kRefused,
                   .object = device,
                   .why = none.what + fmt::format("; {} would refuse it", request.driver.str()),
                   .advice = std::move(none.advice)});
    }
    return fail({.kind = ErrorKind::kRefused,
                 .object = device,
                 .why = "it is in no IOMMU group, and VFIO's no-IOMMU mode is on: whoever has the "
                        "device could read and write all memory",
                 .advice = Remark(Action::kAllowNoIommu) + ", if that is meant"});
  }
  if (!mode && plan.modules.empty()) {
    return fail(
        {.kind = ErrorKind::kRefused,
         .object = device,
         .why = fmt::format("there is no {}: this kernel has no no-IOMMU mode", kNoIommuMode),
         .advice = "a kernel with CONFIG_VFIO_NOIOMMU, or an IOMMU"});
  }
  plan.warnings.push_back(
      fmt::format("{}: no IOMMU keeps it from reading and writing all memory: who has it has the "
                  "machine; the kernel is tainted, and the no-IOMMU mode stays on (",
                  device) +
      Remark(Action::kUndo) + " takes it back)");
  if (is_on) return {};
  plan.settings.push_back({.path = kNoIommuMode,
                           .bytes = "Y",
                           .undo_path = kNoIommuMode,
                           .undo_bytes = "N",
                           .reason = "let VFIO have devices without an IOMMU, which is unsafe",
                           .lasting = true});
  return {};
}

namespace {

void add_words(const BindRequest& request, const std::set<Mechanism>& used, Plan& plan) {
  for (const Mechanism mechanism : used) {
    const MechanismInfo& info = all_mechanisms()[static_cast<std::size_t>(mechanism)];
    CHECK(info.mechanism == mechanism, "the table of mechanisms is in their order");
    if (!request.mechanism) {
      if (!names_driver(mechanism))
        plan.notes.emplace_back(fmt::format("no driver_override there: by {}", info.name));
      continue;
    }
    if (info.warning.empty()) continue;
    Remark warning = fmt::format("{}: {}", info.name, info.warning);
    if (!info.row.empty()) warning += " (" + Remark(Action::kRace, {std::string(info.row)}) + ")";
    plan.warnings.push_back(std::move(warning));
  }
}

}  // namespace

Result<> add_settings(const Host& host, const BindRequest& request, Plan& plan) {
  std::set<Mechanism> used;
  Settings settings(host, request, plan);
  for (const DevicePlan& of : plan.devices) {
    if (of.steps.empty()) continue;
    used.insert(of.mechanism);
    TRY(settings.add_flags(of));
  }
  for (const DevicePlan& of : plan.devices) {
    if (!of.steps.empty()) TRY(settings.add_ids(of));
  }
  add_words(request, used, plan);
  return {};
}

namespace {

/// "bus/pci/drivers_autoprobe", "bus/usb/drivers/option/new_id".
bool is_bus_file(std::string_view path) {
  constexpr std::string_view kBus = "bus/";
  if (!path.starts_with(kBus)) return false;
  path.remove_prefix(kBus.size());
  const std::string_view bus = path.substr(0, path.find('/'));
  if (bus.size() == path.size() || !BusName::parse(std::string(bus))) return false;
  path.remove_prefix(bus.size() + 1);
  if (path == "drivers_autoprobe") return true;
  constexpr std::string_view kDrivers = "drivers/";
  if (!path.starts_with(kDrivers)) return false;
  path.remove_prefix(kDrivers.size());
  const std::string_view driver = path.substr(0, path.find('/'));
  if (driver.size() == path.size() || !DriverName::parse(std::string(driver))) return false;
  path.remove_prefix(driver.size() + 1);
  return path == "new_id" || path == "remove_id" || path == "autoprobe";
}

bool is_device_file(const DeviceId& device, std::string_view path) {
  const std::string dir = device.path() + "/";
  if (!path.starts_with(dir)) return false;
  path.remove_prefix(dir.size());
  return path == "sriov_numvfs" || path == "sriov_drivers_autoprobe" || path == "driver_probe_id";
}

}  // namespace

bool may_be_written(const Setting& setting) {
  const auto may = [&](const std::string& path) {
    if (setting.device) return is_device_file(*setting.device, path);
    return path == kNoIommuMode || is_bus_file(path);
  };
  return may(setting.path) && may(setting.undo_path);
}

}  // namespace anybind
