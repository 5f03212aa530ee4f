#include "users/guards.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/tracing_sysfs.h"
#include "inventory/test_tree.h"
#include "users/test_netlink.h"

namespace anybind {
namespace {

using testing::AnyOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr const char* kNic = "0000:00:03.0";
const std::string kReal = "devices/pci0000:00/0000:00:03.0";

constexpr unsigned kEth0 = 2;
constexpr unsigned kEth1 = 3;

class Guards : public testing::Test {
 protected:
  Guards() { tree_.pci({.address = kNic, .driver = "host"}); }

  InUse in_use(const std::vector<DeviceId>& devices) {
    InUse out = find_blockers(tree_.sysfs(), Proc(tree_.root() + "/proc"), devices);
    for (const Blocker& blocker : out.blockers)
      EXPECT_THAT(guard_names(), testing::Contains(blocker.name));
    return out;
  }
  std::vector<std::string> names() {
    std::vector<std::string> out;
    for (const Blocker& blocker : in_use({pci_id(kNic)}).blockers) out.push_back(blocker.name);
    return out;
  }
  /// "who | next" of each.
  std::vector<std::string> words() {
    std::vector<std::string> out;
    for (const Blocker& blocker : in_use({pci_id(kNic)}).blockers)
      out.push_back(blocker.who + " | " + blocker.advice.plain());
    return out;
  }
  /// A node of the card, whose number is that of /dev/null, and one that nobody has.
  void node(const std::string& below) {
    tree_.put(kReal + below + "/uevent", "MAJOR=1\nMINOR=3\nDEVNAME=bus/thing\n");
    tree_.link("dev/char/1:3", "../../" + (kReal + below));
    tree_.link("dev/char/1:5", "../../devices/virtual/mem/zero");
  }
  void process(const std::string& pid, const std::string& file) {
    tree_.link("proc/" + pid + "/fd/3", file);
    tree_.put("proc/" + pid + "/comm", "holder\n");
    tree_.put("proc/" + pid + "/cmdline", std::string("holder\0-x\0", 10));
    tree_.put("proc/" + pid + "/status", "Name:\tholder\nUid:\t1000\t0\t0\t0\n");
  }
  void nic(const std::string& flags) {
    tree_.interface("net", "eth0", kReal);
    tree_.put(kReal + "/net/eth0/ifindex", "2\n");
    nic_flags(flags);
  }
  void nic_flags(const std::string& flags) { tree_.put(kReal + "/net/eth0/flags", flags + "\n"); }
  void told(const std::string& messages) {
    tree_.remove("proc/net/rtnetlink");
    tree_.put("proc/net/rtnetlink", messages);
  }
  void disk() {
    const std::string dir = kReal + "/block/sda";
    tree_.interface("block", "sda", kReal);
    tree_.put(dir + "/dev", "8:0\n");
    tree_.put(dir + "/sda1/dev", "8:1\n");
    tree_.put(dir + "/sda1/partition", "1\n");
    tree_.link_to("class/block/sda1", dir + "/sda1");
  }
  void mapper() {
    tree_.link_to(kReal + "/block/sda/sda1/holders/dm-0", "devices/virtual/block/dm-0");
    tree_.put("devices/virtual/block/dm-0/dev", "254:0\n");
    tree_.put("devices/virtual/block/dm-0/dm/name", "vg-root\n");
    tree_.link_to("class/block/dm-0", "devices/virtual/block/dm-0");
  }
  TestTree tree_;
};

TEST_F(Guards, AnUnusedDeviceHasNone) {
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(Guards, AnInterfaceCountsWhenItIsUpAndHasAnAddress) {
  nic("0x1002");
  told(address(AF_INET, RT_SCOPE_UNIVERSE, kEth0));
  EXPECT_THAT(names(), IsEmpty());
  nic_flags("0x1003");
  EXPECT_THAT(names(), ElementsAre("interface-up"));
  told(address(AF_INET, RT_SCOPE_UNIVERSE, kEth1));
  EXPECT_THAT(names(), IsEmpty());
  told(address(AF_INET6, RT_SCOPE_LINK, kEth0));
  EXPECT_THAT(names(), IsEmpty());
  told(address(AF_INET6, RT_SCOPE_UNIVERSE, kEth0));
  EXPECT_THAT(names(), ElementsAre("interface-up"));
}

TEST_F(Guards, ARouteCountsInAnyTableAndThroughAnyHop) {
  nic("0x1003");
  const auto is_default = UnorderedElementsAre("default-route", "interface-up");
  told(route({.length = 24, .through = out_of(kEth0)}));
  EXPECT_THAT(names(), ElementsAre("interface-up"));
  told(route({.through = out_of(kEth1)}));
  EXPECT_THAT(names(), IsEmpty());
  told(route({.through = out_of(kEth0)}));
  EXPECT_THAT(names(), is_default);
  told(route({.table = 100, .through = out_of(kEth0)}));
  EXPECT_THAT(names(), is_default);
  told(route({.through = hops({kEth1, kEth0})}));
  EXPECT_THAT(names(), is_default);
  told(address(AF_INET, RT_SCOPE_UNIVERSE, kEth1) +
       route({.family = AF_INET6, .through = out_of(kEth0)}));
  EXPECT_THAT(words(), Contains(HasSubstr("default route of IPv6")));
}

TEST_F(Guards, RoutesThatSendNothingThereDoNotCount) {
  nic("0x1003");
  told(route({.type = RTN_UNREACHABLE, .through = out_of(kEth0)}) +
       route({.flags = RTM_F_CLONED, .through = out_of(kEth0)}) +
       route({.length = 64, .protocol = RTPROT_KERNEL, .through = out_of(kEth0)}) +
       route({.family = 128, .through = out_of(kEth0)}));
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(Guards, NoBeginningOfATrueAnswerIsTakenForMoreThanItIs) {
  nic("0x1003");
  const std::string all = route({.through = hops({kEth1, kEth0})});
  for (std::size_t size = 0; size < all.size(); ++size) {
    told(all.substr(0, size));
    EXPECT_THAT(names(), IsEmpty()) << size;
  }
  // Lengths that are too short to go on, and hops longer than what they are in.
  for (std::size_t at = 0; at < all.size(); ++at) {
    for (const char byte : {'\0', '\x01', '\xff'}) {
      std::string odd = all;
      odd[at] = byte;
      told(odd);
      EXPECT_THAT(names(), Each(AnyOf("default-route", "interface-up"))) << at;
    }
  }
}

TEST_F(Guards, AnInterfaceThatIsUpCountsWhereTheKernelDoesNotAnswer) {
  nic("0x1003");
  tree_.dir("proc/net/rtnetlink");
  EXPECT_THAT(words(), ElementsAre("eth0 is up, and whether it has addresses or routes cannot be "
                                   "seen: Is a directory | ip link set eth0 down"));
  told("");
  EXPECT_THAT(names(), IsEmpty());
  tree_.remove(kReal + "/net/eth0/ifindex");
  EXPECT_THAT(names(), ElementsAre("interface-up"));
}

TEST_F(Guards, AMemberOfABondCountsAlsoWhenItIsDown) {
  nic("0x1002");
  tree_.dir(kReal + "/net/eth0/upper_bond0");
  EXPECT_THAT(names(), ElementsAre("interface-member"));
}

/// What a machine file says.
class Declared final : public DeclaredUsers {
 public:
  explicit Declared(std::vector<DeclaredUse> uses) : uses_(std::move(uses)) {}
  [[nodiscard]] std::vector<DeclaredUse> all() const override { return uses_; }

 private:
  std::vector<DeclaredUse> uses_;
};

class DeclaredGuards : public Guards {
 protected:
  std::vector<std::string> found(const std::string& address, const std::vector<DeclaredUse>& uses) {
    const Declared declared(uses);
    Host host(tree_.sysfs());
    host.declared = &declared;
    host.has_users = has_users_;
    std::vector<std::string> out;
    for (const Blocker& blocker : find_blockers(host, {{.device = pci_id(address)}}).blockers)
      out.push_back(blocker.name + ": " + blocker.who);
    return out;
  }
  bool has_users_ = true;
};

TEST_F(DeclaredGuards, CountWhileAHostDriverHasTheDevice) {
  const std::vector<std::string> names = {"root-filesystem", "input", "vfio-user"};
  EXPECT_THAT(found(kNic, {{pci_id(kNic), names}}),
              ElementsAre("root-filesystem: the root file system is on it, says the machine file",
                          "input: the machine file says so",
                          "vfio-user: user space has it open, says the machine file"));
  tree_.pci({.address = "0000:00:04.0", .driver = "vfio-pci"});
  EXPECT_THAT(found("0000:00:04.0", {{pci_id("0000:00:04.0"), names}}),
              ElementsAre("vfio-user: user space has it open, says the machine file"));
  has_users_ = false;
  EXPECT_THAT(found(kNic, {{pci_id(kNic), names}}), IsEmpty());
}

TEST_F(DeclaredGuards, OfADeviceBelowCountForAllThatItHangsOn) {
  const std::string disk = kReal + "/host0/target0:0:0/0:0:0:0";
  const DeviceId scsi{*BusName::parse("scsi"), *DeviceName::parse("0:0:0:0")};
  tree_.dir(disk);
  tree_.link_to("bus/scsi/devices/0:0:0:0", disk);
  const std::vector<DeclaredUse> uses = {{scsi, {"mounted", "input", "vfio-user"}}};
  EXPECT_THAT(found(kNic, uses), IsEmpty()) << "nothing is mounted without the disk's driver";
  tree_.link_to(disk + "/driver", "bus/scsi/drivers/sd");
  EXPECT_THAT(
      found(kNic, uses),
      ElementsAre("mounted: a file system on scsi/0:0:0:0 is mounted, says the machine file",
                  "input: the machine file says so of scsi/0:0:0:0"));
  tree_.dir(disk + "/block/sdz");
  tree_.link_to("class/block/sdz", disk + "/block/sdz");
  EXPECT_THAT(found(kNic, {{scsi, {"mounted"}}}),
              ElementsAre("mounted: a file system on sdz is mounted, says the machine file"));
  tree_.pci({.address = "0000:00:04.0", .driver = "host"});
  EXPECT_THAT(found("0000:00:04.0", uses), IsEmpty()) << "the disk is not below that one";
}

TEST_F(Guards, AMountOfAPartitionInAnyNamespace) {
  disk();
  tree_.put("proc/1/mountinfo", "22 1 0:5 / / rw - tmpfs none rw\n");
  tree_.link("proc/1/ns/mnt", "mnt:[1]");
  EXPECT_THAT(names(), IsEmpty());
  tree_.put("proc/77/mountinfo", "23 1 8:1 / /data rw shared:1 - ext4 /dev/sda1 rw\n");
  tree_.link("proc/77/ns/mnt", "mnt:[2]");
  EXPECT_THAT(names(), ElementsAre("mounted"));
}

TEST_F(Guards, TheRootFileSystemThroughADeviceMapper) {
  disk();
  mapper();
  tree_.link("proc/1/ns/mnt", "mnt:[1]");
  tree_.put("proc/1/mountinfo", "22 1 0:40 / / rw - btrfs /dev/mapper/vg-root rw\n");
  EXPECT_THAT(names(), UnorderedElementsAre("holder", "root-filesystem"));
}

TEST_F(Guards, Swap) {
  disk();
  tree_.put("proc/swaps", "Filename Type Size Used Priority\n/dev/sda1 partition 9 0 -2\n");
  EXPECT_THAT(names(), ElementsAre("swap"));
}

TEST_F(Guards, TheBootDisplayAndVirtualFunctionsInUse) {
  tree_.put(kReal + "/boot_vga", "1\n");
  tree_.put(kReal + "/sriov_numvfs", "1\n");
  tree_.pci({.address = "0000:00:03.1"});
  tree_.link_to(kReal + "/virtfn0", "devices/pci0000:00/0000:00:03.1");
  EXPECT_THAT(names(), ElementsAre("boot-display"));
  tree_.link_to("devices/pci0000:00/0000:00:03.1/driver", "bus/pci/drivers/host");
  EXPECT_THAT(names(), UnorderedElementsAre("boot-display", "vf-in-use"));
}

TEST_F(Guards, AProcessOfWhichNotAllFilesCanBeLookedAtIsCounted) {
  node("/thing/thing0");
  process("77", "/dev/zero");
  EXPECT_EQ(in_use({pci_id(kNic)}).unseen, 0U);
  for (const char* pid : {"77", "78"}) tree_.link("proc/" + std::string(pid) + "/fd/4", "4");
  EXPECT_EQ(in_use({pci_id(kNic)}).unseen, 2U);
}

TEST_F(Guards, AnOpenDeviceNodeWithItsProcess) {
  node("/thing/thing0");
  tree_.put("proc/self/root/etc/passwd", "root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n");
  process("77", "/dev/zero");
  EXPECT_THAT(names(), IsEmpty());
  process("78", "/dev/null");
  EXPECT_THAT(
      words(),
      ElementsAre("holder (process 78 of alice: holder -x) has /dev/bus/thing open | end it: kill "
                  "78"));
}

TEST_F(Guards, NobodyIsToldToEndUdevWhichIsDoneInAMoment) {
  node("/thing/thing0");
  process("78", "/dev/null");
  for (const char* name : {"(udev-worker)", "systemd-udevd", "udevd"}) {
    tree_.put("proc/78/comm", std::string(name) + "\n");
    ASSERT_EQ(words().size(), 1U);
    EXPECT_THAT(words()[0],
                testing::HasSubstr("| udev is done with it in a moment: udevadm settle"));
  }
  tree_.put("proc/78/comm", "udevil\n");
  EXPECT_THAT(words(), ElementsAre(testing::HasSubstr("| end it: kill 78")));
}

TEST_F(Guards, OnlySoManyOfAKindAreNamed) {
  node("/thing/thing0");
  for (int pid = 101; pid <= 120; ++pid) process(std::to_string(pid), "/dev/null");
  const auto all = words();
  ASSERT_EQ(all.size(), 8U);
  EXPECT_THAT(all.back(), testing::HasSubstr("process 108"));
  EXPECT_THAT(all.back(), testing::HasSubstr("and 12 more"));
}

TEST_F(Guards, OfADeviceOnVfioItsGroupIsAskedAboutAndNothingElse) {
  tree_.pci({.address = "0000:00:04.0", .driver = "vfio-pci", .group = 7});
  tree_.put("devices/pci0000:00/0000:00:04.0/boot_vga", "1\n");
  tree_.put("class/vfio/7/dev", "1:3\n");
  process("78", "/dev/null");
  const auto found = in_use({pci_id("0000:00:04.0")}).blockers;
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].name, "vfio-user");
  EXPECT_THAT(found[0].who, testing::HasSubstr("/dev/vfio/7"));
}

TEST_F(Guards, ADeviceOnVfioIsAskedForItsFilesOnlyWhenSomeFileOfVfioIsOpen) {
  tree_.pci({.address = "0000:00:04.0", .driver = "vfio-pci", .group = 7});
  tree_.put("class/vfio/7/dev", "1:3\n");
  process("78", "/dev/null");
  tree_.put("proc/devices", "Character devices:\n  1 mem\n243 vfio\n\nBlock devices:\n  1 vfio\n");
  Trace trace;
  const auto traced = trace_sysfs(tree_.sysfs(), trace);
  const auto asked = [&] {
    return std::ranges::any_of(trace,
                               [](const Operation& o) { return o.path.contains("class/vfio"); });
  };
  const auto find = [&] {
    return find_blockers(*traced, Proc(tree_.root() + "/proc"), {pci_id("0000:00:04.0")}).blockers;
  };
  EXPECT_THAT(find(), IsEmpty());
  EXPECT_FALSE(asked());
  tree_.put("proc/devices", "Character devices:\n  1 vfio\n");
  EXPECT_THAT(find(), testing::SizeIs(1));
  EXPECT_TRUE(asked());
}

TEST_F(Guards, WhoHasTheVeryDeviceOpenIsTold) {
  tree_.pci({.address = "0000:00:04.0", .driver = "vfio-pci", .group = 7});
  tree_.pci({.address = "0000:00:04.1", .driver = "vfio-pci", .group = 7});
  tree_.put("class/vfio/7/dev", "1:3\n");
  // A descriptor that it was handed: it never opened the group.
  process("78", "anon_inode:[vfio-device]");
  tree_.put("proc/78/fdinfo/3",
            "pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t1030\n"
            "vfio-device-syspath: /sys/devices/pci0000:00/0000:00:04.0\n");
  const std::vector<DeviceId> both = {pci_id("0000:00:04.0"), pci_id("0000:00:04.1")};
  auto found = in_use(both).blockers;
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].device, both[0]);
  EXPECT_EQ(found[0].name, "vfio-user");
  EXPECT_THAT(found[0].who, testing::AllOf(testing::HasSubstr("process 78 of "),
                                           testing::EndsWith(" has it open by VFIO")));
  // Who has the group has all of it, and is told with what the kernel says.
  tree_.link("proc/78/fd/4", "/dev/null");
  found = in_use(both).blockers;
  ASSERT_EQ(found.size(), 2U);
  EXPECT_THAT(found[0].who, testing::EndsWith(" has it open by VFIO"));
  EXPECT_THAT(found[1].who, testing::EndsWith(" has /dev/vfio/7 open, and not this device"));
}

