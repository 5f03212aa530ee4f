#include "inventory/match.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inventory/test_tree.h"

namespace anybind {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kAliases =
    "# Aliases extracted from modules themselves.\n"
    "alias pci:v000010DEd*sv*sd*bc03sc*i* nouveau\n"
    "alias pci:v000010DEd*sv*sd*bc03sc*i* nvidiafb\n"
    "alias pci:v000010DEd00001C03sv*sd*bc*sc*i* nouveau\n"
    "alias pci:v00008086d000015F3sv*sd*bc*sc*i* igc\n"
    "alias vfio_pci:v000010DEd00002342sv*sd*bc*sc*i* nvgrace_gpu_vfio_pci\n"
    "alias usb:v046DpC52B* usbhid\n"
    "alias broken\nalias\n\n"
    "alias pci:v000010DEd*";
constexpr const char* kGpu = "pci:v000010DEd00001C03sv00001462sd00003282bc03sc00i00";

std::vector<std::string> modules(const std::string& modalias) {
  std::vector<std::string> out;
  for (const Candidate& candidate : match_aliases(kAliases, modalias))
    out.push_back(candidate.module);
  return out;
}

TEST(MatchAliases, FindsEachModuleOnceInTheOrderOfTheFile) {
  EXPECT_EQ(modules(kGpu), (std::vector<std::string>{"nouveau", "nvidiafb"}));
}

TEST(MatchAliases, FindsVfioVariantsUnderTheirOwnKindOfAlias) {
  const auto found =
      match_aliases(kAliases, "pci:v000010DEd00002342sv00000000sd00000000bc02sc00i00");
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found.front().module, "nvgrace_gpu_vfio_pci");
  EXPECT_TRUE(found.front().is_vfio);
  EXPECT_THAT(found.front().rule, HasSubstr("override"));
}

TEST(MatchAliases, AModaliasOfAnotherBusMatchesNoPciAlias) {
  EXPECT_THAT(modules("platform:serial8250"), IsEmpty());
  EXPECT_THAT(modules(""), IsEmpty());
  EXPECT_THAT(modules("nocolon"), IsEmpty());
}

TEST(ExplainDevice, ADriverThatAnotherModuleRegisteredIsLoaded) {
  TestTree tree;
  tree.device("usb", "devices/usb1/1-1/1-1:1.0", "MODALIAS=usb:v0403p6001d0600\n");
  tree.link_to("bus/usb/drivers/ftdi_sio/module", "module/usbserial");
  const DeviceId id{.bus = BusName::literal("usb"), .name = DeviceName::literal("1-1:1.0")};
  const auto told = explain_device(tree.sysfs(), id, "alias usb:v0403p6001* ftdi_sio\n");
  ASSERT_TRUE(told) << told.error().message();
  ASSERT_EQ(told->candidates.size(), 1U);
  EXPECT_EQ(told->candidates[0].driver, "ftdi_sio");
}

TEST(NameToAskFor, IsTheDriversOrWhatItIsTakenToBeCalled) {
  EXPECT_EQ(name_to_ask_for({.module = "usbserial", .driver = "ftdi_sio", .rule = ""}), "ftdi_sio");
  EXPECT_EQ(name_to_ask_for({.module = "", .driver = "built-in", .rule = ""}), "built-in");
  EXPECT_EQ(name_to_ask_for({.module = "mlx5_vfio_pci", .driver = "", .rule = ""}),
            "mlx5_vfio_pci");
  EXPECT_EQ(name_to_ask_for({.module = "vfio_pci", .driver = "", .rule = ""}), "vfio-pci");
}

TEST(ObstaclesFor, EachOfTheGroupThatAnotherDriverHasWhereverItsAddressIs) {
  TestTree tree;
  tree.driver("pci", "vfio-pci");
  for (const char* function : {"0", "1", "2"})
    tree.pci({.address = std::string("0000:03:00.") + function, .driver = "e1000e", .group = 7});
  for (const char* device : {"0000:03:00.0", "0000:03:00.1", "0000:03:00.2"}) {
    const auto told = explain_device(tree.sysfs(), pci_id(device), "");
    ASSERT_TRUE(told) << told.error().message();
    std::vector<std::string> said;
    for (const Obstacle& it : obstacles_for(tree.sysfs(), *told, DriverName::literal("vfio-pci")))
      said.push_back(it.what);
    for (const char* other : {"0000:03:00.0", "0000:03:00.1", "0000:03:00.2"}) {
      const std::size_t count = std::string(other) == device ? 0 : 1;
      EXPECT_THAT(said, Contains(HasSubstr(std::string(other) + " is on e1000e")).Times(count))
          << device;
    }
  }
}

TEST(VfioVariantAliases, EachLineStandsThereOnce) {
  const std::string line = "alias vfio_pci:v1vfio_pci:v2vfio_pci:* special\n";
  EXPECT_EQ(vfio_variant_aliases(line + "alias vfio_pci:v1* vfio_pci\n" + line), line + line);
  EXPECT_EQ(vfio_variant_aliases("alias vfio_pci:"), "alias vfio_pci:\n");
}

}  // namespace
}  // namespace anybind
