#include "inventory/place.h"

#include <cstdint>
#include <string>

#include "base/text.h"
#include "inventory/net_interface.h"

namespace anybind {

Place read_place(Sysfs& root, const Device& device) {
  Place out{.syspath = read_syspath(root, device.id)};
  if (!device.pci) return out;
  const auto node = root.read(device.id.path() + "/numa_node");
  if (const auto number = node ? parse_decimal(trim_newline(*node), UINT16_MAX) : std::nullopt)
    out.numa_node = static_cast<unsigned>(*number);
  if (device.pci->is_bridge()) return out;
  out.function = read_function_role(root, device.id);
  const auto maker = root.read_link(device.id.path() + "/physfn");
  if (maker) out.physical_function = std::string(link_name(*maker));
  return out;
}

}  // namespace anybind