TEST_F(Guards, AnotherFileWithoutANameIsNoDevice) {
  tree_.pci({.address = "0000:00:04.0", .driver = "vfio-pci", .group = 7});
  for (const char* target : {"anon_inode:[eventpoll]", "anon_inode:[vfio-device]x"}) {
    tree_.remove("proc/78/fd/3");
    process("78", target);
    tree_.put("proc/78/fdinfo/3", "vfio-device-syspath: /sys/devices/pci0000:00/0000:00:04.0\n");
    EXPECT_THAT(in_use({pci_id("0000:00:04.0")}).blockers, IsEmpty()) << target;
  }
  // What it says must be in its own line, and a path of sysfs.
  for (const char* text : {"", "pos:\t0\n", "x vfio-device-syspath: /sys/devices/x\n",
                           "vfio-device-syspath: devices/pci0000:00/0000:00:04.0\n"}) {
    tree_.remove("proc/78/fd/3");
    process("78", "anon_inode:[vfio-device]");
    tree_.put("proc/78/fdinfo/3", text);
    EXPECT_THAT(in_use({pci_id("0000:00:04.0")}).blockers, IsEmpty()) << text;
  }
}

TEST_F(Guards, AFunctionThatIsLockedForAConfidentialGuestIsInUseOnEveryDriver) {
  tree_.pci({.address = "0000:00:04.0", .driver = "host"});
  tree_.pci({.address = "0000:00:05.0", .driver = "vfio-pci", .group = 7});
  for (const std::string address : {"0000:00:04.0", "0000:00:05.0"}) {
    const std::string file = "devices/pci0000:00/" + address + "/tsm/bound";
    tree_.put(file, "\n");
    EXPECT_THAT(in_use({pci_id(address)}).blockers, IsEmpty());
    tree_.put(file, "tsm0\n");
    const auto found = in_use({pci_id(address)}).blockers;
    ASSERT_EQ(found.size(), 1U) << address;
    EXPECT_EQ(found[0].name, "tsm-bound");
    EXPECT_EQ(found[0].who, "it is locked for a confidential guest, by tsm0");
  }
}

