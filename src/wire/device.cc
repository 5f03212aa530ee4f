#include "wire/device.h"

#include <map>

#include <fmt/format.h>
#include "inventory/pci_class.h"
#include "wire/values.h"

namespace anybind::wire {
namespace {

Json hex_id(const std::optional<PciIds>& pci, std::uint16_t PciIds::* field) {
  return pci ? Json(fmt::format("{:04x}", (*pci).*field)) : Json(nullptr);
}

/// What `list` says of a device.
Json listed_object(const Device& device, std::string_view sysfs_root, const std::string& syspath,
                   const std::vector<std::string>& users, PciNames& names) {
  const auto& pci = device.pci;
  Json out;
  out["address"] = device.id.name.str();
  out["bus"] = device.id.bus.str();
  out["syspath"] = fmt::format("{}/{}", sysfs_root, syspath);
  out["modalias"] = or_null(device.modalias);
  out["vendor"] = hex_id(pci, &PciIds::vendor);
  out["device"] = hex_id(pci, &PciIds::device);
  out["subsystem_vendor"] = hex_id(pci, &PciIds::subvendor);
  out["subsystem_device"] = hex_id(pci, &PciIds::subdevice);
  out["class"] = pci ? Json(fmt::format("{:06x}", pci->class_code)) : Json(nullptr);
  out["class_name"] = pci ? Json(class_word(pci->class_code)) : Json(nullptr);
  out["name"] = pci ? Json(names.full(*pci)) : Json(nullptr);
  out["driver"] = or_null(device.driver);
  out["driver_override"] = or_null(device.driver_override);
  out["iommu_group"] = or_null(device.iommu_group);
  out["busy"] = device.busy;
  out["users"] = users;
  return out;
}

/// What the guards found, by device.
std::map<DeviceId, Json> use_arrays(const InUse& in_use, Wording wording) {
  std::map<DeviceId, Json> out;
  for (const Blocker& blocker : in_use.blockers) {
    Json& array = out.try_emplace(blocker.device, Json::array()).first->second;
    array.push_back(wire::to_json(blocker, wording));
  }
  return out;
}

Json use_array(const std::map<DeviceId, Json>& arrays, const DeviceId& id) {
  const auto found = arrays.find(id);
  return found == arrays.end() ? Json::array() : found->second;
}

Json members_array(const std::optional<GroupView>& group) {
  Json members = Json::array();
  if (!group) return members;
  for (const GroupMember& member : group->members) members.push_back(wire::to_json(member));
  return members;
}

Json sriov_object(const SriovView& sriov) {
  Json functions = Json::array();
  for (const DeviceId& id : sriov.functions) functions.push_back(id.name.str());
  return {{"enabled", sriov.enabled},
          {"total", sriov.total},
          {"drivers_autoprobe", sriov.autoprobe},
          {"functions", std::move(functions)}};
}

Json details_object(const Details& details, PciNames& names, std::string_view sysfs_root) {
  Json out = listed_object(details.device, sysfs_root, details.syspath, details.users, names);
  const auto& pf = details.physical_function;
  out["module"] = or_null(details.module);
  out["has_driver_override"] = details.device.has_override;
  out["group_members"] = members_array(details.group);
  out["numa_node"] = or_null(details.numa_node);
  out["power_state"] = or_null(details.power_state);
  out["runtime_status"] = or_null(details.runtime_status);
  out["revision"] =
      details.revision ? Json(fmt::format("{:02x}", *details.revision)) : Json(nullptr);
  out["physical_function"] = pf ? Json(pf->name.str()) : Json(nullptr);
  out["sriov"] = details.sriov ? sriov_object(*details.sriov) : Json(nullptr);
  return out;
}

}  // namespace

Json to_json(const Blocker& blocker, Wording wording) {
  return {{"guard", blocker.name}, {"who", blocker.who}, {"next", wording(blocker.advice)}};
}

Json to_json(const GroupMember& member) {
  return {{"address", member.id.name.str()},
          {"bus", member.id.bus.str()},
          {"driver", or_null(member.driver)},
          {"bridge", member.is_bridge},
          {"blocks_user_space", member.blocks_user_space()}};
}

Json group_object(const std::optional<unsigned>& number, const std::vector<GroupMember>& members,
                  GroupRule rule) {
  Json rows = Json::array();
  bool viable = number.has_value();
  for (const GroupMember& member : members) {
    rows.push_back(to_json(member));
    rows.back()["blocks_user_space"] = member.blocks_user_space(rule);
    viable = viable && !member.blocks_user_space(rule);
  }
  return {{"group", or_null(number)}, {"viable", viable}, {"members", std::move(rows)}};
}

std::string list_text(const Listing& listing, PciNames& names, std::string_view sysfs_root,
                      Wording wording) {
  Lines lines;
  const auto& [devices, places, users, in_use] = listing;
  const auto uses = in_use ? use_arrays(*in_use, wording) : std::map<DeviceId, Json>{};
  for (std::size_t i = 0; i < devices.size(); ++i) {
    const auto found = users.find(devices[i].id);
    Json object =
        listed_object(devices[i], sysfs_root, places[i].syspath,
                      found == users.end() ? std::vector<std::string>{} : found->second, names);
    object["numa_node"] = or_null(places[i].numa_node);
    object["physical_function"] = or_null(places[i].physical_function);
    const FunctionRole& role = places[i].function;
    object["sriov"] =
        role.total == 0 ? Json(nullptr) : Json{{"enabled", role.enabled}, {"total", role.total}};
    if (in_use) object["in_use"] = use_array(uses, devices[i].id);
    lines.add(object);
  }
  return lines.text();
}

std::string show_text(const std::vector<Details>& devices, const InUse& in_use, PciNames& names,
                      std::string_view sysfs_root, Wording wording) {
  Lines lines;
  const auto uses = use_arrays(in_use, wording);
  for (const Details& details : devices) {
    Json object = details_object(details, names, sysfs_root);
    object["in_use"] = use_array(uses, details.device.id);
    object["unseen_processes"] = in_use.unseen;
    lines.add(object);
  }
  return lines.text();
}

}  // namespace anybind::wire
