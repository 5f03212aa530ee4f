#include "users/libvirt.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace anybind {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* kWhere =
    "<address type='pci' domain='0x0000' bus='0x07' slot='0x00' function='0x0'/>";

TEST(Libvirt, AnInterfaceAndADiskGetFunctionsToo) {
  const std::string domain = fmt::format(
      "<interface type='hostdev' managed='yes'><mac address='52:54:00:00:00:01'/>"
      "<source><address type='pci' domain='0x0000' bus='0x06' slot='0x10' "
      "function='0x2'/></source>{0}</interface>"
      "<interface type='network'><source network='pool' portid='1'/>"
      "<actual type='hostdev' managed='yes'><source><address type='pci' "
      "domain='0x0000' bus='0x06' slot='0x10' function='0x4'/></source></actual>{0}"
      "</interface><disk type='nvme' device='disk'><source type='pci' managed='no' "
      "namespace='1'><address domain='0x0000' bus='0x05' slot='0x00' function='0x0'/>"
      "</source>{0}</disk>",
      kWhere);
  EXPECT_THAT(libvirt_devices(domain),
              ElementsAre(LibvirtDevice{"0000:06:10.2", true}, LibvirtDevice{"0000:06:10.4", true},
                          LibvirtDevice{"0000:05:00.0", false}));
}

TEST(Libvirt, WhereTheGuestHasADeviceIsNoFunctionOfTheHost) {
  const std::string domain = fmt::format(
      "<hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='1'/>"
      "</source>{0}</hostdev><interface type='network'><source network='default'/>{0}</interface>"
      "<interface type='bridge'>{0}</interface><disk type='file'><source file='/x'/>{0}</disk>"
      "<hostdev mode='subsystem' type='pci'>{0}</hostdev>",
      kWhere);
  EXPECT_THAT(libvirt_devices(domain), IsEmpty());
}

}  // namespace
}  // namespace anybind
