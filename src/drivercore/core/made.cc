#include "drivercore/core/made.h"

#include <fmt/format.h>

#include "drivercore/core/index.h"
#include "drivercore/core/uevent.h"

namespace anybind::drivercore {

std::vector<std::pair<std::string, std::string>> made_by_driver(const Device& device) {
  std::vector<std::pair<std::string, std::string>> out;
  if (!device.children_shown) return out;
  if (device.vfio) {
    out.emplace_back(fmt::format("vfio-dev/vfio{}", *device.vfio), "vfio-dev");
    return out;
  }
  for (const Child& child : device.children) out.emplace_back(child_path(child), child.kind);
  return out;
}

std::string class_of_made(const Device& device, const std::string& path) {
  for (const auto& [made, kind] : made_by_driver(device)) {
    if (made == path) return kind;
  }
  return "";
}

std::vector<std::string> uevent_lines_of_made(const Device& device, const std::string& path) {
  if (device.vfio) return {};
  for (const Child& child : device.children) {
    if (child_path(child) == path) return uevent_lines(child);
  }
  return {};
}

std::vector<std::string> uevent_lines_of_virtual(const std::string& path) {
  if (!path.starts_with("vfio/")) return {};
  return {"DEVNAME=" + path};
}

}  // namespace anybind::drivercore
