#include "host/uevents.h"

#include <gtest/gtest.h>

namespace anybind {
namespace {

using namespace std::string_view_literals;

TEST(UeventTest, AMessageOfTheKernelIsRead) {
  const auto event = parse_uevent(
      "bind@/devices/pci0000:00/0000:00:03.0\0ACTION=bind\0DEVPATH=/devices/pci0000:00/"
      "0000:00:03.0\0"
      "SUBSYSTEM=pci\0DRIVER=e1000e\0PCI_ID=8086:10D3\0SEQNUM=1234\0"sv);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->action, "bind");
  EXPECT_EQ(event->devpath, "/devices/pci0000:00/0000:00:03.0");
  EXPECT_EQ(event->subsystem, "pci");
  EXPECT_EQ(event->seqnum, 1234U);
  EXPECT_FALSE(event->is_synthetic);
  EXPECT_EQ(event->keys, (std::map<std::string, std::string, std::less<>>{
                             {"DRIVER", "e1000e"}, {"PCI_ID", "8086:10D3"}}));
}

TEST(UeventTest, WhatSomebodyWroteIsKnown) {
  EXPECT_TRUE(parse_uevent("add@/devices/x\0SUBSYSTEM=pci\0SYNTH_UUID=0\0"sv)->is_synthetic);
}

TEST(UeventTest, AnythingElseIsNone) {
  for (const std::string_view bad :
       {""sv, "\0"sv, "libudev\0\xFE\xED\xCA\xFE"sv, "@/devices/x\0"sv, "add@devices/x\0"sv,
        "add@/devices/x"sv, "add@/devices/x\0SUBSYSTEM=pci"sv, "add@/devices/x\0word\0"sv})
    EXPECT_FALSE(parse_uevent(bad)) << bad;
}

TEST(UeventTest, EveryCutMessageIsReadOrRefused) {
  const std::string_view whole = "bind@/devices/x\0SUBSYSTEM=pci\0SEQNUM=1\0"sv;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto event = parse_uevent(whole.substr(0, size));
    EXPECT_EQ(event ? event->devpath : "/devices/x", "/devices/x") << size;
  }
}

TEST(UeventTest, AQuietMachineTellsNothing) {
  const auto source = listen_to_uevents();
  ASSERT_TRUE(source) << source.error().name();
  const auto event = (*source)->next(std::chrono::milliseconds(1));
  ASSERT_TRUE(event) << event.error().name();
}

}  // namespace
}  // namespace anybind
