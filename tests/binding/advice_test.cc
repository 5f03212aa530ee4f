// What doctor, explain and bind say of one machine, side by side, on many kinds of machines: they
// must not contradict each other, and each sentence must be whole.
#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "doctor/doctor.h"
#include "inventory/iommu_state.h"
#include "inventory/match.h"
#include "inventory/test_tree.h"
#include "plan/planner.h"

namespace anybind {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kCard = "0000:00:03.0";
constexpr const char* kIntel = "vendor_id\t: GenuineIntel\nflags\t\t: fpu vmx\n";
constexpr const char* kAmd = "vendor_id\t: AuthenticAMD\nflags\t\t: fpu svm\n";
constexpr const char* kIntelGuest = "vendor_id\t: GenuineIntel\nflags\t\t: fpu hypervisor vmx\n";
constexpr const char* kAmdGuest = "vendor_id\t: AuthenticAMD\nflags\t\t: fpu hypervisor svm\n";
constexpr const char* kMainframe = "vendor_id       : IBM/S390\nfeatures\t: esan3 zarch\n";

struct MachineKind {
  std::string name;
  std::string table;  ///< of ACPI; "-": it has none, as has no ACPI at all a machine with ""
  std::string unit;   ///< in class/iommu; then the card is in a group
  std::string processor;
  std::string command_line;
  std::string says;                 ///< why there is no IOMMU; empty: there is one
  std::string advises{};            ///< and what to do
  std::vector<std::string> more{};  ///< other files
};

const std::vector<MachineKind>& kinds() {
  static const std::vector<MachineKind> kKinds = {
      {"Intel", "DMAR", "dmar0", kIntel, "intel_iommu=on", ""},
      {"IntelOffByDefault", "DMAR", "", kIntel, "quiet", "table DMAR", "add intel_iommu=on"},
      {"IntelSwitchedOff", "DMAR", "", kIntel, "intel_iommu=off", "intel_iommu=off is on",
       "take intel_iommu=off out"},
      {"IntelRefused", "DMAR", "", kIntel, "intel_iommu=on", "is given", "dmesg"},
      {"IntelOffInTheFirmware", "-", "", kIntel, "intel_iommu=on", "tells of none", "VT-d"},
      {"Amd", "IVRS", "ivhd0", kAmd, "amd_iommu=fullflush", ""},
      {"AmdUnused", "IVRS", "", kAmd, "", "table IVRS", "dmesg"},
      {"AmdOffInTheFirmware", "-", "", kAmd, "", "tells of none", "AMD-Vi"},
      {"ArmServer", "IORT", "smmu3.0x0000000050000000", "", "", ""},
      {"ArmServerWithoutSmmu", "IORT", "", "", "", "IORT may tell", "SMMU"},
      {"ArmBoard",
       "",
       "",
       "",
       "console=ttyS2",
       "device tree",
       "SMMU",
       {"firmware/devicetree/base/compatible"}},
      {"ArmBoardWithSmmu",
       "",
       "fd800000.iommu",
       "",
       "",
       "",
       "",
       {"firmware/devicetree/base/compatible"}},
      {"Guest", "-", "", kIntelGuest, "", "virtual machine", "QEMU"},
      {"GuestThatWasToldOfAnIommu", "-", "", kAmdGuest, "intel_iommu=on", "virtual machine",
       "give it one"},
      {"GuestWithIntelsOnAnAmdProcessor", "DMAR", "dmar0", kAmdGuest, "intel_iommu=on", ""},
      {"GuestWithVirtio", "VIOT", "0000:00:01.0", kIntelGuest, "", ""},
      {"Mainframe", "", "s390-iommu.00000001", kMainframe, "", ""},
      {"TreeOnly", "", "", "", "-", "is off, or there is none", "firmware setup"},
  };
  return kKinds;
}

/// What the three say, each "what | what to do".
struct Said {
  std::vector<Finding> doctor;
  std::vector<Obstacle> explain;
  std::optional<Error> bind;
};

class Advice : public testing::TestWithParam<MachineKind> {
 protected:
  Advice() {
    const MachineKind& kind = GetParam();
    const int group = kind.unit.empty() ? -1 : 3;
    tree_.pci({.address = kCard, .driver = "e1000e", .group = group});
    tree_.put(std::string("devices/pci0000:00/") + kCard + "/class", "0x020000\n");
    tree_.driver("pci", "vfio-pci");
    tree_.dir("kernel/iommu_groups");
    tree_.put("bus/pci/drivers_autoprobe", "1\n");
    if (!kind.table.empty()) tree_.put("firmware/acpi/tables/APIC", "");
    if (kind.table.size() > 1) tree_.put("firmware/acpi/tables/" + kind.table, "");
    if (!kind.unit.empty()) tree_.dir("class/iommu/" + kind.unit);
    for (const std::string& file : kind.more) tree_.put(file, "rockchip,rk3399\n");
    if (!kind.processor.empty()) tree_.put("root/proc/cpuinfo", kind.processor);
    if (kind.command_line != "-") tree_.put("root/proc/cmdline", kind.command_line + "\n");
  }
  Said said() {
    Host host(tree_.sysfs());
    host.files = Proc(tree_.root() + "/root");
    host.release = "6.12.1";
    host.is_root = true;
    Said out{.doctor = examine(host, {})};
    const DriverName driver = DriverName::literal("vfio-pci");
    if (const auto explained = explain_device(host.sysfs, pci_id(kCard), ""))
      out.explain = obstacles_for(host, *explained, driver);
    const auto plan = plan_bind(host, {.devices = {pci_id(kCard)}, .driver = driver});
    if (!plan) out.bind = plan.error();
    return out;
  }
  TestTree tree_;
};

/// The advice of doctor about one thing.
std::vector<Finding> of(const std::vector<Finding>& all, std::string_view check) {
  std::vector<Finding> out;
  std::ranges::copy_if(all, std::back_inserter(out),
                       [&](const Finding& finding) { return finding.check == check; });
  return out;
}

/// What is wrong with a sentence; empty: nothing.
std::string fault_of(const std::string& text) {
  if (text.empty()) return "empty";
  for (const char* hole : {"  ", "''", "\"\"", "()", " ,", " ;", " :", ": :", "( ", " )", "or  "}) {
    if (text.contains(hole)) return std::string("a hole: '") + hole + "'";
  }
  if (std::string_view(" .,:;").contains(text.back()))
    return "it ends otherwise than the others, which have no full stop";
  if (text.front() == ' ') return "it begins with a blank";
  if (std::ranges::count(text, '(') != std::ranges::count(text, ')')) return "odd parentheses";
  return "";
}

TEST_P(Advice, DoctorExplainAndBindSayTheSameOfTheIommu) {
  const MachineKind& kind = GetParam();
  const Said it = said();
  const auto iommu = of(it.doctor, "iommu");
  ASSERT_EQ(iommu.size(), 1U);
  if (kind.says.empty()) {
    EXPECT_EQ(iommu.front().verdict, Verdict::kOk) << iommu.front().what;
    EXPECT_THAT(iommu.front().what, HasSubstr("1 of 1 PCI functions"));
    EXPECT_TRUE(it.explain.empty()) << it.explain.front().what;
    EXPECT_FALSE(it.bind) << it.bind->message();
    return;
  }
  const std::string why = iommu.front().what;
  EXPECT_EQ(iommu.front().verdict, Verdict::kProblem);
  EXPECT_THAT(why, HasSubstr(kind.says));
  EXPECT_THAT(iommu.front().fix.plain(), HasSubstr(kind.advises));
  ASSERT_EQ(it.explain.size(), 1U);
  EXPECT_THAT(it.explain.front().what, HasSubstr(why));
  EXPECT_EQ(it.explain.front().advice, iommu.front().fix);
  ASSERT_TRUE(it.bind);
  EXPECT_EQ(it.bind->kind, ErrorKind::kRefused);
  EXPECT_THAT(it.bind->message(), HasSubstr(why));
  EXPECT_EQ(it.bind->advice, iommu.front().fix);
}

TEST_P(Advice, NothingThatWorksIsAdvisedAwayAndNothingAskedForAndForbidden) {
  const Said it = said();
  std::string all;
  for (const Finding& finding : it.doctor) all += finding.fix.plain() + "\n";
  for (const Obstacle& obstacle : it.explain) all += obstacle.advice.plain() + "\n";
  if (it.bind) all += it.bind->advice.plain() + "\n";
  for (const std::string parameter : {"intel_iommu=on", "amd_iommu=on", "iommu=pt"}) {
    EXPECT_FALSE(all.contains("add " + parameter) && all.contains("take " + parameter + " out"))
        << all;
  }
  // It works, or it will be of use once the virtual machine is given one.
  const std::string& says = GetParam().says;
  if (says.empty() || says == "virtual machine") {
    EXPECT_THAT(all, Not(HasSubstr("take")));
  }
}

TEST_P(Advice, EverySentenceIsWhole) {
  const Said it = said();
  for (const Finding& finding : it.doctor) {
    EXPECT_EQ(fault_of(finding.what), "") << finding.what;
    if (finding.verdict != Verdict::kUnknown) {
      EXPECT_EQ(finding.fix.empty(), finding.verdict == Verdict::kOk) << finding.what;
    }
    const std::string fix = finding.fix.empty() ? "nothing to do" : finding.fix.plain();
    EXPECT_EQ(fault_of(fix), "") << fix;
  }
  for (const Obstacle& obstacle : it.explain) {
    EXPECT_EQ(fault_of(obstacle.what), "") << obstacle.what;
    EXPECT_EQ(fault_of(obstacle.advice.plain()), "") << obstacle.what;
  }
  if (it.bind) {
    EXPECT_EQ(fault_of(it.bind->message()), "");
    EXPECT_EQ(fault_of(it.bind->advice.plain()), "");
  }
}

std::string name_of_kind(const testing::TestParamInfo<MachineKind>& kind) {
  return kind.param.name;
}

INSTANTIATE_TEST_SUITE_P(Machines, Advice, testing::ValuesIn(kinds()), name_of_kind);

class IommuStateTest : public testing::Test {
 protected:
  TestTree tree_;
};

TEST_F(IommuStateTest, ADeviceThatTheIommuDoesNotCoverIsNamed) {
  tree_.pci({.address = kCard, .group = 3});
  tree_.pci({.address = "0000:00:04.0"});
  tree_.pci({.address = "0000:00:05.0", .class_code = "60400"});
  tree_.put("devices/pci0000:00/0000:00:05.0/class", "0x060400\n");
  const Host host(tree_.sysfs());
  const IommuState state = read_iommu_state(host);
  EXPECT_TRUE(state.is_on());
  EXPECT_EQ(state.why,
            "the IOMMU does not cover 0000:00:04.0: 1 of 3 PCI functions are in a group");
  EXPECT_THAT(no_group_obstacle(host).what, HasSubstr("as 1 of 3 PCI functions are"));
}

TEST_F(IommuStateTest, AVirtualMachineTellsItsMakerWhereTheProcessorDoesNot) {
  tree_.put("class/dmi/id/sys_vendor", "VMware, Inc.\n");
  EXPECT_TRUE(read_iommu_state(Host(tree_.sysfs())).is_virtual);
  tree_.put("class/dmi/id/sys_vendor", "Microsoft Corporation\n");
  EXPECT_FALSE(read_iommu_state(Host(tree_.sysfs())).is_virtual) << "a laptop";
  tree_.put("class/dmi/id/product_name", "Virtual Machine\n");
  EXPECT_TRUE(read_iommu_state(Host(tree_.sysfs())).is_virtual);
}

TEST_F(IommuStateTest, AVirtualMachineIsToldByItsDevicesWhereNothingElseTells) {
  const auto is_virtual = [&] { return read_iommu_state(Host(tree_.sysfs())).is_virtual; };
  const auto card = [&](const std::string& address, const std::string& vendor) {
    tree_.pci({.address = address});
    tree_.put("devices/pci0000:00/" + address + "/vendor", vendor + "\n");
  };
  card("0000:00:02.0", "0x1af4");
  EXPECT_TRUE(is_virtual()) << "nothing but virtio";
  card("0000:00:03.0", "0x8086");
  EXPECT_FALSE(is_virtual()) << "a real card may offer a virtio device";
  tree_.put("devices/pci0000:00/0000:00:03.0/subsystem_vendor", "0x1af4\n");
  tree_.put("devices/pci0000:00/0000:00:03.0/subsystem_device", "0x1100\n");
  EXPECT_TRUE(is_virtual()) << "emulated by QEMU";
  tree_.put("devices/pci0000:00/0000:00:03.0/subsystem_device", "0x0001\n");
  EXPECT_FALSE(is_virtual());
  card("0000:00:05.0", "0x1234");
  EXPECT_FALSE(is_virtual()) << "QEMU's display has it, and so have cards of one's own making";
  card("0000:00:04.0", "0x15ad");
  EXPECT_TRUE(is_virtual()) << "VMware's";
}

TEST_F(IommuStateTest, AMainframeWithoutPciHasNoGroupsYet) {
  tree_.put("root/proc/cpuinfo", kMainframe);
  Host host(tree_.sysfs());
  host.files = Proc(tree_.root() + "/root");
  EXPECT_THAT(read_iommu_state(host).advice.plain(), HasSubstr("configure a function"));
}

}  // namespace
}  // namespace anybind
