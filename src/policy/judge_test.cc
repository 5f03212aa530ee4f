#include "policy/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "inventory/test_tree.h"
#include "policy/apply.h"
#include "policy/spec.h"

namespace anybind {
namespace {

using State = Standing::State;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kNic = "0000:00:03.0";
constexpr const char* kGpu = "0000:00:04.0";
constexpr const char* kSound = "0000:00:04.1";
constexpr const char* kBridge = "0000:00:01.0";

/// A network card alone in its group, and a graphics card with its sound and a bridge in another.
class JudgeTest : public testing::Test {
 protected:
  JudgeTest() {
    tree_.pci({.address = kNic, .driver = "e1000e", .group = 1});
    tree_.pci({.address = kGpu,
               .ids = "10DE:1C03",
               .class_code = "30000",
               .driver = "nouveau",
               .group = 2});
    tree_.pci({.address = kSound,
               .ids = "10DE:10F1",
               .class_code = "40300",
               .driver = "snd",
               .group = 2});
    tree_.pci({.address = kBridge,
               .ids = "8086:1901",
               .class_code = "60400",
               .driver = "pcieport",
               .group = 2});
    tree_.driver("pci", "vfio-pci");
  }

  static Spec spec(const std::string& text) {
    auto out = parse_spec({{.name = "a.toml", .text = text}});
    if (!out) throw std::runtime_error(out.error().message());
    return *std::move(out);
  }
  static std::string rule(const std::string& match, const std::string& rest,
                          const std::string& name = "r") {
    return "[[rule]]\nname = \"" + name + "\"\nmatch = { " + match + " }\n" + rest + "\n";
  }
  Judgement judge_by(const std::string& text) { return *judge(Host(tree_.sysfs()), spec(text)); }
  /// Of the only device that is declared.
  Standing standing_by(const std::string& text) {
    const Judgement out = judge_by(text);
    EXPECT_EQ(out.devices.size(), 1U);
    return out.devices.front();
  }
  void nic(const std::string& driver, const std::string& override_text) {
    const std::string real = std::string("devices/pci0000:00/") + kNic;
    tree_.remove(real + "/driver");
    std::string uevent = driver.empty() ? "" : "DRIVER=" + driver + "\n";
    tree_.put(real + "/uevent", uevent + "PCI_CLASS=20000\nPCI_ID=8086:10D3\n");
    if (!driver.empty()) tree_.link_to(real + "/driver", "bus/pci/drivers/" + driver);
    tree_.put(real + "/driver_override", override_text + "\n");
  }