TEST_F(Guards, EachDeviceHasItsFindingsInTheOrderAskedFor) {
  tree_.pci({.address = "0000:00:02.0", .driver = "host"});
  tree_.put("devices/pci0000:00/0000:00:02.0/boot_vga", "1\n");
  nic("0x1002");
  tree_.dir(kReal + "/net/eth0/upper_bond0");
  const auto found = in_use({pci_id(kNic), pci_id("0000:00:02.0")}).blockers;
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].device, pci_id(kNic));
  EXPECT_EQ(found[1].name, "boot-display");
}

TEST_F(Guards, AnInterfaceInAnotherNetworkNamespaceIsSeenThroughItsSysfs) {
  const auto mounts = [](const std::string& number) {
    return "20 1 0:9 / / rw - ext4 /dev/x rw\n21 20 " + number + " / /sys rw - sysfs sysfs rw\n";
  };
  tree_.link("proc/self/ns/net", "net:[1]");
  tree_.put("proc/self/mountinfo", mounts("0:20"));
  for (const std::string pid : {"50", "51"}) {
    tree_.link("proc/" + pid + "/ns/net", "net:[2]");
    tree_.link("proc/" + pid + "/root/sys/class/net/eth9", "../../" + kReal + "/net/eth9");
  }
  tree_.put("proc/50/mountinfo", mounts("0:20"));  // it sees our sysfs
  tree_.put("proc/51/mountinfo", "20 1 0:9 / / rw - fuse.evil evil rw\n");
  EXPECT_THAT(names(), IsEmpty());
  tree_.put("proc/51/mountinfo", mounts("0:21"));
  EXPECT_THAT(words(), ElementsAre("eth9 is in another network namespace, that of process 51 | "
                                   "nsenter -t 51 -n ip link set eth9 netns 1"));
}

