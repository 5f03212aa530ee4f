#include "inventory/names.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <random>

#include "base/text.h"
#include "inventory/test_tree.h"

namespace anybind {
namespace {

constexpr std::string_view kText =
    "# a comment\n"
    "\n"
    "10de  NVIDIA Corporation\n"
    "\t0fbb  GM204 High Definition Audio Controller\n"
    "\t1b80  GP104 [GeForce GTX 1080]\n"
    "# a comment in between\n"
    "\t\t1043 8597  ROG STRIX\n"
    "\t\t1458 3702  G1 Gaming\n"
    "144d  Samsung Electronics Co Ltd\n"
    "\ta808  NVMe SSD Controller SM981\n"
    "8086  Intel Corporation\n"
    "\t10d3  82574L Gigabit Network Connection\n"
    "\t\t1043 8369  Motherboard\n"
    "ffff  Illegal Vendor ID\n"
    "\n"
    "C 01  Mass storage controller\n"
    "\t08  Non-Volatile memory controller\n"
    "\t\t02  NVM Express\n"
    "C 02  Network controller\n"
    "\t00  Ethernet controller\n";

class NamesTest : public testing::Test {
 protected:
  std::string file(std::string_view text) {
    tree_.put("pci.ids", text);
    return tree_.root() + "/pci.ids";
  }
  TestTree tree_;
};

TEST_F(NamesTest, FindsVendorsDevicesAndBoards) {
  PciNames names(file(kText));
  EXPECT_EQ(names.vendor(0x8086), "Intel Corporation");
  EXPECT_EQ(names.vendor(0x10de), "NVIDIA Corporation");
  EXPECT_EQ(names.vendor(0xffff), "Illegal Vendor ID");
  EXPECT_EQ(names.device(0x10de, 0x0fbb), "GM204 High Definition Audio Controller");
  EXPECT_EQ(names.device(0x10de, 0x1b80), "GP104 [GeForce GTX 1080]");
  EXPECT_EQ(names.device(0x144d, 0xa808), "NVMe SSD Controller SM981");
  EXPECT_EQ(names.subsystem({0x10de, 0x1b80, 0x1458, 0x3702, 0}), "G1 Gaming");
  EXPECT_EQ(names.subsystem({0x8086, 0x10d3, 0x1043, 0x8369, 0}), "Motherboard");
}

TEST_F(NamesTest, WhatItDoesNotKnowIsEmpty) {
  PciNames names(file(kText));
  EXPECT_EQ(names.vendor(0x1234), "");
  EXPECT_EQ(names.device(0x10de, 0xa808), "") << "that is another vendor's";
  EXPECT_EQ(names.device(0x1234, 0x0000), "");
  EXPECT_EQ(names.subsystem({0x10de, 0x0fbb, 0x1458, 0x3702, 0}), "") << "another device's";
  EXPECT_EQ(names.vendor(0x0001), "") << "no class is a vendor";
}

TEST_F(NamesTest, ClassesFallBackToTheBaseClass) {
  PciNames names(file(kText));
  EXPECT_EQ(names.class_name(0x020000), "Ethernet controller");
  EXPECT_EQ(names.class_name(0x010802), "Non-Volatile memory controller");
  EXPECT_EQ(names.class_name(0x028000), "Network controller");
  EXPECT_EQ(names.class_name(0xFF0000), "");
}

TEST_F(NamesTest, NumbersStandInForMissingNames) {
  PciNames names(file(kText));
  EXPECT_EQ(names.brief({.vendor = 0x8086, .device = 0x10d3}),
            "Intel 82574L Gigabit Network Connection");
  EXPECT_EQ(names.full({.vendor = 0x8086, .device = 0x10d3}),
            "Intel Corporation 82574L Gigabit Network Connection");
  EXPECT_EQ(names.brief({.vendor = 0x8086, .device = 0x0042}), "Intel 0042");
  EXPECT_EQ(names.brief({.vendor = 0x1234, .device = 0x11e8}), "1234:11e8");
}

TEST_F(NamesTest, AFileThatIsMissingOrNoFileKnowsNothing) {
  for (const std::string& path :
       {tree_.root() + "/nosuch", tree_.root(), std::string(), file("")}) {
    PciNames names(path);
    EXPECT_EQ(names.vendor(0x8086), "") << path;
    EXPECT_EQ(names.brief({.vendor = 0x8086, .device = 0x10d3}), "8086:10d3") << path;
  }
}

TEST_F(NamesTest, HostileTextIsMadePrintable) {
  PciNames names(file("8086  \x1b[31mred\xff\r\n\t10d3  " + std::string(5000, 'x') + "\n"));
  EXPECT_EQ(names.vendor(0x8086), "\\x1b[31mred\\xff");
  EXPECT_LE(names.device(0x8086, 0x10d3).size(), 200U);
}

TEST_F(NamesTest, CutAtAnyByteItStillAnswers) {
  for (std::size_t size = 0; size <= kText.size(); ++size) {
    PciNames names(file(kText.substr(0, size)));
    (void)names.brief({.vendor = 0x8086, .device = 0x10d3});
    (void)names.subsystem({0x10de, 0x1b80, 0x1458, 0x3702, 0});
    (void)names.class_name(0x020000);
  }
}

TEST_F(NamesTest, GarbageDoesNotHurt) {
  constexpr std::array<std::uint16_t, 5> kVendors = {0x10de, 0x144d, 0x8086, 0xffff, 0x0000};
  constexpr std::array<std::uint16_t, 3> kDevices = {0x1b80, 0xa808, 0x10d3};
  std::mt19937 random(20261122);  // NOLINT(cert-msc51-cpp): the same garbage each time
  for (int round = 0; round < 300; ++round) {
    std::string text(kText);
    for (int i = 0; i < 40; ++i) text[random() % text.size()] = static_cast<char>(random());
    for (int i = 0; i < 10; ++i) text[random() % text.size()] = "\n\t C0"[random() % 5];
    PciNames names(file(text));
    for (const std::uint16_t vendor : kVendors) {
      for (const std::uint16_t device : kDevices) {
        const std::string& name = names.full({.vendor = vendor, .device = device});
        EXPECT_EQ(printable(name, 1000), name);
      }
    }
    (void)names.class_name(0x010802);
  }
}

TEST_F(NamesTest, TheInstalledFileIsFoundByBisecting) {
  const std::string path = "/usr/share/misc/pci.ids";
  const MappedFile whole(path);
  if (whole.text().empty()) GTEST_SKIP() << "hwdata is not installed";
  PciNames names(path);
  std::uint16_t vendor = 0;
  std::size_t devices = 0;
  std::istringstream lines{std::string(whole.text())};
  for (std::string line; std::getline(lines, line) && !line.starts_with("C ");) {
    if (line.empty() || line[0] == '#' || line.starts_with("\t\t")) continue;
    const std::size_t tabs = line[0] == '\t' ? 1 : 0;
    const auto id = static_cast<std::uint16_t>(std::stoul(line.substr(tabs, 4), nullptr, 16));
    const std::string want = printable(line.substr(tabs + 6), 160);
    if (tabs == 0) {
      vendor = id;
      EXPECT_EQ(names.vendor(vendor), want);
    } else {
      EXPECT_EQ(names.device(vendor, id), want) << line;
      ++devices;
    }
  }
  EXPECT_GT(devices, 10000U);
  EXPECT_EQ(names.class_name(0x0C0330), "USB controller");
}

TEST_F(NamesTest, VendorsLoseTheirLegalForm) {
  for (const auto& [name, want] : std::map<std::string, std::string>{
           {"Intel Corporation", "Intel"},
           {"Advanced Micro Devices, Inc. [AMD/ATI]", "AMD/ATI"},
           {"Samsung Electronics Co Ltd", "Samsung Electronics"},
           {"Realtek Semiconductor Co., Ltd.", "Realtek Semiconductor"},
           {"Red Hat, Inc.", "Red Hat"},
           {"Mellanox Technologies", "Mellanox Technologies"},
           {"Inc.", "Inc."},
           {"", ""}}) {
    EXPECT_EQ(short_vendor(name), want);
  }
}

}  // namespace
}  // namespace anybind