  TestTree tree_;
};

TEST_F(JudgeTest, ADeviceIsAsDeclaredOrItIsToldHowNot) {
  const std::string vfio = rule("device = \"00:03.0\"", "driver = \"vfio-pci\"");
  const std::string none = rule("device = \"00:03.0\"", "driver = \"none\"");
  const std::string normal = rule("device = \"00:03.0\"", "driver = \"default\"");
  const struct {
    const char* driver;
    const char* override_text;
    const std::string& text;
    const char* differs;
  } kCases[] = {
      {"e1000e", "(null)", vfio, "it has e1000e, and shall have vfio-pci"},
      {"", "(null)", vfio, "it has no driver, and shall have vfio-pci"},
      {"vfio-pci", "vfio-pci", vfio, ""},
      {"vfio-pci", "(null)", vfio, ""},
      {"vfio-pci", "e1000e", vfio,
       "its driver_override is e1000e: the next probe would go elsewhere"},
      {"e1000e", "(null)", none, "it has e1000e, and shall have no driver"},
      {"", "(null)", none, "it has no driver, but nothing keeps it so"},
      {"", "none", none, ""},
      {"e1000e", "(null)", normal, ""},
      {"", "(null)", normal, ""},
      {"vfio-pci", "vfio-pci", normal, "its driver_override is vfio-pci"},
  };
  for (const auto& it : kCases) {
    nic(it.driver, it.override_text);
    const Standing standing = standing_by(it.text);
    EXPECT_EQ(standing.differs, it.differs) << it.driver << " " << it.override_text;
    EXPECT_EQ(standing.state, *it.differs == '\0' ? State::kMet : State::kDrift);
    EXPECT_EQ(next_requests(spec(it.text), judge_by(it.text)).size(),
              *it.differs == '\0' ? 0U : 1U);
  }
}

TEST_F(JudgeTest, OfADeviceTheFirstRuleCounts) {
  const Judgement out = judge_by(rule("device = \"00:03.0\"", "driver = \"default\"", "mine") +
                                 rule("device = \"*\"", "driver = \"none\"", "others"));
  EXPECT_THAT(out.matches[0], ElementsAre(pci_id(kNic)));
  EXPECT_THAT(out.matches[1], ElementsAre(pci_id(kGpu), pci_id(kSound)));
}

TEST_F(JudgeTest, ABridgeIsMeantByItsAddressOrClassAlone) {
  EXPECT_EQ(standing_by(rule("device = \"00:01.0\"", "driver = \"none\"")).device, pci_id(kBridge));
  EXPECT_EQ(standing_by(rule("class = \"06\"", "driver = \"none\"")).device, pci_id(kBridge));
  EXPECT_THAT(judge_by(rule("id = \"8086:1901\"", "driver = \"none\"")).devices, IsEmpty());
}

TEST_F(JudgeTest, AWholeGroupGoesAlongButForItsBridge) {
  const std::string text = rule("device = \"00:04.0\"", "driver = \"vfio-pci\"\ngroup = \"whole\"");
  const Judgement out = judge_by(text);
  ASSERT_EQ(out.devices.size(), 2U);
  EXPECT_EQ(out.devices[0].device, pci_id(kGpu));
  EXPECT_EQ(out.devices[0].with_group, std::nullopt);
  EXPECT_EQ(out.devices[1].device, pci_id(kSound));
  EXPECT_EQ(out.devices[1].with_group, 2U);
  const auto next = next_requests(spec(text), out);
  ASSERT_EQ(next.size(), 1U);
  EXPECT_TRUE(next[0].request.whole_group);
  EXPECT_THAT(next[0].request.devices, ElementsAre(pci_id(kGpu), pci_id(kSound)));
  EXPECT_EQ(next[0].request.instances.at(pci_id(kGpu)), out.devices[0].instance);
}

TEST_F(JudgeTest, ARuleCanRefuseAGroupThatHasOthers) {
  const Standing standing =
      standing_by(rule("device = \"00:04.0\"", "driver = \"vfio-pci\"\ngroup = \"refuse\""));
  EXPECT_EQ(standing.state, State::kNotObeyed);
  EXPECT_THAT(standing.differs, HasSubstr("0000:00:04.1"));
  // All of them named, and alone in its group, there is nobody to refuse.
  for (const char* all : {"device = [\"00:04.0\", \"00:04.1\"]", "device = \"00:03.0\""}) {
    const Judgement out = judge_by(rule(all, "driver = \"vfio-pci\"\ngroup = \"refuse\""));
    EXPECT_EQ(out.devices.front().state, State::kDrift) << all;
  }
}

TEST_F(JudgeTest, TwoRulesThatWantOneGroupDifferentlyAreNotObeyed) {
  const std::string text =
      rule("device = \"00:04.0\"", "driver = \"vfio-pci\"\ngroup = \"whole\"", "gpu") +
      rule("device = \"00:04.1\"", "driver = \"default\"", "sound");
  const Judgement out = judge_by(text);
  EXPECT_THAT(out.devices, testing::Each(testing::Field(&Standing::state, State::kNotObeyed)));
  ASSERT_EQ(out.problems.size(), 1U);
  EXPECT_THAT(out.problems[0].what, HasSubstr("\"gpu\" (a.toml:1:1) and \"sound\" (a.toml:6:1)"));
  EXPECT_FALSE(out.holds());
  EXPECT_THAT(next_requests(spec(text), out), IsEmpty());
  // The same driver is no contradiction.
  const Judgement agreed =
      judge_by(rule("device = \"00:04.0\"", "driver = \"vfio-pci\"\ngroup = \"whole\"", "gpu") +
               rule("device = \"00:04.1\"", "driver = \"vfio-pci\"", "sound"));
  EXPECT_THAT(agreed.problems, IsEmpty());
}

TEST_F(JudgeTest, AnotherCardAtTheAddressIsReportedAndNotTaken) {
  const std::string text = rule("device = \"00:03.0\", id = \"8086:1521\"", "driver = \"none\"") +
                           rule("class = \"network\"", "driver = \"vfio-pci\"", "later");
  const Judgement out = judge_by(text);
  EXPECT_THAT(out.devices, IsEmpty());
  ASSERT_EQ(out.problems.size(), 1U);
  EXPECT_EQ(out.problems[0].device, pci_id(kNic));
  EXPECT_THAT(out.problems[0].what, HasSubstr("it is 8086:10d3"));
  EXPECT_FALSE(out.holds());
}

TEST_F(JudgeTest, ACardThatHasMovedIsReportedAndNotTaken) {
  tree_.put(std::string("devices/pci0000:00/") + kNic + "/serial_number",
            "00-1b-21-ff-ff-6a-2c-8e\n");
  const std::string at_home =
      rule("device = \"00:03.0\", serial = \"00-1b-21-ff-ff-6a-2c-8e\"", "driver = \"none\"");
  EXPECT_EQ(standing_by(at_home).state, State::kDrift);
  const Judgement out = judge_by(
      rule("device = \"00:05.0\", serial = \"00-1b-21-ff-ff-6a-2c-8e\"", "driver = \"none\""));
  EXPECT_THAT(out.devices, IsEmpty());
  ASSERT_EQ(out.problems.size(), 1U);
  EXPECT_EQ(out.problems[0].device, pci_id(kNic));
  EXPECT_THAT(out.problems[0].what, HasSubstr("not where it says"));
  // Without a place it is found wherever it is.
  EXPECT_EQ(standing_by(rule("serial = \"00-1b-21-ff-ff-6a-2c-8e\"", "driver = \"none\"")).device,
            pci_id(kNic));
  const Judgement twin = judge_by(
      rule("device = \"00:03.0\", serial = \"00-1b-21-ff-ff-6a-2c-8f\"", "driver = \"none\""));
  EXPECT_THAT(twin.problems.at(0).what, HasSubstr("its serial number is 00-1b-21-ff-ff-6a-2c-8e"));
}

TEST_F(JudgeTest, TheMacOfACardThatWasGivenAwayIsNotKnown) {
  const std::string text = rule(
      "device = \"00:03.0\", id = \"8086:10d3\", mac = \"52:54:00:00:00:01\"", "driver = \"none\"");
  EXPECT_EQ(standing_by(text).state, State::kDrift);
  // Without ids anything could stand there.
  const Judgement bare =
      judge_by(rule("device = \"00:03.0\", mac = \"52:54:00:00:00:01\"", "driver = \"none\""));
  EXPECT_THAT(bare.devices, IsEmpty());
  EXPECT_THAT(bare.problems.at(0).what, HasSubstr("no network driver tells"));
  EXPECT_THAT(judge_by(rule("mac = \"52:54:00:00:00:01\"", "driver = \"none\"")).devices,
              IsEmpty());
  tree_.put(std::string("devices/pci0000:00/") + kNic + "/net/eth0/address", "52:54:00:00:00:01\n");
  EXPECT_EQ(standing_by(rule("mac = \"52:54:00:00:00:01\"", "driver = \"none\"")).device,
            pci_id(kNic));
  tree_.put(std::string("devices/pci0000:00/") + kNic + "/net/eth0/address", "52:54:00:00:00:02\n");
  EXPECT_THAT(judge_by(text).problems.at(0).what, HasSubstr("MAC address is 52:54:00:00:00:02"));
}

TEST_F(JudgeTest, PlacesCanBePathsSlotsAndNumbers) {
  tree_.put("bus/pci/slots/7/address", "0000:00:04\n");
  EXPECT_THAT(judge_by(rule("slot = \"7\"", "driver = \"none\"")).matches[0],
              ElementsAre(pci_id(kGpu), pci_id(kSound)));
  EXPECT_THAT(judge_by(rule("device = \"/sys/devices/pci0000:00/*\", class = \"display\"",
                            "driver = \"none\""))
                  .matches[0],
              ElementsAre(pci_id(kGpu)));
  EXPECT_THAT(
      judge_by(rule("device = \"/sys/devices/pci0000:00/0000:00:03.0\"", "driver = \"none\""))
          .matches[0],
      ElementsAre(pci_id(kNic)));
  EXPECT_THAT(
      judge_by(rule("device = \"00:04\", class = \"audio\"", "driver = \"none\"")).matches[0],
      ElementsAre(pci_id(kSound)));
}

TEST_F(JudgeTest, ANumberOfFunctionsIsDeclared) {
  const std::string text = rule("device = \"00:03.0\"", "vfs = 2");
  EXPECT_THAT(standing_by(text).differs, HasSubstr("cannot have virtual functions"));
  EXPECT_EQ(standing_by(text).state, State::kNotObeyed);
  EXPECT_THAT(next_requests(spec(text), judge_by(text)), IsEmpty());
  const std::string real = std::string("devices/pci0000:00/") + kNic;
  tree_.put(real + "/sriov_totalvfs", "4\n");
  tree_.put(real + "/sriov_numvfs", "0\n");
  EXPECT_THAT(standing_by(text).differs, HasSubstr("it has 0 virtual functions, and shall have 2"));
  auto next = next_requests(spec(text), judge_by(text));
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0].request.verb, Request::Verb::kMakeFunctions);
  EXPECT_EQ(next[0].request.count, 2U);
  tree_.put(real + "/sriov_numvfs", "1\n");
  EXPECT_EQ(next_requests(spec(text), judge_by(text)).at(0).request.count, 2U);
  const Standing many = standing_by(rule("device = \"00:03.0\"", "vfs = 5"));
  EXPECT_EQ(many.state, State::kNotObeyed);
  EXPECT_THAT(many.differs, HasSubstr("4 virtual functions at most"));
  tree_.put(real + "/sriov_numvfs", "2\n");
  EXPECT_EQ(standing_by(text).state, State::kMet);
}