TEST_F(Guards, ALoopDeviceOnAPartitionAndWhatIsMountedFromIt) {
  disk();
  tree_.put("class/block/loop0/loop/backing_file", "/dev/sda1\n");
  tree_.put("class/block/loop0/dev", "7:0\n");
  tree_.put("proc/self/mountinfo", "22 1 7:0 / /a\\040b rw - ext4 /dev/loop0 rw\n");
  EXPECT_THAT(words(), ElementsAre("loop0 is made of sda1 | losetup -d /dev/loop0",
                                   "loop0 is mounted at /a b | umount '/a b'"));
}

TEST_F(Guards, EveryMemberOfAMountedBtrfs) {
  disk();
  tree_.dir("fs/btrfs/1234/devices/sda1");
  tree_.dir("fs/btrfs/1234/devices/vdb");
  tree_.put("proc/self/mountinfo", "22 1 0:40 / /data rw - btrfs /dev/vdb rw\n");
  EXPECT_THAT(words(), ElementsAre("sda1 is mounted at /data | umount /data"));
}

/// Whichever of them the kernel lists first.
TEST_F(Guards, EachMemberOfAMountedBtrfsWhateverTheirOrder) {
  disk();
  for (const bool own_first : {true, false}) {
    tree_.remove("fs/btrfs");
    tree_.dir("fs/btrfs/1234/devices/" + std::string(own_first ? "sda1" : "vdb"));
    tree_.dir("fs/btrfs/1234/devices/" + std::string(own_first ? "vdb" : "sda1"));
    for (const char* source : {"/dev/sda1", "/dev/vdb"}) {
      tree_.put("proc/self/mountinfo",
                "22 1 0:40 / /data rw - btrfs " + std::string(source) + " rw\n");
      EXPECT_THAT(names(), ElementsAre("mounted")) << own_first << source;
    }
    // The order of a directory is the file system's: other names beside them shift it.
    for (char other = 'a'; other <= 'z'; ++other) {
      tree_.dir("fs/btrfs/1234/devices/" + std::string(1, other));
      EXPECT_THAT(names(), ElementsAre("mounted")) << other;
    }
  }
}

