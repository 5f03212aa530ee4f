// Devices that come and go, instances, groups, the text of attributes, and the platform bus.
#include <cerrno>

#include "contract.h"

namespace anybind::contract {
namespace {

using Life = Contract;
using Groups = Contract;
using Attributes = Contract;
using Platform = Contract;
using Serio = Contract;

TEST_F(Life, RemoveTakesTheDeviceAway) {
  EXPECT_EQ(dev(kEduA, "remove", "1"), 0);
  EXPECT_EQ(driver_of(kEduA), "absent");
  EXPECT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(driver_of(kEduA), "");
}

TEST_F(Life, RemoveOfZeroDoesNothingAndJunkIsEinval) {
  EXPECT_EQ(dev(kEduA, "remove", "0"), 0);
  EXPECT_EQ(dev(kEduA, "remove", "x"), EINVAL);
  EXPECT_EQ(bus("rescan", "x"), EINVAL);
  EXPECT_EQ(driver_of(kEduA), "");
}

TEST_F(Life, ADeviceThatOnlyItsBusCanResetHasTheFileIfItCameAloneToIt) {
  const std::string cards[] = {"0000:01:01.0", "0000:01:02.0", kEduBehind};
  EXPECT_EQ(dev(cards[0], "reset", "0"), EINVAL) << "it was found first";
  EXPECT_EQ(dev(cards[0], "reset", "1"), ENOTTY) << "but the others are there now";
  EXPECT_EQ(dev(cards[1], "reset", "0"), ENOENT);
  ASSERT_EQ(dev(cards[0], "remove", "1"), 0);
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(dev(cards[0], "reset", "0"), ENOENT) << "now it would reset the others";
  for (const std::string& card : cards) ASSERT_EQ(dev(card, "remove", "1"), 0);
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(dev(cards[0], "reset", "0"), EINVAL);
  EXPECT_EQ(dev(cards[2], "reset", "0"), ENOENT);
}

TEST_F(Life, RescanProbesWhatItFinds) {
  ASSERT_EQ(dev(kNicA, "remove", "1"), 0);
  EXPECT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

TEST_F(Life, RescanLeavesADriverlessDeviceDriverless) {
  make_free(kNicA);
  EXPECT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(driver_of(kNicA), "");
}

TEST_F(Life, ADeviceThatComesBackIsAnotherInstance) {
  const Instance before = instance_of(kEduA);
  ASSERT_EQ(dev(kEduA, "remove", "1"), 0);
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_NE(instance_of(kEduA), before);
}

TEST_F(Life, TheYoungestDeviceHasTheLargestInstance) {
  for (const std::string& one : {kNicA, kEduA, kNvme}) {
    ASSERT_EQ(dev(one, "remove", "1"), 0);
    ASSERT_EQ(bus("rescan", "1"), 0);
    for (const std::string& other : {kNicA, kNicB, kNvme, kEduA, kEduB, kBridge, kPf}) {
      if (other == one) continue;
      EXPECT_LT(instance_of(other).inode, instance_of(one).inode) << other;
    }
  }
}

TEST_F(Life, BindingDoesNotMakeAnotherInstance) {
  const Instance before = instance_of(kNicA);
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  EXPECT_EQ(instance_of(kNicA), before);
  ASSERT_EQ(drv("e1000e", "bind", kNicA), 0);
  EXPECT_EQ(instance_of(kNicA), before);
}

STATEMENT(has_override, Life, AHeldDirectoryNeverReachesTheNewcomer) {
  const auto held = target->sysfs().open_dir("bus/pci/devices/" + kEduA);
  ASSERT_TRUE(held);
  ASSERT_EQ(dev(kEduA, "remove", "1"), 0);
  ASSERT_EQ(bus("rescan", "1"), 0);
  ASSERT_EQ(driver_of(kEduA), "");
  const auto write = (*held)->write("driver_override", "none");
  ASSERT_FALSE(write);
  EXPECT_EQ(write.error().value, ENOENT);
  EXPECT_EQ(override_of(kEduA), "(null)\n");
}

STATEMENT(has_override, Life, NamesOfADeviceThatIsGoneAreUnknown) {
  ASSERT_EQ(dev(kEduA, "remove", "1"), 0);
  EXPECT_EQ(bus("drivers_probe", kEduA), ENODEV);
  EXPECT_EQ(drv("pci-stub", "bind", kEduA), ENODEV);
  EXPECT_EQ(dev(kEduA, "driver_override", "none"), ENOENT);
}

TEST_F(Life, UnloadingADriverLeavesItsDevicesToNobody) {
  ASSERT_TRUE(target->load("anybind_test"));
  ASSERT_EQ(driver_of(kEduA), "td0");
  ASSERT_TRUE(target->unload("anybind_test"));
  EXPECT_EQ(driver_of(kEduA), "");
  EXPECT_FALSE(exists("bus/pci/drivers/td0"));
}

TEST_F(Life, AnUnboundDeviceIsTakenByAnyDriverThatLoads) {
  load_test_drivers();
  make_free(kEduA);
  EXPECT_TRUE(target->unload("anybind_test"));
  EXPECT_TRUE(target->load("anybind_test"));
  EXPECT_EQ(driver_of(kEduA), "td0");
}

TEST_F(Groups, EveryDeviceHasOne) {
  for (const std::string& device : {kNicA, kNicB, kNvme, kEduA, kBridge}) {
    EXPECT_NE(group_of(device), "") << device;
  }
}

TEST_F(Groups, AloneForAnEndpointOfTheRootComplex) {
  EXPECT_NE(group_of(kNicA), group_of(kNicB));
}

TEST_F(Groups, OneForAConventionalBridgeAndAllBehindIt) {
  const std::string group = group_of(kBridge);
  const auto members = target->sysfs().list("kernel/iommu_groups/" + group + "/devices");
  ASSERT_TRUE(members);
  EXPECT_EQ(members->size(), 4U);
}

STATEMENT(has_override, Groups, VfioPciBindsWhileAnotherMemberIsOnAHostDriver) {
  const auto members =
      target->sysfs().list("kernel/iommu_groups/" + group_of(kBridge) + "/devices");
  ASSERT_TRUE(members);
  std::string nic;
  for (const std::string& member : *members) {
    if (driver_of(member) == "e1000" && nic.empty()) nic = member;
  }
  ASSERT_NE(nic, "");
  ASSERT_EQ(dev(nic, "driver_override", "vfio-pci"), 0);
  ASSERT_EQ(drv("e1000", "unbind", nic), 0);
  EXPECT_EQ(drv("vfio-pci", "bind", nic), 0) << "only the user of the group is refused, later";
  reset_device(nic, "e1000");
}

TEST_F(Attributes, ModaliasHasTheIdsInUpperCaseHex) {
  EXPECT_EQ(read("bus/pci/devices/" + kNicA + "/modalias"),
            "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00\n");
}

TEST_F(Attributes, UeventNamesTheDriverOnlyWhileBound) {
  const std::string path = "bus/pci/devices/" + kNicA + "/uevent";
  EXPECT_TRUE(read(path).starts_with("DRIVER=e1000e\nPCI_CLASS=20000\nPCI_ID=8086:10D3\n"))
      << read(path);
  make_free(kNicA);
  EXPECT_TRUE(read(path).starts_with("PCI_CLASS=20000\nPCI_ID=8086:10D3\n")) << read(path);
}

TEST_F(Attributes, IdsAreLowerCaseHexWithPrefix) {
  EXPECT_EQ(read("bus/pci/devices/" + kEduA + "/vendor"), "0x1234\n");
  EXPECT_EQ(read("bus/pci/devices/" + kEduA + "/device"), "0x11e8\n");
  EXPECT_EQ(read("bus/pci/devices/" + kNicA + "/class"), "0x020000\n");
}

TEST_F(Attributes, DriverLinkLeadsToTheDirectoryOfTheDriver) {
  const auto link = target->sysfs().read_link("bus/pci/devices/" + kNicA + "/driver");
  ASSERT_TRUE(link);
  EXPECT_EQ(*link, "../../../bus/pci/drivers/e1000e");
  EXPECT_FALSE(target->sysfs().read_link("bus/pci/devices/" + kEduA + "/driver"));
}

TEST_F(Attributes, UeventTakesOnlyActionsThatItKnows) {
  for (const char* good :
       {"add", "change\n", "bind", "add 12345678-1234-1234-1234-123456789abc A=1 B=2"}) {
    EXPECT_EQ(dev(kEduA, "uevent", good), 0) << good;
  }
  for (const char* bad :
       {"\n", "junk", "add x", "add 12345678-1234-1234-1234-123456789abc A_B=1"}) {
    EXPECT_EQ(dev(kEduA, "uevent", bad), EINVAL) << bad;
  }
}

// The test module brings a platform device that no driver matches, and a platform driver that
// matches none.
STATEMENT(has_override, Platform, OverrideBindsADriverThatDoesNotMatch) {
  load_test_drivers();
  const std::string device = "bus/platform/devices/anybind-test.0";
  EXPECT_EQ(read(device + "/driver_override"), "(null)\n");
  EXPECT_EQ(write("bus/platform/drivers/tdplat/bind", "anybind-test.0"), ENODEV);
  ASSERT_EQ(write(device + "/driver_override", "tdplat"), 0);
  EXPECT_EQ(write("bus/platform/drivers/tdplat/bind", "anybind-test.0"), 0);
  EXPECT_EQ(link_of(device + "/driver"), "tdplat");
  EXPECT_EQ(write("bus/platform/drivers/tdplat/bind", "anybind-test.0"), EBUSY);
  EXPECT_EQ(write("bus/platform/drivers/tdplat/unbind", "anybind-test.0"), 0);
  ASSERT_EQ(write(device + "/driver_override", "\n"), 0);
  EXPECT_EQ(write("bus/platform/drivers_probe", "anybind-test.0"), 0);
  EXPECT_EQ(link_of(device + "/driver"), "");
}

STATEMENT(lacks<Mechanism::kPlatformNewId>, Platform, DriversHaveNoNewId) {
  load_test_drivers();
  EXPECT_EQ(write("bus/platform/drivers/tdplat/new_id", "1 2"), ENOENT);
}

TEST_F(Serio, APortTakesTheNameOfADriver) {
  const std::string port = "bus/serio/devices/serio0";
  const auto drvctl = [&](std::string_view bytes) { return write(port + "/drvctl", bytes); };
  EXPECT_EQ(read_error(port + "/drvctl"), EACCES);
  ASSERT_EQ(link_of(port + "/driver"), "atkbd");
  EXPECT_EQ(drvctl("atkbd\n"), EINVAL) << "the newline is compared too";
  EXPECT_EQ(drvctl("nobody"), EINVAL);
  EXPECT_EQ(drvctl("reconnect"), 0);
  EXPECT_EQ(link_of(port + "/driver"), "atkbd");
  EXPECT_EQ(drvctl("psmouse"), 0) << "a success, although it does not match";
  EXPECT_EQ(link_of(port + "/driver"), "") << "and its former driver is gone";
  EXPECT_EQ(drvctl("atkbd"), 0);
  EXPECT_EQ(link_of(port + "/driver"), "atkbd");
  EXPECT_EQ(drvctl("n"), 0) << "the beginning of none";
  EXPECT_EQ(link_of(port + "/driver"), "");
  EXPECT_EQ(drvctl("rescan"), 0);
  EXPECT_EQ(link_of(port + "/driver"), "atkbd");
}

}  // namespace
}  // namespace anybind::contract