TEST_F(JudgeTest, ARefusedChangeIsMadeGroupByGroup) {
  const std::string text = rule("device = \"*\"", "driver = \"none\"");
  const Judgement now = judge_by(text);
  const auto next = next_requests(spec(text), now);
  ASSERT_EQ(next.size(), 1U);
  const auto parts = split_by_group(next[0].request, now);
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_THAT(parts[0].devices, ElementsAre(pci_id(kNic)));
  EXPECT_EQ(parts[0].instances.size(), 1U);
  EXPECT_THAT(parts[1].devices, ElementsAre(pci_id(kGpu), pci_id(kSound)));
}

TEST_F(JudgeTest, FunctionsOfOneCardHaveOneSerialNumber) {
  for (const char* address : {kGpu, kSound})
    tree_.put(std::string("devices/pci0000:00/") + address + "/serial_number",
              "00-1b-21-ff-ff-6a-2c-8e\n");
  const auto pinned = [](const char* device, const char* name) {
    return rule(std::string("device = \"") + device + "\", serial = \"00-1b-21-ff-ff-6a-2c-8e\"",
                "driver = \"vfio-pci\"", name);
  };
  const Judgement one = judge_by(pinned("00:04.0", "gpu"));
  EXPECT_THAT(one.problems, IsEmpty());
  EXPECT_EQ(one.devices.size(), 1U);
  const Judgement both = judge_by(pinned("00:04.0", "gpu") + pinned("00:04.1", "sound"));
  EXPECT_THAT(both.problems, IsEmpty());
  EXPECT_EQ(both.devices.size(), 2U);
}

