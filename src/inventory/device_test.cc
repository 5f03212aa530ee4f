#include "inventory/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "host/faulty_sysfs.h"
#include "inventory/group.h"
#include "inventory/match.h"
#include "inventory/test_tree.h"

namespace anybind {
namespace {

using testing::ElementsAre;

class DeviceTest : public testing::Test {
 protected:
  Result<Device> read(const std::string& address = "0000:03:00.0") {
    const DeviceId id = pci_id(address);
    const auto dir = tree_.sysfs().open_dir(id.path());
    if (!dir) return fail(from_errno(dir.error(), "open", address));
    return read_device(**dir, id);
  }
  std::string real_ = "devices/pci0000:00/0000:03:00.0";
  TestTree tree_;
};

TEST_F(DeviceTest, ReadsWhatListShows) {
  tree_.pci({.address = "0000:03:00.0", .driver = "e1000e", .group = 7});
  const auto device = read();
  ASSERT_TRUE(device);
  EXPECT_EQ(device->driver->str(), "e1000e");
  EXPECT_EQ(device->pci, (PciIds{0x8086, 0x10D3, 0x1043, 0x8534, 0x020000}));
  EXPECT_TRUE(device->has_override);
  EXPECT_EQ(device->driver_override, std::nullopt);
  EXPECT_EQ(device->iommu_group, 7U);
}

TEST_F(DeviceTest, ABusyOneIsToldOfAsFarAsItIsKnown) {
  tree_.pci({.address = "0000:03:00.0", .driver = "e1000e", .group = 7});
  tree_.put(real_ + "/modalias", "pci:v00008086d000010D3sv00001043sd00008534bc02sc00i00\n");
  tree_.put(real_ + "/driver_override", "vfio-pci\n");
  const DeviceId id = pci_id("0000:03:00.0");
  Fault fault{.busy = id.name.str()};
  const auto locked = faulty_sysfs(tree_.sysfs(), fault);
  const auto dir = locked->open_dir(id.path());
  ASSERT_TRUE(dir);
  const auto device = read_device(**dir, id);
  ASSERT_TRUE(device);
  EXPECT_TRUE(device->busy);
  EXPECT_EQ(device->driver->str(), "e1000e") << "by the link";
  EXPECT_EQ(device->pci, (PciIds{0x8086, 0x10D3, 0x1043, 0x8534, 0x020000}));
  EXPECT_TRUE(device->has_override);
  EXPECT_EQ(device->driver_override, std::nullopt);
  EXPECT_EQ(device->iommu_group, 7U);
  EXPECT_EQ(read_binding(**dir).error().value, ETIMEDOUT);
  EXPECT_THAT(read_error({ETIMEDOUT}, "look at", id).message(), testing::HasSubstr("it is busy"));
  const auto explained = explain_device(*locked, id, "");
  ASSERT_TRUE(explained);
  EXPECT_THAT(explained->verdict, testing::HasSubstr("not known: it is busy"));
  // Another driver may have it than the link says, or said.
  tree_.remove(real_ + "/driver");
  const auto group = read_group_view(*locked, 7);
  ASSERT_TRUE(group);
  EXPECT_TRUE(group->members.at(0).blocks_user_space());
  fault.busy.clear();
  EXPECT_FALSE(read_device(**dir, id)->busy);
}

TEST_F(DeviceTest, TheClassOfAFunction) {
  tree_.put(real_ + "/class", "0x060400\n");
  tree_.put("devices/other/class", "bridge\n");
  tree_.dir("devices/none");
  const auto class_at = [&](const std::string& path) {
    return read_pci_class(**tree_.sysfs().open_dir(path));
  };
  EXPECT_EQ(class_at(real_).value(), 0x060400U);
  EXPECT_TRUE(is_bridge_class(0x060400));
  EXPECT_FALSE(is_bridge_class(0x020000));
  EXPECT_FALSE(class_at("devices/none").value());
  EXPECT_EQ(class_at("devices/other").error().value, EINVAL);
}

TEST_F(DeviceTest, AnOverrideIsKeptVerbatimUpToOneNewline) {
  tree_.pci({.address = "0000:03:00.0"});
  for (const auto& [text, want] :
       std::map<std::string, std::optional<std::string>>{{"vfio-pci\n", "vfio-pci"},
                                                         {" x \n", " x "},
                                                         {"(null)\n", std::nullopt},
                                                         {"\n", std::nullopt},
                                                         {"", std::nullopt}}) {
    tree_.put(real_ + "/driver_override", text);
    EXPECT_EQ(read()->driver_override, want) << text;
  }
}

TEST_F(DeviceTest, ADeviceWithoutAnythingIsStillADevice) {
  tree_.dir(real_ + "/power");
  tree_.link_to("bus/pci/devices/0000:03:00.0", real_);
  const auto device = read();
  ASSERT_TRUE(device);
  EXPECT_FALSE(device->pci);
  EXPECT_FALSE(device->driver);
  EXPECT_FALSE(device->has_override);
  EXPECT_FALSE(device->iommu_group);
}

TEST_F(DeviceTest, WithoutUeventTheModaliasAndTheDriverLinkSpeak) {
  tree_.pci({.address = "0000:03:00.0", .driver = "e1000e"});
  tree_.remove(real_ + "/uevent");
  tree_.put(real_ + "/modalias", "pci:v00008086d000010D3sv00001043sd00008534bc02sc00i00\n");
  EXPECT_EQ(read()->driver->str(), "e1000e");
  EXPECT_EQ(read()->pci, (PciIds{0x8086, 0x10D3, 0x1043, 0x8534, 0x020000}));
}

TEST_F(DeviceTest, OfTwoEqualKeysTheFirstCounts) {
  tree_.pci({.address = "0000:03:00.0"});
  tree_.put(real_ + "/uevent", "DRIVER=a\nDRIVER=b\nMODALIAS=x\nMODALIAS=y\n");
  EXPECT_EQ(read()->driver->str(), "a");
  EXPECT_EQ(read()->modalias, "x");
}

TEST_F(DeviceTest, TextThatLinuxWouldNotWriteLeavesTheFieldEmpty) {
  tree_.pci({.address = "0000:03:00.0"});
  for (const std::string& text :
       {std::string("\0\xff\n\x80=", 5), std::string("DRIVER=../x\nPCI_ID=8086\n"),
        std::string("PCI_ID=80867:1\nPCI_CLASS=zz\n"), std::string(4096, '\n'),
        std::string(9000, 'A'), std::string("PCI_ID=:\nDRIVER=\n"), std::string("=")}) {
    tree_.put(real_ + "/uevent", text);
    const auto device = read();
    ASSERT_TRUE(device);
    EXPECT_FALSE(device->pci);
    EXPECT_FALSE(device->driver);
  }
}

TEST_F(DeviceTest, AnIommuGroupThatIsNoNumberIsNone) {
  tree_.pci({.address = "0000:03:00.0"});
  for (const char* target : {"../x", "../-1", "../99999999999", "iommu_group"}) {
    tree_.remove(real_ + "/iommu_group");
    tree_.link(real_ + "/iommu_group", target);
    EXPECT_EQ(read()->iommu_group, std::nullopt) << target;
  }
}

TEST_F(DeviceTest, ADeviceThatVanishedIsNotFound) {
  tree_.pci({.address = "0000:03:00.0", .driver = "e1000e"});
  const auto dir = tree_.sysfs().open_dir(pci_id("0000:03:00.0").path());
  tree_.remove(real_);
  tree_.put(real_ + "/uevent", "DRIVER=newcomer\n");
  const auto device = read_device(**dir, pci_id("0000:03:00.0"));
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(read_binding(**dir).error().value, ENOENT);
}

TEST_F(DeviceTest, ADriverLinkThatIsADirectoryIsAnErrorAndNotNoDriver) {
  tree_.pci({.address = "0000:03:00.0"});
  tree_.dir(real_ + "/driver");
  const auto dir = tree_.sysfs().open_dir(pci_id("0000:03:00.0").path());
  EXPECT_EQ(read_driver(**dir).error().value, EINVAL);
  EXPECT_FALSE(read_binding(**dir));
}

TEST_F(DeviceTest, IdsOfAModalias) {
  EXPECT_EQ(pci_ids_of_modalias("pci:v00008086d000010D3sv00001043sd00008534bc02sc00i01"),
            (PciIds{0x8086, 0x10D3, 0x1043, 0x8534, 0x020001}));
  EXPECT_EQ(pci_ids_of_modalias("pci:v00008086d000010D3")->device, 0x10D3);
  for (const char* bad : {"", "pci:", "pci:v0000808", "pci:v00008086dxxxxxxxx", "usb:v1D6Bp0002",
                          "pci:v12345678d000010D3"}) {
    EXPECT_FALSE(pci_ids_of_modalias(bad)) << bad;
  }
}

TEST_F(DeviceTest, NamesComeInAddressOrderWithLongDomainsLast) {
  for (const char* address :
       {"10000:00:00.0", "8d0e:00:02.0", "0000:10:00.0", "0000:03:00.1", "0000:03:00.0"}) {
    tree_.pci({.address = address});
  }
  std::vector<std::string> names;
  const auto devices = read_device_ids(tree_.sysfs(), BusName::literal("pci"));
  for (const DeviceId& id : *devices) names.push_back(id.str());
  EXPECT_THAT(names, ElementsAre("0000:03:00.0", "0000:03:00.1", "0000:10:00.0", "8d0e:00:02.0",
                                 "10000:00:00.0"));
}

TEST_F(DeviceTest, ABusThatIsNotThereIsNotFound) {
  EXPECT_EQ(read_device_ids(tree_.sysfs(), BusName::literal("usb")).error().kind,
            ErrorKind::kNotFound);
  EXPECT_EQ(read_driver_names(tree_.sysfs(), BusName::literal("usb")).error().kind,
            ErrorKind::kNotFound);
}

TEST(ReadDriverNames, ANameThatNoDriverCanHaveIsLeftOut) {
  TestTree tree;
  tree.dir("bus/pci/drivers/good");
  tree.dir("bus/pci/drivers/\x1b[31mred");
  const auto names = read_driver_names(tree.sysfs(), BusName::literal("pci"));
  ASSERT_TRUE(names);
  EXPECT_EQ(*names, std::vector<std::string>{"good"});
}

}  // namespace
}  // namespace anybind