TEST_F(Guards, AZfsPartitionWhenAPoolIsImported) {
  disk();
  tree_.put("class/block/sda1/uevent", "DEVNAME=sda1\nPARTNAME=zfs-0123456789abcdef\n");
  EXPECT_THAT(names(), IsEmpty());
  tree_.put("proc/spl/kstat/zfs/tank/state", "ONLINE\n");
  tree_.put("proc/spl/kstat/zfs/arcstats", "1\n");
  EXPECT_THAT(words(), ElementsAre("sda1 is a ZFS partition, perhaps of an imported pool: tank | "
                                   "zpool export tank"));
}

TEST_F(Guards, EachHolderWithTheCommandThatFreesIt) {
  disk();
  mapper();
  const auto next = [&](const std::string& uuid) {
    tree_.put("devices/virtual/block/dm-0/dm/uuid", uuid);
    return in_use({pci_id(kNic)}).blockers.at(0).advice.plain();
  };
  EXPECT_EQ(next("LVM-abc"), "vgchange -an vg");
  EXPECT_EQ(next("CRYPT-LUKS2-abc"), "cryptsetup close vg-root");
  EXPECT_EQ(next(""), "dmsetup remove vg-root");
  tree_.put("devices/virtual/block/dm-0/dm/name", "my--vg-root\n");
  EXPECT_EQ(next("LVM-abc"), "vgchange -an my-vg");
}