TEST_F(JudgeTest, ACardThatHasMovedIsNotTakenByALaterRule) {
  tree_.put(std::string("devices/pci0000:00/") + kNic + "/serial_number",
            "00-1b-21-ff-ff-6a-2c-8e\n");
  const std::string text =
      rule("device = \"00:05.0\", serial = \"00-1b-21-ff-ff-6a-2c-8e\"", "driver = \"none\"") +
      rule("class = \"network\"", "driver = \"vfio-pci\"", "later");
  const Judgement out = judge_by(text);
  ASSERT_EQ(out.devices.size(), 1U);
  EXPECT_EQ(out.devices[0].state, State::kNotObeyed);
  EXPECT_THAT(next_requests(spec(text), out), IsEmpty());
}

TEST_F(JudgeTest, AStrangerInTheGroupIsNotTakenAlong) {
  const std::string text =
      rule("device = \"00:04.1\", id = \"10de:0001\"", "driver = \"default\"") +
      rule("device = \"00:04.0\"", "driver = \"vfio-pci\"\ngroup = \"whole\"", "gpu");
  const Judgement out = judge_by(text);
  ASSERT_EQ(out.devices.size(), 1U);
  EXPECT_EQ(out.devices[0].state, State::kNotObeyed);
  EXPECT_THAT(out.devices[0].differs, HasSubstr("0000:00:04.1"));
  EXPECT_THAT(next_requests(spec(text), out), IsEmpty());
}

TEST_F(JudgeTest, WhatCannotBeReadIsNotAnotherCard) {
  tree_.put(std::string("devices/pci0000:00/") + kNic + "/config", std::string(64, '\0'));
  const Judgement out = judge_by(
      rule("device = \"00:03.0\", serial = \"00-1b-21-ff-ff-6a-2c-8e\"", "driver = \"none\"") +
      rule("class = \"network\"", "driver = \"vfio-pci\"", "later"));
  EXPECT_THAT(out.devices, IsEmpty());
  ASSERT_EQ(out.problems.size(), 1U);
  EXPECT_THAT(out.problems[0].what, HasSubstr("only root can read its serial number"));
  EXPECT_FALSE(out.holds());
}

