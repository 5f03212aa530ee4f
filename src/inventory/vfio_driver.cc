#include "inventory/vfio_driver.h"

namespace anybind {

bool is_vfio_driver(std::string_view name) {
  return name.contains("vfio");
}

bool needs_iommu_group(std::string_view name) {
  const bool emulates =
      name.starts_with("vfio_ccw") || name.starts_with("vfio_ap") || name.contains("mdev");
  return is_vfio_driver(name) && !emulates;
}

bool is_for_user_space(std::string_view name) {
  return is_vfio_driver(name) || name == "pci-stub" || name == "pci_stub";
}

}  // namespace anybind
