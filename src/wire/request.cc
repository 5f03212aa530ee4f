#include "wire/request.h"

#include <algorithm>

#include "base/text.h"
#include "users/guards.h"
#include "wire/reading.h"
#include "wire/values.h"

namespace anybind::wire {
namespace {

constexpr std::size_t kMostRequestText = 1U << 20;
constexpr std::uint64_t kMostPatience = 1'000'000'000'000;  // milliseconds

constexpr Words<Request::Verb, 5> kVerbs{{"bind", "unbind", "restore", "undo", "vfs"}};
constexpr Words<Stays, 4> kStays{{"held", "named", "loose", "only-named"}};

Result<std::vector<std::string>> guards_from(const Members& in) {
  auto out = TRY(in.texts("ignored"));
  const auto& known = guard_names();
  for (const std::string& name : out) {
    if (name != kSameId && std::ranges::find(known, name) == known.end())
      return fail_at(in.where("ignored"), "no such guard: " + printable(name));
  }
  return out;
}

Result<std::pair<DeviceId, Instance>> pinned_from(const Value& value, const std::string& where) {
  const Members in = TRY(Members::of(value, where, {"bus", "address", "instance"}));
  return std::pair(TRY(device_of(in)), TRY(in.one("instance", instance_from)));
}

Result<std::pair<DeviceId, std::string>> name_from(const Value& value, const std::string& where) {
  const Members in = TRY(Members::of(value, where, {"bus", "address", "name"}));
  auto name = TRY(in.exact("name"));
  if (!is_sysfs_name(name)) return fail_at(in.where("name"), "not the name of an interface");
  return std::pair(TRY(device_of(in)), std::move(name));
}

}  // namespace

Json to_json(const Request& request) {
  Json devices = Json::array();
  for (const DeviceId& device : request.devices) devices.push_back(device_object(device));
  Json names = Json::array();
  for (const auto& [device, name] : request.names) {
    names.push_back(device_object(device));
    names.back()["name"] = name;
  }
  Json instances = Json::array();
  for (const auto& [device, instance] : request.instances) {
    instances.push_back(device_object(device));
    instances.back()["instance"] = instance_object(instance);
  }
  const auto patience = request.patience
                            ? std::optional(static_cast<std::uint64_t>(request.patience->count()))
                            : std::nullopt;
  return {{"verb", kVerbs.of(request.verb)},
          {"devices", std::move(devices)},
          {"driver", or_null(request.driver)},
          {"names", std::move(names)},
          {"instances", std::move(instances)},
          {"whole_group", request.whole_group},
          {"everything", request.everything},
          {"mechanism", request.mechanism ? Json(name_of(*request.mechanism)) : Json(nullptr)},
          {"no_iommu", request.no_iommu},
          {"part_of_group", request.part_of_group},
          {"stays", kStays.of(request.stays)},
          {"owner", request.owner},
          {"count", request.count},
          {"function_drivers", drivers_array(request.function_drivers)},
          {"change", or_null(request.change)},
          {"ignored", request.ignored},
          {"patience_ms", or_null(patience)}};
}

namespace {

Result<Request> request_in(const Members& in) {
  Request out{.verb = TRY(in.word("verb", kVerbs))};
  if (in.has("devices")) out.devices = TRY(in.list("devices", device_from));
  out.driver = TRY(in.name_or_null<DriverName>("driver"));
  if (in.has("names")) {
    for (auto& [device, name] : TRY(in.list("names", name_from)))
      out.names.emplace(device, std::move(name));
  }
  if (in.has("instances")) {
    for (auto& [device, instance] : TRY(in.list("instances", pinned_from)))
      out.instances.emplace(device, instance);
  }
  if (in.has("everything")) out.everything = TRY(in.flag("everything"));
  if (in.has("whole_group")) out.whole_group = TRY(in.flag("whole_group"));
  if (in.has("mechanism")) out.mechanism = TRY(in.word("mechanism", MechanismWords{}));
  if (in.has("no_iommu")) out.no_iommu = TRY(in.flag("no_iommu"));
  if (in.has("part_of_group")) out.part_of_group = TRY(in.flag("part_of_group"));
  if (in.has("stays")) out.stays = TRY(in.word("stays", kStays));
  if (in.has("owner")) out.owner = TRY(in.exact("owner"));
  if (in.has("count")) out.count = static_cast<unsigned>(TRY(in.number("count", kMostFunctions)));
  if (in.has("function_drivers")) {
    for (auto& [number, driver] : TRY(in.list("function_drivers", driver_of_function)))
      out.function_drivers.insert_or_assign(number, std::move(driver));
  }
  if (in.has("change")) out.change = TRY(in.number("change", UINT64_MAX));
  if (in.has("ignored")) out.ignored = TRY(guards_from(in));
  if (in.has("patience_ms")) {
    out.patience = std::chrono::milliseconds(
        static_cast<std::int64_t>(TRY(in.number("patience_ms", kMostPatience))));
  }
  return out;
}

}  // namespace

Result<Request> request_from_json(std::string_view text) {
  const Value value = TRY(parse(text, kMostRequestText, "request"));
  const Members in =
      TRY(Members::of(value, "request",
                      {"verb", "devices", "driver", "names", "instances", "whole_group",
                       "everything", "mechanism", "no_iommu", "part_of_group", "stays", "owner",
                       "count", "function_drivers", "change", "ignored", "patience_ms"}));
  return request_in(in);
}

Json to_json(const Wanted& wanted) {
  Json out = to_json(wanted.request);
  if (wanted.persist) out["persist"] = true;
  if (wanted.recreate) out["recreate"] = true;
  return out;
}

Result<Wanted> wanted_from_json(std::string_view text) {
  const Value value = TRY(parse(text, kMostRequestText, "request"));
  const Members in = TRY(
      Members::of(value, "request",
                  {"verb", "devices", "driver", "names", "instances", "whole_group", "everything",
                   "mechanism", "no_iommu", "part_of_group", "stays", "owner", "count",
                   "function_drivers", "change", "ignored", "patience_ms", "persist", "recreate"}));
  Wanted out{.request = TRY(request_in(in))};
  if (in.has("persist")) out.persist = TRY(in.flag("persist"));
  if (in.has("recreate")) out.recreate = TRY(in.flag("recreate"));
  return out;
}

}  // namespace anybind::wire
