#include "inventory/card.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "inventory/pci_pattern.h"
#include "inventory/test_tree.h"

namespace anybind {
namespace {

constexpr const char* kCard = "0000:00:03.0";
constexpr const char* kReal = "devices/pci0000:00/0000:00:03.0";

class CardTest : public testing::Test {
 protected:
  CardTest() { tree_.pci({.address = kCard}); }
  std::unique_ptr<Sysfs> card() { return *open_device(tree_.sysfs(), pci_id(kCard)); }
  std::optional<std::string> serial() { return *read_serial_number(*card()); }
  /// A configuration space with a Device Serial Number behind another extended capability.
  static std::string config() {
    std::string out(4096, '\0');
    const auto put = [&](std::size_t at, std::initializer_list<int> bytes) {
      for (const int byte : bytes) out[at++] = static_cast<char>(byte);
    };
    put(0x100, {0x01, 0x00, 0x01, 0x14});  // AER, next at 0x140
    put(0x140, {0x03, 0x00, 0x01, 0x00, 0x8E, 0x2C, 0x6A, 0xFF, 0xFF, 0x21, 0x1B, 0x00});
    return out;
  }

  TestTree tree_;
};

TEST_F(CardTest, TheKernelTellsTheSerialNumber) {
  tree_.put(std::string(kReal) + "/serial_number", "00-1b-21-ff-ff-6a-2c-8e\n");
  EXPECT_EQ(serial(), "00-1b-21-ff-ff-6a-2c-8e");
}

TEST_F(CardTest, TheSerialNumberStandsInTheConfigurationSpace) {
  tree_.put(std::string(kReal) + "/config", config());
  EXPECT_EQ(serial(), "00-1b-21-ff-ff-6a-2c-8e");
}

TEST_F(CardTest, WhoIsGivenLittleOfTheConfigurationDoesNotKnow) {
  tree_.put(std::string(kReal) + "/config", config().substr(0, 64));
  EXPECT_EQ(read_serial_number(*card()).error().value, EACCES);
}

TEST_F(CardTest, ACardWithoutASerialNumberTellsNone) {
  EXPECT_EQ(serial(), std::nullopt);
  tree_.put(std::string(kReal) + "/config", std::string(4096, '\0'));
  EXPECT_EQ(serial(), std::nullopt);
  std::string cut = config();
  cut.resize(0x148);  // in the middle of it
  tree_.put(std::string(kReal) + "/config", cut);
  EXPECT_EQ(serial(), std::nullopt);
  std::string loop = config();
  loop[0x140] = 0x02;
  loop[0x143] = 0x10;  // next at 0x100 again
  tree_.put(std::string(kReal) + "/config", loop);
  EXPECT_EQ(serial(), std::nullopt);
}

TEST_F(CardTest, NumbersAreReadInEitherForm) {
  EXPECT_EQ(parse_serial_number("00:1B:21:FF:FF:6A:2C:8E"), "00-1b-21-ff-ff-6a-2c-8e");
  EXPECT_EQ(parse_mac_address("52-54-00-12-34-5F"), "52:54:00:12:34:5f");
  for (const char* bad :
       {"", "00", "00-1b-21-ff-ff-6a-2c-8", "00-1b-21-ff-ff-6a-2c-8e-00", "00-1b-21-ff-ff-6a-2c-8g",
        "00.1b.21.ff.ff.6a.2c.8e", "0x-1b-21-ff-ff-6a-2c-8e"})
    EXPECT_EQ(parse_serial_number(bad), std::nullopt) << bad;
  EXPECT_EQ(parse_mac_address("52:54:00:12:34"), std::nullopt);
}

TEST_F(CardTest, AMemberOfABondKeepsItsOwnAddress) {
  EXPECT_TRUE(read_mac_addresses(*card()).empty());
  tree_.put(std::string(kReal) + "/net/eth1/address", "52:54:00:00:00:02\n");
  tree_.put(std::string(kReal) + "/net/eth0/address", "52:54:00:00:00:09\n");
  tree_.put(std::string(kReal) + "/net/eth0/bonding_slave/perm_hwaddr", "52:54:00:00:00:01\n");
  EXPECT_EQ(read_mac_addresses(*card()),
            (std::vector<std::string>{"52:54:00:00:00:01", "52:54:00:00:00:02"}));
}

TEST_F(CardTest, SlotsHaveTheNamesOfTheFirmware) {
  tree_.put("bus/pci/slots/2-1/address", "0000:00:03\n");
  tree_.put("bus/pci/slots/odd/address", "nonsense\n");
  EXPECT_EQ(read_slots(tree_.sysfs()), (std::map<std::string, std::string>{{"0000:00:03", "2-1"}}));
}

TEST_F(CardTest, AVirtioCardHasItsAddressOneLevelBelow) {
  tree_.put(std::string(kReal) + "/virtio3/net/ens3/address", "52:54:00:00:00:03\n");
  EXPECT_EQ(read_mac_addresses(*card()), (std::vector<std::string>{"52:54:00:00:00:03"}));
}

TEST_F(CardTest, VirtualFunctionsHaveNumbers) {
  tree_.pci({.address = "0000:00:03.2"});
  tree_.link_to(std::string(kReal) + "/virtfn1", "devices/pci0000:00/0000:00:03.2");
  EXPECT_EQ(read_virtual_numbers(tree_.sysfs(), pci_id(kCard)),
            (std::map<std::string, unsigned>{{"0000:00:03.2", 1}}));
  EXPECT_TRUE(read_virtual_numbers(tree_.sysfs(), pci_id("0000:00:03.2")).empty());
}

TEST(IdPatternTest, AnEmptyFieldIsAnyId) {
  const PciIds ids{.vendor = 0x8086, .device = 0x10D3, .subvendor = 0x1043, .subdevice = 0x8534};
  for (const char* good : {"8086:10d3", "8086:*", ":10D3", "8086:10d3:1043:8534", "::1043:"})
    EXPECT_TRUE(IdPattern::parse(good)->matches(ids)) << good;
  for (const char* other : {"8086:10d4", "8087:*", "8086:10d3:1043:0001"})
    EXPECT_FALSE(IdPattern::parse(other)->matches(ids)) << other;
  for (const char* bad : {"8086", "8086:10d3:1:2:3", "8086:g", "80860:1", ""})
    EXPECT_EQ(IdPattern::parse(bad), std::nullopt) << bad;
}

TEST(IdPatternTest, AWiderOneCoversANarrowerOne) {
  const auto covers = [](const char* wider, const char* narrower) {
    return IdPattern::parse(wider)->covers(*IdPattern::parse(narrower));
  };
  EXPECT_TRUE(covers("8086:*", "8086:10d3"));
  EXPECT_TRUE(covers("8086:10d3", "8086:10d3:1043:8534"));
  EXPECT_FALSE(covers("8086:10d3", "8086:*"));
  EXPECT_FALSE(covers("8086:10d3", "8086:10d4"));
}

TEST(ClassPatternTest, AWordThatLooksLikeDigitsIsAWord) {
  EXPECT_TRUE(ClassPattern::parse("3d")->matches(0x030200));
}

TEST(ClassPatternTest, WordsAndDigits) {
  for (const char* good : {"network", "ethernet", "02", "0200", "020000"})
    EXPECT_TRUE(ClassPattern::parse(good)->matches(0x020000)) << good;
  for (const char* other : {"display", "0201", "nvme", "020001"})
    EXPECT_FALSE(ClassPattern::parse(other)->matches(0x020000)) << other;
  for (const char* bad : {"netwrk", "2", "0x02", "02000", ""})
    EXPECT_EQ(ClassPattern::parse(bad), std::nullopt) << bad;
}

}  // namespace
}  // namespace anybind
