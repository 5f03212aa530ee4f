#pragma once

#include <string_view>

namespace anybind {

/// A driver for user space, whose unbind waits for its user: vfio-pci, vfio-platform, vfio-fsl-mc
/// and the variants (mlx5_vfio_pci, nvgrace-gpu-vfio-pci). This is the one place that decides it,
/// and it goes by the name: each of these drivers in linux/drivers/vfio has "vfio" in it. There is
/// nothing better to go by. sysfs does not show whether a driver registers with VFIO; `vfio-dev`
/// stands below a device only while it is bound; and plans and journals name drivers that are not
/// loaded. `name` is a driver's, or its module's.
[[nodiscard]] bool is_vfio_driver(std::string_view name);

/// One whose user is kept apart by an IOMMU, so that a device without a group is none for it. Not
/// so for those that stand in for the device and do its DMA themselves
/// (vfio_register_emulated_iommu_dev of linux drivers/vfio/vfio_main.c: vfio_ccw, vfio_ap, and
/// drivers of the mdev bus).
[[nodiscard]] bool needs_iommu_group(std::string_view name);

/// It is of no use but to a program in user space: a VFIO driver, or pci-stub, which only keeps a
/// device from others. `name` as above, pci_stub for the module.
[[nodiscard]] bool is_for_user_space(std::string_view name);

}  // namespace anybind
