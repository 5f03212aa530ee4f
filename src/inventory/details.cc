#include "inventory/details.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "base/try.h"
#include "inventory/net_interface.h"

namespace anybind {
namespace {

/// One line of an attribute; nothing when it is absent, empty or unreadable.
std::optional<std::string> read_text(Sysfs& device, std::string_view attribute) {
  const auto text = device.read(attribute);
  if (!text || trim_newline(*text).empty()) return std::nullopt;
  return std::string(trim_newline(*text));
}

std::optional<unsigned> read_number(Sysfs& device, std::string_view attribute) {
  const auto text = read_text(device, attribute);
  const auto value = text ? parse_decimal(*text, UINT32_MAX) : std::nullopt;
  return value ? std::optional(static_cast<unsigned>(*value)) : std::nullopt;
}

std::optional<unsigned> read_revision(Sysfs& device) {
  const auto text = read_text(device, "revision");
  const auto value = text ? parse_hex(*text, 0xFF) : std::nullopt;
  return value ? std::optional(static_cast<unsigned>(*value)) : std::nullopt;
}

/// The PCI function that a link of a held device directory names.
std::optional<DeviceId> linked_function(Sysfs& device, std::string_view link) {
  const auto target = device.read_link(link);
  auto name = DeviceName::parse(target ? link_name(*target) : "");
  if (!name || !PciAddress::parse(name->str())) return std::nullopt;
  return DeviceId{.bus = BusName::literal("pci"), .name = *std::move(name)};
}

std::optional<SriovView> read_sriov(Sysfs& device) {
  const auto total = read_number(device, "sriov_totalvfs");
  if (!total) return std::nullopt;
  SriovView out{.enabled = read_number(device, "sriov_numvfs").value_or(0),
                .total = *total,
                .autoprobe = read_text(device, "sriov_drivers_autoprobe") != "0",
                .functions = {}};
  for (const std::string& entry : device.list("").value_or(std::vector<std::string>{})) {
    if (!entry.starts_with("virtfn")) continue;
    if (auto function = linked_function(device, entry))
      out.functions.push_back(*std::move(function));
  }
  std::ranges::sort(out.functions, address_less);
  return out;
}

std::optional<std::string> read_module(Sysfs& root, const Device& device) {
  if (!device.driver) return std::nullopt;
  const auto target = root.read_link(driver_path(device.id.bus, *device.driver) + "/module");
  return target ? std::optional(std::string(link_name(*target))) : std::nullopt;
}

}  // namespace

Result<Details> read_details(Sysfs& root, const DeviceId& id) {
  const auto dir = root.open_dir(id.path());
  if (!dir) return fail(from_errno(dir.error(), "show", id.str(), ErrorKind::kNotFound));
  Details out{.device = TRY(read_device(**dir, id))};
  out.syspath = read_syspath(root, id);
  out.module = read_module(root, out.device);
  if (out.device.iommu_group) {
    if (auto group = read_group_view(root, *out.device.iommu_group)) out.group = *std::move(group);
  }
  out.numa_node = read_number(**dir, "numa_node");
  out.power_state = read_text(**dir, "power_state");
  if (const auto power = (*dir)->open_dir("power"))
    out.runtime_status = read_text(**power, "runtime_status");
  out.revision = read_revision(**dir);
  out.physical_function = linked_function(**dir, "physfn");
  out.sriov = read_sriov(**dir);
  const UsersByDevice users = read_users(root);
  if (const auto found = users.find(id); found != users.end()) out.users = found->second;
  return out;
}

}  // namespace anybind