TEST_F(Guards, WhatHangsOnAUsbController) {
  const std::string usb = kReal + "/usb1/1-1/1-1:1.0";
  tree_.interface("block", "sdb", usb + "/host3/target3:0:0/3:0:0:0");
  tree_.put("class/block/sdb/dev", "8:16\n");
  tree_.put("proc/self/mountinfo", "22 1 8:16 / /stick rw - vfat /dev/sdb rw\n");
  tree_.interface("input", "input7", usb + "/0003:046D:C31C.0001");
  tree_.put("class/input/input7/name", "Logitech\x1b[2J\n");
  tree_.put("class/input/input7/capabilities/key",
            "1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe\n");
  EXPECT_THAT(names(), UnorderedElementsAre("mounted", "input"));
}

TEST_F(Guards, AButtonIsNoKeyboard) {
  tree_.interface("input", "input7", kReal);
  for (const char* keys : {"10000000000000 0\n", "2\n", "fffffffc\n"}) {
    tree_.put("class/input/input7/capabilities/key", keys);
    EXPECT_THAT(names(), IsEmpty()) << keys;
  }
}

TEST_F(Guards, TheConsoles) {
  tree_.interface("graphics", "fb0", kReal);
  tree_.put("class/vtconsole/vtcon1/name", "(M) frame buffer device\n");
  tree_.put("class/vtconsole/vtcon1/bind", "0\n");
  EXPECT_THAT(names(), IsEmpty());
  tree_.put("class/vtconsole/vtcon1/bind", "1\n");
  EXPECT_THAT(names(), ElementsAre("console"));
  tree_.put("class/vtconsole/vtcon1/bind", "0\n");
  tree_.link("dev/char/4:68", "../../" + kReal + "/tty/ttyS4");
  tree_.put("class/tty/console/active", "tty0 ttyS4\n");
  EXPECT_THAT(names(), ElementsAre("console"));
}

