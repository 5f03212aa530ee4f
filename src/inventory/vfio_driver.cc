#include "inventory/vfio_driver.h"

namespace anybind {

bool is_vfio_driver(std::string_view name) {
  return name.contains("vfio");
}

bool is_for_user_space(std::string_view name) {
  return is_vfio_driver(name) || name == "pci-stub" || name == "pci_stub";
}

}  // namespace anybind
