#include "inventory/vfio_refusal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inventory/test_tree.h"

namespace anybind {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kNic = "0000:02:00.0";
constexpr const char* kDirect = "0x00000000cd000000 0x00000000cd0fffff direct\n";
constexpr const char* kMsi = "0x00000000fee00000 0x00000000feefffff msi\n";

auto is_refusal(std::string_view guard, const std::string& object, const std::string& what) {
  return AllOf(Field(&VfioRefusal::guard, guard), Field(&VfioRefusal::object, object),
               Field(&VfioRefusal::what, HasSubstr(what)));
}

class VfioRefusalTest : public testing::Test {
 protected:
  VfioRefusalTest() {
    tree_.pci({.address = kNic, .driver = "igb", .group = 30});
    tree_.put("module/vfio_pci/parameters/disable_denylist", "N\n");
  }
  void regions(std::string_view text) {
    tree_.put("kernel/iommu_groups/30/reserved_regions", text);
  }
  void ids(const std::string& vendor, const std::string& device) {
    const std::string real = std::string("devices/pci0000:00/") + kNic;
    tree_.put(real + "/vendor", vendor + "\n");
    tree_.put(real + "/device", device + "\n");
  }
  std::vector<VfioRefusal> refusals(std::string_view driver = "vfio-pci") {
    return vfio_refusals(tree_.sysfs(), DriverName::literal(driver), {pci_id(kNic)}, {30, 30});
  }
  TestTree tree_;
};

TEST_F(VfioRefusalTest, NothingIsRefusedThatCannotBeRead) {
  EXPECT_THAT(refusals(), IsEmpty());
  regions("");
  EXPECT_THAT(refusals(), IsEmpty());
}

TEST_F(VfioRefusalTest, ARegionThatMustBeMappedOneToOneIsToldOnce) {
  regions(std::string(kDirect) + kMsi);
  EXPECT_THAT(refusals(),
              ElementsAre(is_refusal("reserved-region", "IOMMU group 30",
                                     "0x00000000cd000000-0x00000000cd0fffff mapped one to one")));
  EXPECT_TRUE(refusals().front().way_out().names(Action::kIgnore));
  EXPECT_THAT(refusals("mlx5_vfio_pci"), testing::SizeIs(1));
  EXPECT_THAT(refusals("pci-stub"), IsEmpty()) << "nobody opens it there";
}

TEST_F(VfioRefusalTest, OtherTypesOfRegionsDoNotCount) {
  regions("0x00000000cd000000 0x00000000cd0fffff direct-relaxable\n" + std::string(kMsi) +
          "0x0000000000000000 0x0000000000000fff reserved\n"
          "direct\n direct\n0x0 direct\n\n");
  EXPECT_THAT(refusals(), IsEmpty());
}

TEST_F(VfioRefusalTest, ManyRegionsAreCutShort) {
  std::string text;
  for (int i = 0; i < 50; ++i) text += kDirect;
  regions(text);
  EXPECT_THAT(refusals(), ElementsAre(Field(&VfioRefusal::what, HasSubstr("and 46 more mapped"))));
}

TEST_F(VfioRefusalTest, VfioPciHasAListOfDevicesThatItDenies) {
  ids("0x8086", "0x37c9");
  EXPECT_THAT(refusals(), ElementsAre(is_refusal("denied-device", kNic, "8086:37c9")));
  EXPECT_THAT(refusals("qat_vfio_pci"), IsEmpty()) << "a variant has no such list";
  ids("0x8086", "0x1521");
  EXPECT_THAT(refusals(), IsEmpty());
  ids("0x10de", "0x37c9");
  EXPECT_THAT(refusals(), IsEmpty());
}

TEST_F(VfioRefusalTest, TheListCanBeSwitchedOffAndIsNotKnownBeforeTheModuleIsLoaded) {
  ids("0x8086", "0x37c9");
  tree_.put("module/vfio_pci/parameters/disable_denylist", "Y\n");
  EXPECT_THAT(refusals(), IsEmpty());
  tree_.remove("module/vfio_pci");
  EXPECT_THAT(refusals(), IsEmpty());
}

TEST_F(VfioRefusalTest, VirtualFunctionsAreKnownBeforeTheyAreMade) {
  ids("0x8086", "0x37c8");
  const auto refused = [&] {
    return refused_functions(tree_.sysfs(), DriverName::literal("vfio-pci"), pci_id(kNic));
  };
  EXPECT_FALSE(refused());
  tree_.put(std::string("devices/pci0000:00/") + kNic + "/sriov_vf_device", "37c9\n");
  ASSERT_TRUE(refused());
  EXPECT_THAT(refused()->what, HasSubstr("refuses virtual functions of this type (8086:37c9)"));
}

TEST_F(VfioRefusalTest, WithoutRemappedInterruptsNoGroupCanBeOpened) {
  const auto refused = [&] {
    Host host(tree_.sysfs());
    host.files = Proc(tree_.root() + "/root");
    return refused_interrupts(host).has_value();
  };
  tree_.dir("class/iommu/dmar0");
  tree_.put("root/proc/interrupts", "  0:  5  IO-APIC  2-edge  timer\n");
  EXPECT_FALSE(refused()) << "what the module allows is not known before it is loaded";
  tree_.put("module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "N\n");
  EXPECT_TRUE(refused());
  tree_.put("root/proc/interrupts", "  0:  5  IR-IO-APIC  2-edge  timer\n");
  EXPECT_FALSE(refused());
  tree_.put("root/proc/interrupts", "  0:  5  IO-APIC  2-edge  timer\n");
  tree_.put("module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y\n");
  EXPECT_FALSE(refused());
  tree_.put("module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "N\n");
  tree_.remove("class/iommu/dmar0");
  tree_.dir("class/iommu/smmu3.0x0000000050000000");
  EXPECT_FALSE(refused());
}

TEST_F(VfioRefusalTest, AnotherHeaderThanThatOfACard) {
  tree_.put(std::string("devices/pci0000:00/") + kNic + "/secondary_bus_number", "3\n");
  EXPECT_THAT(refusals(), ElementsAre(is_refusal("pci-header", kNic, "that of a bridge")));
  EXPECT_THAT(refusals("igb"), IsEmpty());
}

}  // namespace
}  // namespace anybind