TEST_F(Guards, ABridgeWithSomethingBoundBehindIt) {
  tree_.pci({.address = "0000:00:1c.0", .class_code = "60400", .driver = "pcieport"});
  tree_.put("devices/pci0000:00/0000:00:1c.0/class", "0x060400\n");
  tree_.pci({.address = "0000:01:00.0", .behind = "0000:00:1c.0"});
  EXPECT_THAT(in_use({pci_id("0000:00:1c.0")}).blockers, IsEmpty());
  tree_.pci({.address = "0000:01:00.1", .driver = "host", .behind = "0000:00:1c.0"});
  const auto found = in_use({pci_id("0000:00:1c.0")}).blockers;
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].name, "bridge");
  EXPECT_EQ(found[0].who, "0000:01:00.1 behind it is on host");
  tree_.pci({.address = "0000:02:00.0", .driver = "host", .behind = "0000:00:1c.0/0000:01:00.0"});
  EXPECT_EQ(in_use({pci_id("0000:00:1c.0")}).blockers.size(), 2U);
}

TEST_F(Guards, ADeviceWithoutADriverIsInNobodysUse) {
  tree_.pci({.address = "0000:00:05.0"});
  tree_.put("devices/pci0000:00/0000:00:05.0/boot_vga", "1\n");
  EXPECT_THAT(in_use({pci_id("0000:00:05.0")}).blockers, IsEmpty());
}

