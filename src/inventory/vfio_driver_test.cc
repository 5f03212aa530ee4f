#include "inventory/vfio_driver.h"

#include <gtest/gtest.h>

namespace anybind {
namespace {

TEST(VfioDriver, IsToldByItsName) {
  for (const char* name : {"vfio-pci", "vfio_pci", "vfio-platform", "vfio-fsl-mc", "mlx5_vfio_pci",
                           "nvgrace-gpu-vfio-pci", "vfio_mdev"})
    EXPECT_TRUE(is_vfio_driver(name)) << name;
  for (const char* name : {"", "nvme", "pci-stub", "pcieport", "vfi-o", "VFIO"})
    EXPECT_FALSE(is_vfio_driver(name)) << name;
}

TEST(VfioDriver, OneThatEmulatesNeedsNoGroup) {
  for (const char* name : {"vfio_ccw", "vfio_ap", "vfio_mdev", "vfio_ap_mdev", "nvme"})
    EXPECT_FALSE(needs_iommu_group(name)) << name;
  for (const char* name : {"vfio-pci", "vfio-platform", "vfio-fsl-mc", "mlx5_vfio_pci"})
    EXPECT_TRUE(needs_iommu_group(name)) << name;
}

TEST(VfioDriver, LikePciStubIsOfUseToUserSpaceOnly) {
  for (const char* name : {"vfio-pci", "mlx5_vfio_pci", "pci-stub", "pci_stub"})
    EXPECT_TRUE(is_for_user_space(name)) << name;
  for (const char* name : {"pcieport", "nvme", "pci-stub2"})
    EXPECT_FALSE(is_for_user_space(name)) << name;
}

}  // namespace
}  // namespace anybind