TEST_F(JudgeTest, BelowAPathAreOnlyFunctionsOfPci) {
  tree_.device("pci_express",
               std::string("devices/pci0000:00/") + kBridge + "/0000:00:01.0:pcie002", "");
  const Judgement out =
      judge_by(rule("device = \"/sys/devices/pci0000:00/*\"", "driver = \"none\""));
  EXPECT_THAT(out.matches[0], ElementsAre(pci_id(kNic), pci_id(kGpu), pci_id(kSound)));
}

TEST_F(JudgeTest, TheDriverThatMakesFunctionsComesFirst) {
  const std::string real = std::string("devices/pci0000:00/") + kNic;
  tree_.put(real + "/sriov_totalvfs", "4\n");
  tree_.put(real + "/sriov_numvfs", "0\n");
  const std::string text = rule("device = \"00:03.0\"", "driver = \"ice\"\nvfs = 2");
  const auto next = next_requests(spec(text), judge_by(text));
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0].request.verb, Request::Verb::kBind);
  nic("ice", "(null)");
  EXPECT_EQ(next_requests(spec(text), judge_by(text)).at(0).request.verb,
            Request::Verb::kMakeFunctions);
}

TEST_F(JudgeTest, ThePortOfTheRuleStandsElsewhereThoughSomethingStandsAtItsPlace) {
  tree_.pci({.address = "0000:00:05.0"});
  tree_.put("devices/pci0000:00/0000:00:05.0/net/eth0/address", "52:54:00:00:00:01\n");
  const std::string text = rule(
      "device = \"00:03.0\", id = \"8086:10d3\", mac = \"52:54:00:00:00:01\"", "driver = \"none\"");
  const Judgement out = judge_by(text);
  ASSERT_EQ(out.devices.size(), 1U);
  EXPECT_EQ(out.devices[0].state, State::kNotObeyed);
  EXPECT_THAT(out.devices[0].differs, HasSubstr("may be 0000:00:05.0"));
  EXPECT_THAT(next_requests(spec(text), out), IsEmpty());
}

TEST_F(JudgeTest, AWholeGroupIsNotTakenWithAMemberThatIsLeftAlone) {
  tree_.put(std::string("devices/pci0000:00/") + kSound + "/serial_number",
            "00-1b-21-ff-ff-6a-2c-8e\n");
  const std::string text =
      rule("device = \"00:09.0\", serial = \"00-1b-21-ff-ff-6a-2c-8e\"", "driver = \"none\"") +
      rule("device = \"00:04.0\"", "driver = \"vfio-pci\"\ngroup = \"whole\"", "gpu") +
      rule("device = \"00:04.1\"", "driver = \"vfio-pci\"", "sound");
  const Judgement out = judge_by(text);
  EXPECT_THAT(out.devices, testing::Each(testing::Field(&Standing::state, State::kNotObeyed)));
  EXPECT_THAT(next_requests(spec(text), out), IsEmpty());
}

TEST_F(JudgeTest, RulesOfOneGroupThatAskForTheSameAreOneChange) {
  const std::string text = rule("device = \"00:04.0\"", "driver = \"vfio-pci\"", "gpu") +
                           rule("device = \"00:03.0\"", "driver = \"vfio-pci\"", "nic") +
                           rule("device = \"00:04.1\"", "driver = \"vfio-pci\"", "sound");
  const auto next = next_requests(spec(text), judge_by(text));
  ASSERT_EQ(next.size(), 2U);
  EXPECT_THAT(next[0].request.devices, ElementsAre(pci_id(kGpu), pci_id(kSound)));
  EXPECT_EQ(next[0].request.instances.size(), 2U);
  EXPECT_THAT(next[1].request.devices, ElementsAre(pci_id(kNic)));
  const std::string differently = rule("device = \"00:04.0\"", "driver = \"vfio-pci\"", "gpu") +
                                  rule("device = \"00:04.1\"", "driver = \"none\"", "sound");
  EXPECT_EQ(next_requests(spec(differently), judge_by(differently)).size(), 2U);
}

TEST_F(JudgeTest, TheDefaultDriverComesBeforeItsFunctions) {
  const std::string real = std::string("devices/pci0000:00/") + kNic;
  tree_.put(real + "/sriov_totalvfs", "4\n");
  tree_.put(real + "/sriov_numvfs", "0\n");
  nic("vfio-pci", "vfio-pci");
  const std::string text = rule("device = \"00:03.0\"", "driver = \"default\"\nvfs = 2");
  const auto next = next_requests(spec(text), judge_by(text));
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0].request.verb, Request::Verb::kBind);
}

}  // namespace
}  // namespace anybind
