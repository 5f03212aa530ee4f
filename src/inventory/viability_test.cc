#include "inventory/viability.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inventory/test_tree.h"

namespace anybind {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kPort = "0000:00:01.0";
constexpr const char* kGraphics = "0000:01:00.0";
constexpr const char* kSound = "0000:01:00.1";

/// A configuration space with an Express capability of this type, and ACS when asked for.
struct Space {
  unsigned type = 0;
  bool multifunction = false;
  std::optional<unsigned> acs{};
  unsigned control = 0;
  std::size_t size = 4096;
};

std::string bytes_of(const Space& space) {
  std::string out(space.size, '\0');
  const auto put = [&](std::size_t at, unsigned value) {
    if (at < out.size()) out[at] = static_cast<char>(value);
  };
  put(0x0E, space.multifunction ? 0x80 : 0);
  put(0x34, 0x40);
  put(0x40, 0x10);
  put(0x42, space.type << 4);
  if (space.acs) {
    put(0x100, 0x0D);
    put(0x102, 1);
    put(0x104, *space.acs);
    put(0x106, space.control);
  }
  return out;
}

class ViabilityTest : public testing::Test {
 protected:
  ViabilityTest() {
    tree_.pci({.address = kPort, .class_code = "60400", .driver = "pcieport", .group = 1});
    tree_.pci({.address = kGraphics, .driver = "amdgpu", .group = 1, .behind = kPort});
    tree_.pci({.address = kSound, .driver = "snd", .group = 1, .behind = kPort});
  }
  void space(const std::string& address, const Space& space) {
    const std::string above = address == kPort ? "" : std::string(kPort) + "/";
    tree_.put("devices/pci0000:00/" + above + address + "/config", bytes_of(space));
  }
  Viability judge(GroupRule rule = GroupRule::kDmaOwnership) {
    return judge_group(tree_.sysfs(), *read_group_view(tree_.sysfs(), 1), {pci_id(kGraphics)},
                       rule);
  }
  TestTree tree_;
};

TEST_F(ViabilityTest, EachOtherMemberIsNamedWithWhatItMeans) {
  const Viability it = judge();
  EXPECT_FALSE(it.viable);
  ASSERT_EQ(it.members.size(), 2U);
  EXPECT_EQ(it.members[0].member.id, pci_id(kPort));
  EXPECT_FALSE(it.members[0].blocks);
  EXPECT_THAT(it.members[0].why, HasSubstr("does not use the group"));
  EXPECT_EQ(it.members[1].member.id, pci_id(kSound));
  EXPECT_TRUE(it.members[1].blocks);
  EXPECT_THAT(it.changes, ElementsAre(Remark(Action::kBindGroup, {kGraphics, "DRIVER"}) + ", or " +
                                      Remark(Action::kUnbind, {kSound})));
  EXPECT_THAT(it.isolation, IsEmpty()) << "nothing can be read";
}

TEST_F(ViabilityTest, ABridgeOnAHostDriverBlocksOnlyByTheNewerRule) {
  tree_.pci({.address = "0000:00:02.0", .class_code = "60400", .driver = "shpchp", .group = 2});
  const auto group = *read_group_view(tree_.sysfs(), 2);
  EXPECT_FALSE(judge_group(tree_.sysfs(), group, {}, GroupRule::kDmaOwnership).viable);
  EXPECT_TRUE(judge_group(tree_.sysfs(), group, {}, GroupRule::kDriverList).viable);
  EXPECT_THAT(judge_group(tree_.sysfs(), group, {}, GroupRule::kDmaOwnership).changes,
              ElementsAre(Remark(Action::kUnbindBridge, {"0000:00:02.0"})));
}

TEST_F(ViabilityTest, APortWithoutAcsAndFunctionsWithoutIt) {
  space(kPort, {.type = 4});
  space(kGraphics, {.type = 0, .multifunction = true});
  EXPECT_THAT(judge().isolation,
              ElementsAre("0000:01:00.0 shares its slot with other functions and has no ACS",
                          "0000:00:01.0, above it, has no ACS"));
}

TEST_F(ViabilityTest, AcsThatIsSwitchedOff) {
  space(kPort, {.type = 4, .acs = 0x1D, .control = 0x11});
  EXPECT_THAT(judge().isolation,
              ElementsAre("0000:00:01.0, above it, has ACS, but switched off: request redirect, "
                          "completion redirect"));
  space(kPort, {.type = 4, .acs = 0x1D, .control = 0x1D});
  EXPECT_THAT(judge().isolation, IsEmpty());
  space(kPort, {.type = 4, .acs = 0x01, .control = 0x01});
  EXPECT_THAT(judge().isolation, IsEmpty()) << "what a port has not, it need not switch on";
}

TEST_F(ViabilityTest, ABridgeToConventionalPci) {
  space(kPort, {.type = 7});
  EXPECT_THAT(judge().isolation, ElementsAre(HasSubstr("leads to conventional PCI")));
}

TEST_F(ViabilityTest, WithoutRightsNothingIsClaimed) {
  space(kPort, {.type = 4, .size = 64});
  EXPECT_THAT(judge().isolation, IsEmpty());
  space(kPort, {.type = 4, .size = 256});
  EXPECT_THAT(judge().isolation, IsEmpty());
}

TEST_F(ViabilityTest, AnOddConfigurationSpaceEndsTheSearch) {
  std::string loop = bytes_of({.type = 4});
  loop[0x40] = 0x01;
  loop[0x41] = 0x40;
  tree_.put("devices/pci0000:00/0000:00:01.0/config", loop);
  EXPECT_THAT(judge().isolation, ElementsAre(HasSubstr("conventional PCI")));
  tree_.put("devices/pci0000:00/0000:00:01.0/config", std::string(4096, '\xFF'));
  EXPECT_THAT(judge().isolation, ElementsAre(HasSubstr("conventional PCI")));
}

TEST(GroupRuleTest, ByTheRelease) {
  EXPECT_EQ(group_rule("5.18.0-4-amd64"), GroupRule::kDriverList);
  EXPECT_EQ(group_rule("5.19.0"), GroupRule::kDmaOwnership);
  EXPECT_EQ(group_rule("4.19-rc1"), GroupRule::kDriverList);
  EXPECT_EQ(group_rule("6.1"), GroupRule::kDmaOwnership);
  EXPECT_EQ(group_rule("odd"), GroupRule::kDmaOwnership);
}

TEST_F(ViabilityTest, AFunctionOfTheDeviceDoesNotBlockItsGroup) {
  tree_.pci({.address = "0000:04:00.0", .driver = "ice", .group = 9});
  tree_.pci({.address = "0000:04:10.0", .driver = "iavf", .group = 9});
  tree_.link("devices/pci0000:00/0000:04:10.0/physfn", "../0000:04:00.0");
  const auto group = read_group_view(tree_.sysfs(), 9);
  ASSERT_TRUE(group);
  const auto state =
      judge_group(tree_.sysfs(), *group, {pci_id("0000:04:00.0")}, GroupRule::kDmaOwnership);
  EXPECT_TRUE(state.viable);
  ASSERT_EQ(state.members.size(), 1U);
  EXPECT_FALSE(state.members[0].blocks);
  EXPECT_EQ(state.members[0].why, "may stay: it goes away with the driver of 0000:04:00.0, or may");
  EXPECT_FALSE(
      judge_group(tree_.sysfs(), *group, {pci_id("0000:04:10.0")}, GroupRule::kDmaOwnership).viable)
      << "but the device blocks that of its function";
}

}  // namespace
}  // namespace anybind
