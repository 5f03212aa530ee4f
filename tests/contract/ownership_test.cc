// Who has an IOMMU group, what the module of a driver shows of it, and devices that wait.
#include <cerrno>

#include "contract.h"

namespace anybind::contract {
namespace {

/// The first function behind the bridge is open in user space, the second is free.
class Held : public Contract {
 protected:
  void SetUp() override {
    Contract::SetUp();
    for (const std::string& nic : {first_, second_}) make_free(nic);
    ASSERT_EQ(dev(first_, "driver_override", "vfio-pci"), 0);
    ASSERT_EQ(drv("vfio-pci", "bind", first_), 0);
    ASSERT_TRUE(target->hold(first_));
    (void)target->uevents();
  }
  void TearDown() override {
    target->let_go();
    for (const std::string& nic : {first_, second_}) reset_device(nic, "e1000");
    Contract::TearDown();
  }
  std::string type() { return "kernel/iommu_groups/" + group_of(first_) + "/type"; }
  const std::string first_ = "0000:01:01.0";
  const std::string second_ = "0000:01:02.0";
};
using GroupType = Contract;
using Module = Contract;
using Deferred = Contract;

bool owns(const KernelProfile& kernel) {
  return kernel.has(Change::kDmaOwnership) && kernel.has(Mechanism::kDriverOverride);
}
bool changes_shared(const KernelProfile& kernel) {
  return kernel.has(Mechanism::kDriverOverride) && kernel.has(Change::kChangesSharedGroupType);
}
bool changes_single(const KernelProfile& kernel) {
  return kernel.has(Change::kGroupTypeFile) && !kernel.has(Change::kChangesSharedGroupType);
}

STATEMENT(owns, Held, KeepsAHostDriverOutBeforeItsProbe) {
  EXPECT_EQ(drv("e1000", "bind", second_), EBUSY);
  EXPECT_EQ(bus("drivers_probe", second_), EINVAL);
  EXPECT_EQ(driver_of(second_), "");
  EXPECT_EQ(target->uevents(), std::vector<std::string>{});
}

STATEMENT(owns, Held, LetsDriversThatManageDmaIn) {
  ASSERT_EQ(dev(second_, "driver_override", "pci-stub"), 0);
  EXPECT_EQ(bus("drivers_probe", second_), 0);
  EXPECT_EQ(driver_of(second_), "pci-stub");
}

STATEMENT(owns, Held, LeavesANewcomerDriverless) {
  ASSERT_EQ(dev(second_, "remove", "1"), 0);
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(driver_of(second_), "");
  EXPECT_EQ(group_of(second_), group_of(first_));
}

STATEMENT(owns, Held, KeepsTheModuleOfItsDriver) {
  EXPECT_EQ(read("module/vfio_pci/refcnt"), "1\n");
  EXPECT_FALSE(target->unload("vfio_pci"));
  EXPECT_EQ(driver_of(first_), "vfio-pci");
  target->let_go();
  EXPECT_EQ(read("module/vfio_pci/refcnt"), "0\n");
}

STATEMENT(owns, Held, IsFreeForHostDriversOnceItIsLetGo) {
  target->let_go();
  EXPECT_EQ(driver_of(second_), "") << "nobody probes it for that";
  EXPECT_EQ(drv("e1000", "bind", second_), 0);
}

STATEMENT(changes_shared, Held, KeepsItsType) {
  EXPECT_EQ(write(type(), "identity"), EPERM);
  EXPECT_EQ(write(type(), "junk"), EINVAL);
  target->let_go();
  EXPECT_EQ(write(type(), "identity"), 0) << "bound to vfio-pci, and one of several";
  EXPECT_EQ(read(type()), "identity\n");
  EXPECT_EQ(write(type(), "auto"), 0);
  EXPECT_EQ(read(type()), "DMA-FQ\n");
}

STATEMENT(changes_shared, GroupType, IsKeptWhileAHostDriverUsesIt) {
  const std::string type = "kernel/iommu_groups/" + group_of(kNicA) + "/type";
  for (const char* wanted : {"identity", "DMA", "DMA-FQ", "auto"}) {
    EXPECT_EQ(write(type, wanted), EPERM) << wanted;
  }
  make_free(kNicA);
  EXPECT_EQ(write(type, "DMA\n"), 0);
  ASSERT_EQ(drv("e1000e", "bind", kNicA), 0);
  EXPECT_EQ(write(type, "identity"), EPERM);
  EXPECT_EQ(write(type, "DMA-FQ"), 0) << "that only adds a queue";
  EXPECT_EQ(read(type), "DMA-FQ\n");
}

STATEMENT(changes_single, GroupType, IsChangedOnlyForOneDriverlessDevice) {
  const std::string type = "kernel/iommu_groups/" + group_of(kNicA) + "/type";
  EXPECT_EQ(write(type, "junk"), EINVAL);
  EXPECT_EQ(write(type, "identity"), EBUSY);
  EXPECT_EQ(write("kernel/iommu_groups/" + group_of(kBridge) + "/type", "identity"), EINVAL);
  make_free(kNicA);
  EXPECT_EQ(write(type, "identity"), 0);
  EXPECT_EQ(read(type), "identity\n");
  EXPECT_EQ(write(type, "auto"), 0);
}

TEST_F(Module, ShowsThatItIsThere) {
  EXPECT_EQ(read("module/e1000e/initstate"), "live\n");
  EXPECT_EQ(read("module/e1000e/refcnt"), "0\n") << "bound devices do not hold it";
  EXPECT_TRUE(exists("module/e1000e/holders"));
  EXPECT_EQ(link_of("module/e1000e/drivers/pci:e1000e"), "e1000e");
  EXPECT_EQ(link_of("bus/pci/drivers/e1000e/module"), "e1000e");
  EXPECT_FALSE(exists("module/anybind_test"));
}

TEST_F(Module, DetachesTheDevicesOfItsDriversWhenItIsUnloaded) {
  load_test_drivers();
  ASSERT_EQ(drv("td0", "bind", kEduA), 0);
  ASSERT_EQ(drv("td1", "bind", kEduB), 0);
  (void)target->uevents();
  ASSERT_TRUE(target->unload("anybind_test"));
  EXPECT_EQ(driver_of(kEduA), "");
  EXPECT_EQ(driver_of(kEduB), "");
  EXPECT_FALSE(exists("module/anybind_test"));
  ASSERT_TRUE(target->load("anybind_test"));
}

STATEMENT(reports_probe_errno, Deferred, CanBeSeenInTheOrderOfTheirRetries) {
  const std::string list = "kernel/debug/devices_deferred";
  EXPECT_EQ(read(list), "");
  load_test_drivers();
  for (int number = 0; number < 3; ++number) target->set_probe(number, 517);
  EXPECT_EQ(drv("td0", "bind", kEduA), EAGAIN);
  EXPECT_EQ(read(list), "") << "bind does not queue";
  ASSERT_EQ(bus("drivers_probe", kEduB), 0);
  ASSERT_EQ(bus("drivers_probe", kEduA), 0);
  ASSERT_EQ(bus("drivers_probe", kEduB), 0);
  EXPECT_EQ(read(list), kEduB + "\t\n" + kEduA + "\t\n");
  ASSERT_EQ(dev(kEduA, "remove", "1"), 0);
  EXPECT_EQ(read(list), kEduB + "\t\n");
  ASSERT_EQ(bus("rescan", "1"), 0);
  ASSERT_EQ(drv("td2", "bind", kEduB), EAGAIN);
  EXPECT_NE(read(list).find(kEduB), std::string::npos) << "a try by hand leaves it in the list";
  target->set_probe(2, 0);
  ASSERT_EQ(drv("td2", "bind", kEduB), 0);
  EXPECT_EQ(read(list).find(kEduB), std::string::npos);
}

}  // namespace
}  // namespace anybind::contract