TEST_F(Guards, OddTextIsNoBlockerAndNoCrash) {
  disk();
  nic("0xZZ");
  tree_.put("proc/swaps", "/\n");
  tree_.link("proc/1/ns/mnt", "mnt:[1]");
  tree_.put("proc/1/mountinfo", "- \n1 2 8:1 - - - -\n\n22 1 8:1 / /x rw -");
  tree_.link("dev/char/x", "../../" + kReal + "/a");
  tree_.link("dev/char/1:3", "/etc/passwd");
  tree_.put("dev/char/1:9", "no link");
  tree_.put("proc/3/fd", "no directory");
  tree_.link("proc/4/fd/0", "nowhere");
  told(std::string(100, '0'));
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(Guards, ARunningDomainOfLibvirtHasItsDevices) {
  const auto files = [&](const std::string& path, const std::string& text) {
    tree_.put("root/run/libvirt/qemu/" + path, text);
  };
  files("win 11.xml",
        "<domstatus state='running'><domain type='kvm'><name>win 11</name><devices>\n"
        "<hostdev mode='subsystem' type='usb'><source><address bus='0' slot='3'/></source>"
        "</hostdev>\n"
        "<hostdev mode='subsystem' type='pci' managed='yes'>\n  <driver name='vfio'/>\n"
        "  <source>\n    <address domain='0x0000' bus='0x00' slot='0x03' function='0x0'/>\n"
        "  </source>\n  <address type='pci' domain='0x0000' bus='0x07' slot='0x00' "
        "function='0x0'/>\n</hostdev></devices></domain></domstatus>");
  files("win 11.pid", "812\n");
  files("half.xml", "<hostdev mode='subsystem' type='pci'><source><address bus='0x00'");
  Host host(tree_.sysfs());
  host.run = Proc(tree_.root() + "/root/run");
  const InUse in_use = find_blockers(host, {{pci_id(kNic)}, {pci_id("0000:07:00.0")}});
  ASSERT_EQ(in_use.blockers.size(), 1U);
  EXPECT_EQ(in_use.blockers[0].device, pci_id(kNic));
  EXPECT_EQ(in_use.blockers[0].name, "libvirt");
  EXPECT_EQ(in_use.blockers[0].who,
            "libvirt's domain win 11 runs with it, and gives it back at its end");
  EXPECT_EQ(in_use.blockers[0].advice.plain(), "shut that domain down: virsh shutdown 'win 11'");
}

}  // namespace
}  // namespace anybind
