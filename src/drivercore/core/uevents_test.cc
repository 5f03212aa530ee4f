// What is told of devices, drivers and modules that come and go (kernel-facts 6).
#include <cerrno>

#include "drivercore/machine_fixture.h"

namespace anybind::drivercore {
namespace {

using testing::ElementsAre;
using Uevents = MachineTest;

TEST_F(Uevents, ComeInTheKernelsOrder) {
  (void)core_.take_uevents();
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  EXPECT_THAT(events(), ElementsAre("remove eth0", "unbind " + kNicA));
  ASSERT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_THAT(events(), ElementsAre("add eth0", "bind " + kNicA));
  ASSERT_EQ(dev(kNicA, "remove", "1"), 0);
  EXPECT_THAT(events(), ElementsAre("remove eth0", "unbind " + kNicA, "remove " + kNicA));
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_THAT(events(), ElementsAre("add " + kNicA, "add eth0", "bind " + kNicA));
  ASSERT_EQ(dev(kEduA, "remove", "1"), 0);
  EXPECT_THAT(events(), ElementsAre("remove " + kEduA));
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_THAT(events(), ElementsAre("add " + kEduA)) << "driverless: nothing else";
}

TEST_F(Uevents, OfModulesComeLast) {
  (void)core_.take_uevents();
  ASSERT_TRUE(core_.unload_module("nvme"));
  EXPECT_THAT(events(), ElementsAre("remove nvme0n1", "remove nvme0", "unbind " + kNvme,
                                    "remove nvme", "remove nvme"));
  ASSERT_TRUE(core_.load_module("nvme"));
  EXPECT_THAT(events(),
              ElementsAre("add nvme0", "add nvme0n1", "bind " + kNvme, "add nvme", "add nvme"));
}

TEST_F(Uevents, OfTheDriversOfAModuleComeTheLastFirst) {
  ASSERT_TRUE(core_.load_module("tdrv"));
  for (const std::string& device : {kEduA, kEduB, kSharedEdu})
    ASSERT_EQ(drv("td0", "unbind", device), 0);
  (void)core_.take_uevents();
  ASSERT_TRUE(core_.unload_module("tdrv"));
  EXPECT_THAT(events(), ElementsAre("remove td2", "remove td1", "remove td0", "remove tdrv"));
}

TEST_F(Uevents, OfABridgeComeAfterThoseOfWhatIsBehindIt) {
  (void)core_.take_uevents();
  ASSERT_EQ(dev(kBridge, "remove", "1"), 0);
  EXPECT_THAT(events(),
              ElementsAre("remove eth3", "unbind " + kSharedB, "remove eth2", "unbind " + kSharedA,
                          "unbind " + kBridge, "remove " + kSharedA, "remove " + kSharedB,
                          "remove " + kSharedEdu, "remove " + kBridge));
}

TEST_F(Uevents, OfVfioHaveTheGroupBeforeTheDevice) {
  ASSERT_EQ(drv("e1000", "unbind", kSharedA), 0);
  ASSERT_EQ(drv("e1000", "unbind", kSharedB), 0);
  ASSERT_EQ(dev(kSharedA, "driver_override", "vfio-pci"), 0);
  ASSERT_EQ(dev(kSharedB, "driver_override", "vfio-pci"), 0);
  (void)core_.take_uevents();
  ASSERT_EQ(bus("drivers_probe", kSharedA), 0);
  EXPECT_THAT(events(), ElementsAre("add 6", "add vfio0", "bind " + kSharedA));
  ASSERT_EQ(bus("drivers_probe", kSharedB), 0);
  EXPECT_THAT(events(), ElementsAre("add vfio1", "bind " + kSharedB));
  ASSERT_EQ(drv("vfio-pci", "unbind", kSharedA), 0);
  EXPECT_THAT(events(), ElementsAre("remove vfio0", "unbind " + kSharedA));
  ASSERT_EQ(drv("vfio-pci", "unbind", kSharedB), 0);
  EXPECT_THAT(events(), ElementsAre("remove vfio1", "remove 6", "unbind " + kSharedB));
}

TEST_F(Uevents, AreNotSentForWhatChangesNothing) {
  (void)core_.take_uevents();
  core_.set_probe("e1000e", -EIO);
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  (void)core_.take_uevents();
  EXPECT_EQ(drv("e1000e", "bind", kNicA), EIO);
  EXPECT_EQ(bus("drivers_probe", kNicA), 0);
  EXPECT_EQ(drv("pci-stub", "new_id", "dead beef"), 0);
  EXPECT_EQ(drv("pci-stub", "remove_id", "dead beef"), 0);
  EXPECT_EQ(bus("drivers_autoprobe", "0"), 0);
  EXPECT_EQ(events(), std::vector<std::string>{});
}

TEST_F(Uevents, HaveTheKernelsLines) {
  (void)core_.take_uevents();
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  ASSERT_EQ(drv("e1000e", "bind", kNicA), 0);
  const auto sent = core_.take_uevents();
  ASSERT_EQ(sent.size(), 4U);
  const std::string path = "/devices/pci0000:00/0000:00:03.0";
  EXPECT_THAT(sent[0].lines, ElementsAre("ACTION=remove", "DEVPATH=" + path + "/net/eth0",
                                         "SUBSYSTEM=net", "INTERFACE=eth0", testing::_));
  EXPECT_THAT(sent[1].lines,
              ElementsAre("ACTION=unbind", "DEVPATH=" + path, "SUBSYSTEM=pci", "PCI_CLASS=20000",
                          "PCI_ID=8086:10D3", "PCI_SUBSYS_ID=8086:0000",
                          "PCI_SLOT_NAME=0000:00:03.0", testing::StartsWith("SEQNUM=")))
      << "no DRIVER, and MODALIAS stripped";
  EXPECT_THAT(sent[3].lines,
              ElementsAre("ACTION=bind", "DEVPATH=" + path, "SUBSYSTEM=pci", "DRIVER=e1000e",
                          "PCI_CLASS=20000", "PCI_ID=8086:10D3", "PCI_SUBSYS_ID=8086:0000",
                          "PCI_SLOT_NAME=0000:00:03.0",
                          "MODALIAS=pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00",
                          "SEQNUM=" + std::to_string(core_.state().seqnum - 1)));
}

TEST_F(Uevents, SyntheticOnesAreCheckedAndMarked) {
  const std::string uuid = "12345678-1234-1234-1234-123456789abc";
  for (const std::string& good : {std::string("add"), std::string("add\n"), std::string("offline"),
                                  "change " + uuid, "add " + uuid + " A=1 B=2"}) {
    EXPECT_EQ(dev(kNicA, "uevent", good), 0) << good;
  }
  for (const std::string& bad :
       {std::string("\n"), std::string("junk"), std::string("add x"), "add " + uuid + " A_B=1",
        "change " + uuid + " A=1,2", "add " + uuid + " A", "add " + uuid + " "}) {
    EXPECT_EQ(dev(kNicA, "uevent", bad), EINVAL) << bad;
  }
  const auto sent = core_.take_uevents();
  EXPECT_THAT(
      sent.back().lines,
      testing::IsSupersetOf({std::string("SYNTH_UUID=" + uuid), std::string("SYNTH_ARG_A=1"),
                             std::string("SYNTH_ARG_B=2"), std::string("DRIVER=e1000e")}));
  EXPECT_EQ(sent.back().lines[3], "SYNTH_UUID=" + uuid) << "before the keys of the bus [E6]";
  EXPECT_EQ(bus("uevent", "add"), 0);
  EXPECT_EQ(drv("pcieport", "uevent", "change"), 0);
  EXPECT_THAT(core_.take_uevents().back().lines,
              ElementsAre("ACTION=change", "DEVPATH=/bus/pci/drivers/pcieport", "SUBSYSTEM=drivers",
                          "SYNTH_UUID=0", testing::_));
}

TEST_F(Uevents, SyntheticOnesHaveRoomForSoMuch) {
  const auto arguments = [](int count) {
    std::string out = "add 12345678-1234-1234-1234-123456789abc";
    for (int i = 0; i < count; ++i) out += " K" + std::to_string(i) + "=1";
    return out;
  };
  EXPECT_EQ(dev(kEduA, "uevent", arguments(54)), 0);
  const auto seqnum = core_.state().seqnum;
  EXPECT_EQ(dev(kEduA, "uevent", arguments(56)), ENOMEM) << "beside its own lines";
  EXPECT_EQ(core_.state().seqnum, seqnum);
  EXPECT_EQ(dev(kEduA, "uevent", arguments(55)), ENOMEM);
  EXPECT_EQ(core_.state().seqnum, seqnum + 1) << "only the number itself had no room";
  EXPECT_EQ(drv("e1000e", "uevent", arguments(59)), 0);
  EXPECT_EQ(drv("e1000e", "uevent", arguments(60)), ENOMEM);
  EXPECT_EQ(drv("e1000e", "uevent", arguments(64)), EINVAL);
  const std::string start = "add 12345678-1234-1234-1234-123456789abc A=";
  EXPECT_EQ(drv("e1000e", "uevent", start + std::string(1900, 'x')), 0);
  EXPECT_EQ(drv("e1000e", "uevent", start + std::string(1987, 'x')), ENOMEM);
  EXPECT_EQ(drv("e1000e", "uevent", start + std::string(1988, 'x')), EINVAL);
}

TEST_F(Uevents, OfADriverThatUserSpaceSaidToBeGoneAreNotRepeated) {
  ASSERT_EQ(drv("nvme", "uevent", "remove"), 0);
  ASSERT_EQ(write("module/nvme/uevent", "remove"), 0);
  ASSERT_EQ(dev(kNvme, "uevent", "remove"), 0);
  EXPECT_EQ(load(save_machine(core_.state())), core_.state());
  (void)core_.take_uevents();
  ASSERT_TRUE(core_.unload_module("nvme"));
  EXPECT_THAT(events(), ElementsAre("remove nvme0n1", "remove nvme0", "unbind " + kNvme));
  ASSERT_EQ(dev(kNvme, "remove", "1"), 0);
  EXPECT_THAT(events(), ElementsAre("remove " + kNvme)) << "of a device it is said all the same";
  ASSERT_TRUE(core_.load_module("nvme"));
  (void)core_.take_uevents();
  ASSERT_TRUE(core_.unload_module("nvme"));
  EXPECT_THAT(events(), ElementsAre("remove nvme", "remove nvme")) << "only once";
}

TEST_F(Uevents, AreKeptUpToABoundTheNewestLast) {
  (void)core_.take_uevents();
  const auto first = core_.state().seqnum;
  for (std::size_t i = 0; i < DriverCore::kMaxUevents + 5; ++i) {
    ASSERT_EQ(core_.synthetic_uevent(key(kNicA), "add"), Reply<void>());
  }
  const auto kept = core_.take_uevents();
  EXPECT_EQ(kept.size(), DriverCore::kMaxUevents);
  EXPECT_EQ(kept.front().lines.back(), "SEQNUM=" + std::to_string(first + 5));
}

}  // namespace
}  // namespace anybind::drivercore
