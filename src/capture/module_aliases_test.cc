#include "capture/module_aliases.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace anybind::lab {
namespace {

using testing::ElementsAre;

TEST(ParsePciAlias, TakesIdsAndClasses) {
  const auto nic = parse_pci_alias("v00008086d000010D3sv*sd*bc*sc*i*");
  ASSERT_TRUE(nic);
  EXPECT_EQ(*nic, (drivercore::PciId{.vendor = 0x8086, .device = 0x10D3}));
  const auto disk = parse_pci_alias("v*d*sv*sd*bc01sc08i02*");
  EXPECT_FALSE(disk);
  const auto usb = parse_pci_alias("v*d*sv00001AF4sd00001100bc0Csc03i*");
  ASSERT_TRUE(usb);
  EXPECT_EQ(*usb, (drivercore::PciId{.subvendor = 0x1AF4,
                                     .subdevice = 0x1100,
                                     .class_code = 0x0C0300,
                                     .class_mask = 0xFFFF00}));
}

TEST(ParsePciAlias, RefusesWhatIsNone) {
  for (const char* text :
       {"", "v", "v00008086", "v0000808Gd*sv*sd*bc*sc*i*", "v*d*sv*sd*bc*sc*i*x",
        "v*d*sv*sd*bc123sc*i*", "d*v*sv*sd*bc*sc*i*", "v00010000d*sv*sd*bc*sc*i*"}) {
    EXPECT_FALSE(parse_pci_alias(text)) << text;
  }
}

TEST(ParseAliases, ReadsBothFiles) {
  const std::string lines =
      "# Aliases extracted from modules themselves.\n"
      "alias pci:v00008086d000010D3sv*sd*bc*sc*i* e1000e\n"
      "alias vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5-vfio-pci\n"
      "alias platform:two words two_words\n"
      "alias usb:v05ACp* other\n"
      "alias pci:broken e1000e\n"
      "alias \n";
  const std::string builtin("serial.license=GPL\0ahci.alias=pci:v*d*sv*sd*bc01sc06i01\0x", 56);
  const Aliases found = parse_aliases(lines, builtin);
  EXPECT_EQ(found.size(), 5U);
  EXPECT_THAT(found.at("other").others, ElementsAre("usb:v05ACp*"));
  EXPECT_THAT(found.at("e1000e").pci,
              ElementsAre(drivercore::PciId{.vendor = 0x8086, .device = 0x10D3}));
  EXPECT_TRUE(found.at("mlx5_vfio_pci").pci.at(0).override_only);
  EXPECT_THAT(found.at("two_words").platform, ElementsAre("two words"));
  EXPECT_EQ(found.at("ahci").pci.at(0).class_code, 0x010601U);
}

}  // namespace
}  // namespace anybind::lab
