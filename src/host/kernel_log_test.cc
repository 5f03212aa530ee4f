#include "host/kernel_log.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

namespace anybind {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(KernelRecord, IsCutIntoTextAndDevice) {
  const auto message = parse_kernel_record(
      "3,1302,8210344,-;vfio-pci 0000:00:03.0: probe failed\n SUBSYSTEM=pci\n "
      "DEVICE=+pci:0000:00:03.0\n");
  ASSERT_TRUE(message);
  EXPECT_EQ(message->text, "vfio-pci 0000:00:03.0: probe failed");
  EXPECT_EQ(message->device, "pci:0000:00:03.0");
  EXPECT_EQ(parse_kernel_record("6,1,2,-;Driver 'x' needs updating\n"),
            (KernelMessage{.text = "Driver 'x' needs updating"}));
}

TEST(KernelRecord, OfUserSpaceOrOfAnotherFormIsNone) {
  for (const char* record : {"12,5,7,-;systemd[1]: 0000:00:03.0 is mine\n", "", "3,1,2", ";",
                             "x,1;y", "-1,1,2,-;y", "99999999999999,1,2,-;y"}) {
    EXPECT_EQ(parse_kernel_record(record), std::nullopt) << record;
  }
  EXPECT_TRUE(parse_kernel_record("7,1,2,-;"));
}

const std::vector<KernelMessage> kTalk = {
    {.text = "e1000e 0000:00:03.0 eth0: removed PHC", .device = "pci:0000:00:03.0"},
    {.text = "pcieport 0000:00:1c.0: link of 0000:00:03.0 lost", .device = "pci:0000:00:1c.0"},
    {.text = "usb 1-1: new device", .device = "+usb:1-1"},
    {.text = "iommu: group of 0000:00:03.0 changed"},
    {.text = "nic 0000:00:03.01 and x0000:00:03.0"},
    {.text = "probe with driver td1 failed"},
    {.text = "probe with driver td10 failed"},
    {.text = "iommu: group of 0000:00:03.0 changed"},
};

TEST(KernelMessages, AreThoseAboutTheDeviceOrItsDriver) {
  EXPECT_THAT(messages_about(kTalk, "pci", "0000:00:03.0", "td1"),
              ElementsAre("e1000e 0000:00:03.0 eth0: removed PHC",
                          "pcieport 0000:00:1c.0: link of 0000:00:03.0 lost",
                          "iommu: group of 0000:00:03.0 changed", "probe with driver td1 failed"));
  EXPECT_THAT(messages_about(kTalk, "pci", "0000:00:03.0", "", 1),
              ElementsAre("iommu: group of 0000:00:03.0 changed"));
  EXPECT_THAT(messages_about(kTalk, "platform", "3f8", ""), IsEmpty());
}

TEST(KernelMessages, CannotSteerTheTerminalAndAreCut) {
  const std::string text = "d: \x1b[2J" + std::string(4000, 'x');
  const auto out = messages_about({{.text = text, .device = "pci:d"}}, "pci", "d", "");
  ASSERT_EQ(out.size(), 1U);
  EXPECT_TRUE(out[0].starts_with("d: \\x1b[2J")) << out[0];
  EXPECT_LE(out[0].size(), 256U);
}

TEST(KernelLog, StartsAtTheEndOfTheFile) {
  std::string path = std::filesystem::temp_directory_path() / "anybind-kmsg-XXXXXX";
  const int fd = ::mkstemp(path.data());
  ASSERT_GE(fd, 0);
  std::ofstream(path) << "3,1,1,-;before\n";
  const auto log = open_kernel_log(path);
  ASSERT_TRUE(log);
  EXPECT_THAT((*log)->messages(), IsEmpty());
  std::ofstream(path, std::ios::app) << "3,2,1,-;first\n";
  EXPECT_THAT((*log)->messages(), ElementsAre(KernelMessage{.text = "first"}));
  std::ofstream(path, std::ios::app) << "3,3,1,-;second\n";
  EXPECT_THAT((*log)->messages(),
              ElementsAre(KernelMessage{.text = "first"}, KernelMessage{.text = "second"}));
  for (std::size_t i = 0; i < KernelLog::kMostMessages; ++i) {
    std::ofstream(path, std::ios::app) << "3,3,1,-;more\n";
    (void)(*log)->messages();
  }
  EXPECT_EQ((*log)->messages().size(), KernelLog::kMostMessages);
  std::filesystem::remove(path);
  EXPECT_EQ(open_kernel_log(path).error().value, ENOENT);
}

}  // namespace
}  // namespace anybind
