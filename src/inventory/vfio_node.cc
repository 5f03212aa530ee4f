#include "inventory/vfio_node.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"

namespace anybind {

std::vector<VfioNode> vfio_nodes(Sysfs& root, const std::string& real) {
  std::vector<VfioNode> out;
  const auto add = [&](const std::string& number_file, std::string path) {
    const auto text = root.read(number_file);
    const auto number = text ? parse_node_number(trim_newline(*text), false) : std::nullopt;
    if (number) out.push_back({.path = std::move(path), .number = *number});
  };
  const auto link = root.read_link(real + "/iommu_group");
  const std::string group = link ? std::string(link_name(*link)) : "";
  // vfio_group_create() of linux drivers/vfio/group.c: one without an IOMMU has another name.
  for (const std::string& name : {group, "noiommu-" + group}) {
    if (is_sysfs_name(name)) add(fmt::format("class/vfio/{}/dev", name), "vfio/" + name);
  }
  auto own = root.list(real + "/vfio-dev").value_or(std::vector<std::string>{});
  std::ranges::sort(own);
  for (const std::string& name : own)
    add(fmt::format("{}/vfio-dev/{}/dev", real, name), "vfio/devices/" + name);
  return out;
}

}  // namespace anybind
