#include "policy/foreign_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inventory/test_tree.h"
#include "policy/spec.h"

namespace anybind {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// Two cards of one type and a third, and a machine's files.
class ForeignRulesTest : public testing::Test {
 protected:
  ForeignRulesTest() {
    tree_.pci({.address = "0000:00:03.0"});
    tree_.pci({.address = "0000:00:03.1"});
    tree_.pci({.address = "0000:00:04.0", .ids = "10DE:1C03", .class_code = "30000"});
  }
  void file(const std::string& path, const std::string& text) { tree_.put("root/" + path, text); }
  Host host() {
    Host out(tree_.sysfs());
    out.files = Proc(tree_.root() + "/root");
    return out;
  }
  std::string text_of(ForeignRules from) {
    auto out = import_rules(host(), from);
    return out ? *out : out.error().message();
  }
  /// What the text says, read as rules.
  Spec spec_of(ForeignRules from) {
    const auto spec = parse_spec({{.name = "i.toml", .text = text_of(from)}});
    EXPECT_TRUE(spec) << spec.error().message() << "\n" << text_of(from);
    return spec.value_or(Spec{});
  }

  TestTree tree_;
};

TEST_F(ForeignRulesTest, WhereNothingIsNothingIsImported) {
  for (const auto from :
       {ForeignRules::kDriverctl, ForeignRules::kModprobe, ForeignRules::kProxmox})
    EXPECT_EQ(import_rules(host(), from).error().kind, ErrorKind::kNotFound);
}

TEST_F(ForeignRulesTest, DriverctlsDevicesArePinned) {
  file("etc/driverctl.d/pci-0000:00:03.0", "vfio-pci\n");
  file("etc/driverctl.d/pci-0000:09:00.0", "none\n");
  const Spec spec = spec_of(ForeignRules::kDriverctl);
  ASSERT_EQ(spec.rules.size(), 2U);
  EXPECT_EQ(spec.rules[0].match.device.at(0).text, "0000:00:03.0");
  EXPECT_EQ(spec.rules[0].match.id, IdPattern::parse("8086:10d3"));
  EXPECT_EQ(spec.rules[1].match.id, std::nullopt);
  EXPECT_TRUE(spec.rules[1].wants_none());
  EXPECT_THAT(text_of(ForeignRules::kDriverctl), HasSubstr("it is not there now"));
}

TEST_F(ForeignRulesTest, AnIdTellsWhatItCatches) {
  file("etc/modprobe.d/vfio.conf",
       "options vfio-pci ids=8086:10d3,10de:1c03,1234:5678,1002:67df:1:2:030000,10de: "
       "disable_vga=1\n"
       "softdep nouveau pre: vfio-pci\noptions kvm ids=8086:0001\n");
  file("proc/cmdline", "quiet vfio-pci.ids=10DE:1c03,8086:10d3:1043:8534\n");
  const std::string text = text_of(ForeignRules::kModprobe);
  EXPECT_THAT(text, HasSubstr("8086:10d3 is now 0000:00:03.0 and 0000:00:03.1"));
  EXPECT_THAT(text, HasSubstr("it takes all of them"));
  EXPECT_THAT(text, HasSubstr("1234:5678 is no device"));
  EXPECT_THAT(text, HasSubstr("1002:67df:1:2:030000: no rule can say that"));
  EXPECT_THAT(text, HasSubstr("softdep nouveau"));
  EXPECT_THAT(text, HasSubstr("there is a rule already"));
  EXPECT_THAT(text, Not(HasSubstr("8086:0001")));
  const Spec spec = spec_of(ForeignRules::kModprobe);
  ASSERT_EQ(spec.rules.size(), 3U);
  EXPECT_EQ(spec.rules[1].match.id, IdPattern::parse("10de:1c03"));
}

TEST_F(ForeignRulesTest, GuestsOfProxmoxNameTheirDevices) {
  file("etc/pve/qemu-server/100.conf",
       "memory: 4096\nhostpci0: 00:03,pcie=1\nhostpci1: host=0000:00:04.0;00:05.0,x-vga=on\n"
       "hostpci2: mapping=gpu\nhostpci3: nonsense\n[before]\nhostpci0: 0000:00:09.0\n");
  file("etc/pve/qemu-server/101.conf", "hostpci0: 00:04.0\n");
  const Spec spec = spec_of(ForeignRules::kProxmox);
  std::vector<std::string> names;
  for (const Rule& rule : spec.rules) names.push_back(rule.name);
  EXPECT_THAT(names, ElementsAre("proxmox 0000:00:03.0", "proxmox 0000:00:03.1",
                                 "proxmox 0000:00:04.0", "proxmox 0000:00:05.0"));
  EXPECT_EQ(spec.rules[2].match.id, IdPattern::parse("10de:1c03"));
  const std::string text = text_of(ForeignRules::kProxmox);
  EXPECT_THAT(text, HasSubstr("mapping=gpu names no device"));
  EXPECT_THAT(text, HasSubstr("not understood: nonsense"));
}

TEST_F(ForeignRulesTest, NothingFromOutsideEndsAComment) {
  file("etc/pve/qemu-server/1\n[[rule]]\nx.conf", "hostpci0: mapping=a\r[[rule]]\n");
  EXPECT_THAT(spec_of(ForeignRules::kProxmox).rules, IsEmpty());
}

TEST_F(ForeignRulesTest, RulesAreKernelParameters) {
  const auto arguments = [&](const std::string& match) {
    return *kernel_arguments(host(),
                             *parse_spec({{.name = "a.toml",
                                           .text = "[[rule]]\nname = \"r\"\nmatch = { " + match +
                                                   " }\ndriver = \"vfio-pci\"\n"}}));
  };
  KernelArguments all = arguments("device = \"*\"");
  EXPECT_EQ(all.parameter, "vfio-pci.ids=8086:10d3,10de:1c03");
  EXPECT_THAT(all.warnings, IsEmpty());
  KernelArguments one = arguments("device = \"00:03.1\"");
  EXPECT_EQ(one.parameter, "vfio-pci.ids=8086:10d3");
  EXPECT_THAT(one.warnings, ElementsAre(HasSubstr("0000:00:03.0 has the id 8086:10d3 too")));
  EXPECT_THAT(arguments("device = \"00:09.0\"").parameter, IsEmpty());
}

}  // namespace
}  // namespace anybind
