#include "wire/plan.h"

#include "plan/plan_settings.h"
#include "wire/outcome.h"
#include "wire/reading.h"
#include "wire/remark.h"
#include "wire/values.h"

namespace anybind::wire {
namespace {

constexpr std::size_t kMostPlanText = 16U << 20;
constexpr std::uint64_t kMostNewFunctions = 0xFFFF;

constexpr Words<Step::Kind, 8> kKinds{
    {"set_override", "unbind", "bind", "probe", "set_preferred", "vfio_bind", "drvctl", "wake"}};

template <class T>
Json array_of(const std::vector<T>& all) {
  Json out = Json::array();
  for (const T& each : all) out.push_back(wire::to_json(each));
  return out;
}

Result<Binding> only_binding(const Value& value, const std::string& where) {
  return binding_from(value, where, Members::Others::kRefused);
}

Result<Goal> goal_from(const Value& value, const std::string& where) {
  const Members in = TRY(Members::of(value, where, {"driver", "driver_override", "default_match"}));
  return Goal{.driver = TRY(in.name_or_null<DriverName>("driver")),
              .driver_override = TRY(in.exact_or_null("driver_override")),
              .default_match = TRY(in.flag("default_match"))};
}

/// Of these the value is a driver, and becomes part of a path or a word for the kernel.
bool names_a_driver(Step::Kind kind) {
  return kind == Step::Kind::kUnbind || kind == Step::Kind::kBind ||
         kind == Step::Kind::kVfioBind || kind == Step::Kind::kDrvctl;
}

Result<Step> step_from(const Value& value, const std::string& where) {
  const Members in = TRY(Members::of(value, where, {"kind", "value", "reason"}));
  Step out{.kind = TRY(in.word("kind", kKinds)),
           .value = TRY(in.exact("value")),
           .reason = TRY(in.text("reason"))};
  if (names_a_driver(out.kind)) TRY(in.name<DriverName>("value"));
  if (out.kind == Step::Kind::kWake && out.value != "on" && out.value != "auto")
    return fail_at(in.where("value"), "neither on nor auto");
  if (out.value.find_first_of(std::string_view("\n\0", 2)) != std::string::npos)
    return fail_at(in.where("value"), "more than a line");
  return out;
}

Result<DevicePlan> device_plan_from(const Value& value, const std::string& where) {
  const Members in = TRY(Members::of(
      value, where,
      {"bus", "address", "instance", "before", "goal", "steps", "parked", "mechanism", "called"}));
  return DevicePlan{.device = TRY(device_of(in)),
                    .instance = TRY(in.one("instance", instance_from)),
                    .before = TRY(in.one("before", only_binding)),
                    .goal = TRY(in.one("goal", goal_from)),
                    .steps = TRY(in.list("steps", step_from)),
                    .parked = TRY(in.flag("parked")),
                    .mechanism = TRY(in.word("mechanism", MechanismWords{})),
                    .called = TRY(in.text("called"))};
}

Result<ModuleLoad> module_from(const Value& value, const std::string& where) {
  const Members in = TRY(Members::of(value, where, {"module", "bus", "driver", "reason"}));
  ModuleLoad out{.module = TRY(in.exact("module")),
                 .bus = TRY(in.name<BusName>("bus")),
                 .driver = TRY(in.name<DriverName>("driver")),
                 .reason = TRY(in.text("reason"))};
  if (!is_sysfs_name(out.module) || out.module.starts_with('-'))  // modprobe would take an option
    return fail_at(in.where("module"), "not a possible module name");
  return out;
}

Result<Setting> setting_from(const Value& value, const std::string& where) {
  const Members in =
      TRY(Members::of(value, where,
                      {"path", "bytes", "undo_path", "undo_bytes", "reason", "device", "instance",
                       "lasting", "late", "brief", "youngest"}));
  Setting out{.path = TRY(in.exact("path")),
              .bytes = TRY(in.exact("bytes")),
              .undo_path = TRY(in.exact("undo_path")),
              .undo_bytes = TRY(in.exact("undo_bytes")),
              .reason = TRY(in.text("reason")),
              .instance = TRY(in.one("instance", instance_from)),
              .lasting = TRY(in.flag("lasting")),
              .late = TRY(in.flag("late")),
              .brief = TRY(in.flag("brief"))};
  if (in.has("youngest")) out.youngest = TRY(in.one("youngest", instance_from));
  if (in.has("device")) out.device = TRY(in.one("device", device_from));
  if (!may_be_written(out)) return fail_at(where, "a file that plans never write to");
  return out;
}

Result<std::pair<DeviceId, Goal>> goal_of_one(const Value& value, const std::string& where) {
  const Members in = TRY(Members::of(value, where, {"bus", "address", "goal"}));
  return std::pair(TRY(device_of(in)), TRY(in.one("goal", goal_from)));
}

Result<NewFunctions> functions_from(const Value& value, const std::string& where) {
  const Members in =
      TRY(Members::of(value, where, {"bus", "address", "count", "driver", "drivers", "goals"}));
  NewFunctions out{.pf = TRY(device_of(in)),
                   .count = static_cast<unsigned>(TRY(in.number("count", kMostNewFunctions))),
                   .driver = TRY(in.name<DriverName>("driver"))};
  if (in.has("drivers")) {
    for (auto& [number, driver] : TRY(in.list("drivers", driver_of_function)))
      out.drivers.insert_or_assign(number, std::move(driver));
  }
  if (!in.has("goals")) return out;
  for (auto& [device, goal] : TRY(in.list("goals", goal_of_one))) out.goals.emplace(device, goal);
  return out;
}

Json functions_object(const NewFunctions& functions) {
  Json out = device_object(functions.pf);
  out["count"] = functions.count;
  out["driver"] = functions.driver.str();
  if (!functions.drivers.empty()) out["drivers"] = drivers_array(functions.drivers);
  if (functions.goals.empty()) return out;
  out["goals"] = Json::array();
  for (const auto& [device, goal] : functions.goals) {
    out["goals"].push_back(device_object(device));
    out["goals"].back()["goal"] = wire::to_json(goal);
  }
  return out;
}

}  // namespace

Json to_json(const Step& step) {
  return {{"kind", kKinds.of(step.kind)}, {"value", step.value}, {"reason", step.reason}};
}

Json to_json(const Goal& goal) {
  return {{"driver", or_null(goal.driver)},
          {"driver_override", or_null(goal.driver_override)},
          {"default_match", goal.default_match}};
}

Json to_json(const DevicePlan& device) {
  Json out = device_object(device.device);
  out["instance"] = instance_object(device.instance);
  out["before"] = to_json(device.before);
  out["goal"] = to_json(device.goal);
  out["steps"] = array_of(device.steps);
  out["parked"] = device.parked;
  out["mechanism"] = name_of(device.mechanism);
  out["called"] = device.called;
  return out;
}

Json to_json(const ModuleLoad& load) {
  return {{"module", load.module},
          {"bus", load.bus.str()},
          {"driver", load.driver.str()},
          {"reason", load.reason}};
}

Json to_json(const Setting& setting) {
  return {{"path", setting.path},
          {"bytes", setting.bytes},
          {"undo_path", setting.undo_path},
          {"undo_bytes", setting.undo_bytes},
          {"reason", setting.reason},
          {"device", setting.device ? device_object(*setting.device) : Json(nullptr)},
          {"instance", instance_object(setting.instance)},
          {"lasting", setting.lasting},
          {"late", setting.late},
          {"brief", setting.brief},
          {"youngest", instance_object(setting.youngest)}};
}

Json to_json(const Plan& plan) {
  return {{"modules", array_of(plan.modules)},
          {"settings", array_of(plan.settings)},
          {"devices", array_of(plan.devices)},
          {"makes", plan.makes ? functions_object(*plan.makes) : Json(nullptr)},
          {"restores", plan.restores},
          {"undoes", plan.undoes},
          {"notes", to_json(plan.notes)},
          {"warnings", to_json(plan.warnings)}};
}

Result<Plan> plan_from_json(std::string_view text) {
  const Value value = TRY(parse(text, kMostPlanText, "plan"));
  const Members in = TRY(Members::of(
      value, "plan",
      {"modules", "settings", "devices", "makes", "restores", "undoes", "notes", "warnings"}));
  Plan out{.modules = TRY(in.list("modules", module_from)),
           .settings = TRY(in.list("settings", setting_from)),
           .devices = TRY(in.list("devices", device_plan_from)),
           .restores = TRY(in.flag("restores")),
           .undoes = TRY(in.number("undoes", UINT64_MAX)),
           .notes = TRY(in.list("notes", remark_from)),
           .warnings = TRY(in.list("warnings", remark_from))};
  if (in.has("makes")) out.makes = TRY(in.one("makes", functions_from));
  return out;
}

}  // namespace anybind::wire
