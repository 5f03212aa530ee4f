#include "wire/explain.h"

#include "wire/device.h"
#include "wire/values.h"

namespace anybind::wire {
namespace {

Json role_object(const MemberRole& role) {
  return {{"address", role.member.id.name.str()},
          {"blocks", role.blocks},
          {"bus", role.member.id.bus.str()},
          {"why", role.why}};
}

}  // namespace

Json to_json(const Candidate& candidate) {
  return {{"driver", or_null(candidate.driver)},
          {"module", candidate.module},
          {"name", name_to_ask_for(candidate)},
          {"rule", candidate.rule},
          {"vfio_variant", candidate.is_vfio}};
}

Json to_json(const Viability& viability, Wording wording) {
  Json others = Json::array();
  for (const MemberRole& role : viability.members) others.push_back(role_object(role));
  Json refusals = Json::array();
  for (const VfioRefusal& refusal : viability.refusals) {
    refusals.push_back(
        {{"guard", refusal.guard}, {"next", wording(refusal.way_out())}, {"what", refusal.what}});
  }
  return {{"changes", texts_of(viability.changes, wording)},
          {"missing_isolation", viability.isolation},
          {"others", std::move(others)},
          {"refusals", std::move(refusals)},
          {"rule", viability.rule},
          {"viable", viability.viable}};
}

Json to_json(const DriverAnswer& answer, Wording wording) {
  Json obstacles = Json::array();
  for (const Obstacle& obstacle : answer.obstacles)
    obstacles.push_back({{"next", wording(obstacle.advice)}, {"what", obstacle.what}});
  Json variants = Json::array();
  for (const Candidate& variant : answer.variants)
    variants.push_back({{"driver", variant.driver}, {"module", variant.module}});
  Json out;
  if (answer.group) out["group"] = to_json(*answer.group, wording);
  out["loads_module"] = answer.loads_module;
  out["mechanism"] = answer.mechanism ? Json(name_of(*answer.mechanism)) : Json(nullptr);
  out["name"] = answer.driver.str();
  out["obstacles"] = std::move(obstacles);
  out["possible"] = answer.obstacles.empty();
  out["variants"] = std::move(variants);
  return out;
}

Json to_json(const Explanation& explanation, const DriverAnswer* asked, Wording wording) {
  const Device& device = explanation.device;
  Json candidates = Json::array();
  for (const Candidate& each : explanation.candidates) candidates.push_back(to_json(each));
  Json members = Json::array();
  if (explanation.group) {
    for (const GroupMember& each : explanation.group->members) members.push_back(to_json(each));
  }
  Json out = {{"address", device.id.name.str()}};
  if (asked != nullptr) out["asked"] = to_json(*asked, wording);
  out["bus"] = device.id.bus.str();
  out["busy"] = device.busy;
  out["candidates"] = std::move(candidates);
  out["driver"] = or_null(device.driver);
  out["driver_override"] = or_null(device.driver_override);
  out["gated"] = explanation.is_gated;
  out["group_members"] = std::move(members);
  out["iommu_group"] = explanation.group ? Json(explanation.group->number) : Json(nullptr);
  out["verdict"] = explanation.verdict;
  return out;
}

}  // namespace anybind::wire
