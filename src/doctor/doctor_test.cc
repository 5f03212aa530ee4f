#include "doctor/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/accounts.h"
#include "host/faulty_sysfs.h"
#include "host/modules.h"
#include "inventory/test_tree.h"

namespace anybind {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Property;
using testing::SizeIs;

constexpr const char* kCard = "0000:00:03.0";
constexpr const char* kOther = "0000:00:04.0";

/// A machine that is ready: an IOMMU with a group a card, vfio-pci, and the files of a root
/// directory below root/.
class DoctorTest : public testing::Test {
 protected:
  DoctorTest() {
    tree_.pci({.address = kCard, .driver = "e1000e", .group = 1});
    tree_.pci({.address = kOther, .ids = "10DE:1C03", .driver = "nouveau", .group = 2});
    tree_.driver("pci", "vfio-pci");
    tree_.put("bus/pci/drivers_autoprobe", "1\n");
    tree_.put("module/vfio_pci/initstate", "live\n");
    tree_.put("module/vfio_iommu_type1/initstate", "live\n");
    tree_.put("kernel/security/lockdown", "[none] integrity confidentiality\n");
    command_line("root=/dev/sda1 quiet");
  }

  void file(const std::string& path, std::string_view text) { tree_.put("root/" + path, text); }
  void command_line(const std::string& text) { file("proc/cmdline", text + "\n"); }
  void no_iommu() {
    tree_.remove("kernel/iommu_groups");
    tree_.dir("kernel/iommu_groups");
  }
  Host machine() {
    Host out(tree_.sysfs());
    out.files = Proc(tree_.root() + "/root");
    out.release = "6.1.0-13-amd64";
    out.is_root = true;
    return out;
  }
  /// The findings of one check.
  std::vector<Finding> of(std::string_view check) { return of(check, machine()); }
  static std::vector<Finding> of(std::string_view check, const Host& host,
                                 const KnownChanges& changes = {}) {
    auto out = examine(host, changes);
    std::erase_if(out, [&](const Finding& finding) { return finding.check != check; });
    return out;
  }
  TestTree tree_;
};

auto is_finding(Verdict verdict, const std::string& what, const std::string& fix) {
  return AllOf(Field(&Finding::verdict, verdict), Field(&Finding::what, HasSubstr(what)),
               Field(&Finding::fix, Property(&Remark::plain, HasSubstr(fix))));
}
auto is_ok(const std::string& what) {
  return AllOf(Field(&Finding::verdict, Verdict::kOk), Field(&Finding::what, HasSubstr(what)),
               Field(&Finding::fix, Remark()));
}

TEST_F(DoctorTest, AReadyMachineHasNothingToMend) {
  const auto findings = examine(machine(), {});
  EXPECT_THAT(findings, Each(Field(&Finding::verdict, Verdict::kOk)));
  EXPECT_THAT(findings, SizeIs(testing::Ge(10U)));
  EXPECT_TRUE(is_ready(findings));
  EXPECT_THAT(of("iommu"), ElementsAre(is_ok("2 IOMMU groups")));
}

TEST_F(DoctorTest, EveryVerdictButOkComesWithAFix) {
  no_iommu();
  tree_.put("bus/pci/drivers_autoprobe", "0\n");
  tree_.remove("bus/pci/drivers/vfio-pci");
  for (const Finding& finding : examine(machine(), {}))
    EXPECT_EQ(finding.fix.empty(), finding.verdict == Verdict::kOk) << finding.what;
}

TEST_F(DoctorTest, TheCauseOfAMissingIommuIsFound) {
  no_iommu();
  EXPECT_FALSE(is_ready(examine(machine(), {})));
  tree_.put("firmware/acpi/tables/APIC", "");
  EXPECT_THAT(of("iommu"),
              ElementsAre(is_finding(Verdict::kProblem, "no IOMMU", "firmware setup")));
  file("proc/cpuinfo", "vendor_id\t: AuthenticAMD\nflags\t\t: fpu hypervisor\n");
  EXPECT_THAT(of("iommu"), ElementsAre(is_finding(Verdict::kProblem, "virtual machine", "QEMU")));
  tree_.put("firmware/acpi/tables/DMAR", "");
  EXPECT_THAT(of("iommu"), ElementsAre(is_finding(Verdict::kProblem, "VT-d",
                                                  "add intel_iommu=on to the kernel")));
  file("etc/default/grub", "GRUB_CMDLINE_LINUX=\"quiet\"\n");
  EXPECT_THAT(of("iommu"), ElementsAre(is_finding(Verdict::kProblem, "VT-d", "update-grub")));
  file("etc/default/grub", "GRUB_CMDLINE_LINUX=\"intel_iommu=on\"\n");
  EXPECT_THAT(of("iommu"),
              ElementsAre(is_finding(Verdict::kProblem, "VT-d", "configured already")));
  command_line("intel_iommu=on");
  EXPECT_THAT(of("iommu"), ElementsAre(is_finding(Verdict::kProblem, "is given", "dmesg")));
  command_line("intel_iommu=on intel_iommu=sm_on,off");
  EXPECT_THAT(of("iommu"), ElementsAre(is_finding(Verdict::kProblem, "intel_iommu=sm_on,off is on",
                                                  "take intel_iommu=sm_on,off out")));
}

TEST_F(DoctorTest, GroupsOfTheNoIommuModeAreNotAnIommu) {
  no_iommu();
  tree_.put("kernel/iommu_groups/0/name", "vfio-noiommu\n");
  tree_.put("module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
  EXPECT_THAT(of("iommu"), ElementsAre(Field(&Finding::verdict, Verdict::kProblem)));
  EXPECT_THAT(of("no-iommu"), ElementsAre(is_finding(Verdict::kWarning, "all memory", "echo N >")));
}

TEST_F(DoctorTest, AGroupOfSeveralCardsIsNamed) {
  tree_.pci({.address = "0000:00:05.0", .group = 1});
  EXPECT_THAT(of("groups"), ElementsAre(is_finding(Verdict::kWarning, "group 1 holds more than one",
                                                   "explain 0000:00:05.0 vfio-pci")));
}

TEST_F(DoctorTest, AGroupThatAHostDriverBlocksIsFound) {
  tree_.pci({.address = "0000:00:05.0", .driver = "vfio-pci", .group = 1});
  EXPECT_THAT(of("viability"),
              ElementsAre(Field(&Finding::what, HasSubstr(std::string(kCard) + " on e1000e"))));
}

TEST_F(DoctorTest, AGroupThatTheFirmwareKeepsForItselfIsFound) {
  EXPECT_THAT(of("reserved"), IsEmpty());
  tree_.put("kernel/iommu_groups/2/reserved_regions",
            "0x00000000cd000000 0x00000000cd0fffff direct\n");
  EXPECT_THAT(of("reserved"),
              ElementsAre(is_finding(Verdict::kWarning, "group 2 cannot be given", "firmware")));
  tree_.pci({.address = "0000:00:05.0", .driver = "vfio-pci", .group = 3});
  EXPECT_THAT(of("viability"), ElementsAre(is_ok("1 group in use for VFIO, each can be opened")));
  tree_.put("kernel/iommu_groups/3/reserved_regions",
            "0x00000000cd000000 0x00000000cd0fffff direct\n");
  EXPECT_THAT(of("viability"),
              ElementsAre(is_finding(Verdict::kWarning,
                                     "group 3: 0000:00:05.0 is on a VFIO driver, but cannot be "
                                     "opened: the firmware wants",
                                     "firmware")));
  EXPECT_THAT(of("reserved"), ElementsAre(is_finding(Verdict::kWarning, "groups 2 and 3", "")));
}

TEST_F(DoctorTest, WhyThereIsNoVfioPci) {
  tree_.remove("bus/pci/drivers/vfio-pci");
  tree_.remove("module/vfio_pci");
  EXPECT_THAT(of("vfio-pci"),
              ElementsAre(is_finding(Verdict::kProblem, "/lib/modules/6.1.0-13-amd64", "reboot")));
  const std::string modules = "lib/modules/6.1.0-13-amd64";
  file(modules + "/modules.dep", "kernel/drivers/net/e1000e.ko:\n");
  EXPECT_THAT(of("vfio-pci"),
              ElementsAre(is_finding(Verdict::kProblem, "no such module", "install")));
  file(modules + "/modules.dep", "kernel/drivers/vfio/pci/vfio-pci.ko.xz: kernel/vfio.ko.xz\n");
  EXPECT_THAT(of("vfio-pci"), ElementsAre(is_ok("not loaded; bind loads it")));
  file("etc/modprobe.d/x.conf", "# no\ninstall vfio_pci \\\n /bin/false\n");
  EXPECT_THAT(of("vfio-pci"),
              ElementsAre(is_finding(Verdict::kProblem, "install vfio_pci /bin/false",
                                     "/etc/modprobe.d/x.conf")));
  command_line("module_blacklist=foo,vfio-pci");
  EXPECT_THAT(of("vfio-pci"),
              ElementsAre(is_finding(Verdict::kProblem, "module_blacklist=", "take")));
}

TEST_F(DoctorTest, IdsThatTakeMoreThanWasMeant) {
  tree_.dir("class/iommu/dmar0");
  command_line("vfio-pci.ids=10de:1c03,dead:beef amd_iommu=on");
  EXPECT_THAT(of("parameters"),
              ElementsAre(is_finding(Verdict::kWarning, "loads: 0000:00:04.0", "bind by device"),
                          is_finding(Verdict::kWarning, "other maker", "take amd_iommu=on out")));
  file("usr/lib/modprobe.d/a.conf", "options vfio-pci ids=8086:10d3\n");
  EXPECT_THAT(of("modprobe.d"), ElementsAre(is_finding(Verdict::kWarning, kCard, "a.conf")));
  file("etc/modprobe.d/a.conf", "# hides it\n");
  EXPECT_THAT(of("modprobe.d"), ElementsAre(is_ok("nothing about VFIO")));
}

TEST_F(DoctorTest, WhatWasLeftBehind) {
  tree_.put("bus/pci/drivers_autoprobe", "0\n");
  EXPECT_THAT(of("autoprobe"), ElementsAre(is_finding(Verdict::kWarning, "bus/pci",
                                                      "echo 1 > /sys/bus/pci/drivers_autoprobe")));
  const auto words_on = [&](const char* release) {
    Host host = machine();
    host.release = release;
    return of("autoprobe", host).front().what;
  };
  EXPECT_THAT(words_on("6.18.15"), testing::EndsWith("get no device of this bus"));
  EXPECT_THAT(words_on("6.19.14"), testing::EndsWith("and devices that come get no driver"));
  const std::string card = std::string("devices/pci0000:00/") + kCard;
  tree_.put(card + "/driver_override", "vfio-pci\n");
  EXPECT_THAT(of("overrides"),
              ElementsAre(is_finding(Verdict::kWarning, "gets it at the next probe",
                                     "restore 0000:00:03.0")));
  tree_.put(card + "/sriov_drivers_autoprobe", "0\n");
  EXPECT_THAT(of("sriov"), ElementsAre(is_finding(Verdict::kWarning, "get no driver", "echo 1")));
  EXPECT_THAT(of("changes", machine(), {.open = {7}}),
              ElementsAre(is_finding(Verdict::kWarning, "change 7", "recover")));
  Fault fault{.busy = kCard};
  const auto locked = faulty_sysfs(tree_.sysfs(), fault);
  Host waiting(*locked);
  waiting.files = machine().files;
  EXPECT_THAT(
      of("overrides", waiting),
      ElementsAre(is_finding(Verdict::kUnknown, "0000:00:03.0 is busy", "show 0000:00:03.0")));
}

TEST_F(DoctorTest, WhoElseBinds) {
  file("etc/driverctl.d/pci-0000:00:03.0", "vfio-pci\n");
  file("etc/driverctl.d/pci-0000:00:1f.0", "vfio-pci\n");
  EXPECT_THAT(of("driverctl"),
              ElementsAre(is_finding(Verdict::kWarning, "now it is on e1000e", "bind"),
                          is_finding(Verdict::kWarning, "no such device", "unset")));
  file("usr/sbin/driverctl", "echo \"$driver\" > driver_override\n");
  EXPECT_THAT(of("driverctl"), SizeIs(2));
  file("usr/sbin/driverctl", "echo 1 2 > /sys/module/vfio_pci/drivers/pci:vfio-pci/new_id\n");
  EXPECT_THAT(of("driverctl"),
              Contains(is_finding(Verdict::kWarning, "id of the whole type", "by device")));
  file("etc/udev/rules.d/9.rules", "# driver_override\nATTR{driver_override}=\"vfio-pci\"\n");
  EXPECT_THAT(of("udev"), ElementsAre(is_finding(Verdict::kWarning, "9.rules, line 2", "remove")));
  file("etc/libvirt/qemu/vm.xml",
       "<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' "
       "bus='0x00' slot='0x03' function='0x0'/></source></hostdev>");
  EXPECT_THAT(
      of("libvirt"),
      ElementsAre(is_finding(Verdict::kWarning, "domain vm binds 0000:00:03.0", "managed='no'")));
}

TEST_F(DoctorTest, SinceLinux619ACardThatNobodyWasAskedForIsTold) {
  tree_.pci({.address = "0000:00:05.0", .group = 5});                      // e1000e is there
  tree_.pci({.address = "0000:00:06.0", .ids = "1234:5678", .group = 6});  // nobody is
  tree_.pci({.address = "0000:00:07.0", .group = 7});                      // wanted so
  tree_.put("devices/pci0000:00/0000:00:07.0/driver_override", "none\n");
  for (const char* address : {"0000:00:05.0", "0000:00:07.0"})
    tree_.put(std::string("devices/pci0000:00/") + address + "/uevent",
              "PCI_CLASS=20000\nPCI_ID=8086:10D3\nPCI_SUBSYS_ID=1043:8534\n"
              "MODALIAS=pci:v00008086d000010D3sv00001043sd00008534bc02sc00i00\n");
  tree_.link_to("bus/pci/drivers/e1000e/module", "module/e1000e");
  tree_.dir("module/e1000e");
  file("lib/modules/7.3/modules.alias", "alias pci:v00008086d000010D3sv*sd*bc*sc*i* e1000e\n");
  const auto modules = open_modules({.directory = tree_.root() + "/root/lib/modules/7.3"});
  Host host = machine();
  host.modules = modules.get();
  EXPECT_THAT(of("driverless", host), IsEmpty());
  host.release = "7.3.4-amd64";
  EXPECT_THAT(of("driverless", host),
              ElementsAre(is_finding(Verdict::kUnknown, "0000:00:05.0 has no driver, though e1000e",
                                     "restore")));
}

TEST_F(DoctorTest, NodesOfVfioAreComparedWithTheirNumbers) {
  tree_.put("class/vfio/1/dev", "240:0\n");
  EXPECT_THAT(of("nodes"), ElementsAre(is_finding(Verdict::kWarning, "no /dev/vfio/1", "udevadm")));
  file("dev/vfio/1", "");
  EXPECT_THAT(of("nodes"), ElementsAre(is_finding(Verdict::kWarning, "something else", "rm ")));
}

TEST_F(DoctorTest, ALimitOfLockedMemoryCountsForOthersThanRoot) {
  Host user = machine();
  user.memlock = 8U << 20;
  EXPECT_THAT(of("memlock", user), ElementsAre(is_ok("8 MB")));
  user.is_root = false;
  EXPECT_THAT(of("memlock", user),
              ElementsAre(is_finding(Verdict::kWarning, "8 MB", "limits.conf")));
  EXPECT_THAT(of("root", user), ElementsAre(is_finding(Verdict::kUnknown, "not root", "as root")));
}

TEST_F(DoctorTest, AMachineOfWhichOnlySysfsIsSeenIsToldApart) {
  Host tree = machine();
  tree.files = Proc("");
  tree.release = "";
  const auto findings = examine(tree, {});
  EXPECT_TRUE(is_ready(findings));
  EXPECT_THAT(findings, Contains(Field(&Finding::check, "machine")));
  EXPECT_THAT(findings, Not(Contains(Field(&Finding::check, "root"))));
}

TEST_F(DoctorTest, ManyFindingsOfOneCheckAreCutShort) {
  std::string rules;
  for (int i = 0; i < 100; ++i) rules += "ATTR{driver_override}=\"x\"\n";
  file("etc/udev/rules.d/9.rules", rules);
  const auto findings = of("udev");
  EXPECT_THAT(findings, SizeIs(8));
  EXPECT_THAT(findings.back().what, HasSubstr("and others like it"));
}

class AccountsTest : public testing::Test {
 protected:
  AccountsTest() {
    tree_.put("etc/passwd",
              "root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\nbad line\n:x:7:\n");
    tree_.put("etc/group", "kvm:x:36:alice\n");
  }
  TestTree tree_;
};

TEST_F(AccountsTest, NamesAndNumbers) {
  const Accounts accounts{Proc(tree_.root())};
  EXPECT_EQ(accounts.user(1000), "alice");
  EXPECT_EQ(accounts.user(5), "uid 5");
  EXPECT_EQ(accounts.owner(1000, 36), "alice:kvm");
  EXPECT_EQ(accounts.owner(5, 6), "5:6");
  EXPECT_EQ(accounts.parse("alice"), (Owner{.uid = 1000}));
  EXPECT_EQ(accounts.parse("alice:kvm"), (Owner{.uid = 1000, .gid = 36}));
  EXPECT_EQ(accounts.parse("77:4294967294"), (Owner{.uid = 77, .gid = 4294967294U}));
}

TEST_F(AccountsTest, WhatIsNeitherANameNorANumber) {
  const Accounts accounts{Proc(tree_.root())};
  // 4294967295 means "leave it" to chown(2).
  for (const char* text :
       {"", ":", "alice:", ":kvm", "bob", "alice:nobody", "-1", "4294967295", "1 ", "bad line"}) {
    const auto owner = accounts.parse(text);
    ASSERT_FALSE(owner) << text;
    EXPECT_EQ(owner.error().kind, ErrorKind::kUsage) << text;
  }
}

}  // namespace
}  // namespace anybind
